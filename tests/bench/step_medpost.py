"""Our transport doing the engine step; run as the peers are, in the project's own environment."""

import importlib.util
import os
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from types import ModuleType
from typing import Final

from infra.crypto import Ring
from infra.kafka import Batch
from infra.settings import Settings
from infra.worker import Chunk, Worker

PEERS: Final = Path(__file__).parent / "peers"


def peers_record() -> ModuleType:
    """The step that all peers share; it lies outside every package."""
    found = importlib.util.spec_from_file_location("record", PEERS / "record.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def main() -> int:
    """Run until the time is over; a record counts when its output is acknowledged."""
    record = peers_record()
    bootstrap, source, target, seconds = record.arguments()
    clock, step = record.Clock(seconds), record.step
    settings = Settings(kafka=bootstrap, home=Path(os.environ["MEDPOST_HOME"]), namespace=f"bench.{time.time_ns()}")
    worker = Worker(settings, "step", "bulk", ring=Ring("dead", {1: bytes(32)}))

    async def count(out: Batch, size: int) -> None:
        await out.wait()
        clock.count += size
        if clock.is_over():
            clock.report("faust-streaming", "aiokafka", "confluent-kafka")
            os._exit(0)

    async def steps(chunk: Chunk, out: Batch) -> Awaitable[None]:
        clock.begin()
        send = out.send
        for found in chunk:
            key, value = step(found.value)
            send(target, value, key)
        return count(out, len(chunk))

    worker.agent(source, steps, max_records=int(os.environ.get("STEP_CHUNK", "500")))
    return worker.run()


if __name__ == "__main__":
    sys.exit(main())
