"""A worker for the transport's tests: copies numbered records from `in` to `out`, with the faults it is told to have.

Run as a process by `hub_stage.Stage`; its one argument is JSON, see `Orders`.
"""

import asyncio
import os
import random
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.consumer import group_coordinator
from aiokafka.errors import GroupAuthorizationFailedError

from infra.crypto import Ring
from infra.kafka import Batch
from infra.settings import Settings
from infra.worker import Chunk, Worker


class Orders(msgspec.Struct, frozen=True):
    """What a worker shall do."""

    bootstrap: str
    namespace: str
    home: str
    session_s: float = 2.0
    max_records: int = 50
    work_s: float = 0.0
    """Pause inside the handler, per chunk: it is frozen or killed in there."""
    settle_s: float = 0.0
    """At most so long, at random, is what the handler returns on its way: chunks finish out of order."""
    hangs_at: int = -1
    """The number whose chunk never ends."""
    join_faults: int = 0
    """How often joining the group fails at first."""


def main() -> int:
    """Run until told to stop."""
    orders = msgspec.json.decode(sys.argv[1], type=Orders)
    if orders.join_faults:
        fail_to_join(orders.join_faults)
    settings = Settings(kafka=orders.bootstrap, home=Path(orders.home), namespace=orders.namespace)
    ring = Ring("dead", {1: bytes(32)})
    worker = Worker(
        settings, "copy", "", session_timeout_s=orders.session_s, heartbeat_interval_s=orders.session_s / 6, ring=ring
    )
    me = str(os.getpid()).encode()

    async def copies(chunk: Chunk, out: Batch) -> Awaitable[object]:
        for record in chunk:
            if record.value == b"%d" % orders.hangs_at:
                await asyncio.Event().wait()
            if (record.value or b"").startswith(b"poison"):
                raise KeyError
            out.send(settings.topic("out"), record.value, record.key, [("by", me)])
        await asyncio.sleep(orders.work_s)
        return asyncio.sleep(random.uniform(0, orders.settle_s))

    worker.agent(settings.topic("in"), copies, max_records=orders.max_records)
    return worker.run()


def fail_to_join(times: int) -> None:
    """Make aiokafka's coordinator meet an error at its first joins, as a broker that has not loaded its rights does."""
    left = [times]
    join = group_coordinator.GroupCoordinator.ensure_active_group

    async def failing(self: Any, *arguments: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise GroupAuthorizationFailedError("group")
        return await join(self, *arguments)

    group_coordinator.GroupCoordinator.ensure_active_group = failing


if __name__ == "__main__":
    sys.exit(main())
