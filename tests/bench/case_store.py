"""Bench case `store.ingest`: events a second into the store, everything on one core.

Encoded events of whole messages (some 5 events, 390 bytes each on average, a plan of 1 kB on `accepted`) in batches of
50,000 go through the trace writer's own path: joined container, HTTP, both views, dirty mark. The writer, the embedded
store and its background merges are bound to one core, so nothing is paid for elsewhere. The figure is events per second
of that core's time: equal to the clock's on a core of their own, and still true where neighbours use the core too.
As a program: `python -m tests.bench.case_store [SECONDS]` prints one JSON line with both.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import psutil

from infra import migrate, rollup
from infra.clickhouse import Store
from infra.local import processes, store_site
from infra.local.ports import any_port
from schemas.codec import EVENT
from schemas.records import Event
from schemas.statuses import Stage
from sinks.ingest import Ingest
from tests import factories, trace_truth

NAME: Final = "store.ingest"
UNIT: Final = "event/s"
GOAL: Final = 150_000.0
SECONDS: Final = 15.0
MESSAGES: Final = 10_000
SEALED_BYTES: Final = 300
WARM_UPS: Final = 2


class Template:
    """Events of many messages as bytes, to which fresh ids are given without encoding again."""

    def __init__(self, messages: int, now_ms: int) -> None:
        by_message: dict[bytes, list[tuple[bytes, bytes]]] = {}
        for event in trace_truth.history(messages):
            value = EVENT.encode(_today(event, now_ms))
            by_message.setdefault(event.message_id, []).append((value[:10], value[26:]))
        self._messages = list(by_message.values())

    def fresh(self) -> list[bytes]:
        """All of them with ids that the store has never seen."""
        ids = os.urandom(16 * len(self._messages))
        return [
            head + ids[at * 16 : at * 16 + 16] + body
            for at, pieces in enumerate(self._messages)
            for head, body in pieces
        ]


def _today(event: Event, now_ms: int) -> Event:
    """The event as of today, with a plan as large as a real one."""
    accepted_at = now_ms - event.accepted_at % 3_600_000
    moved = {"accepted_at": accepted_at, "at": accepted_at + event.latency_ms}
    if event.stage != Stage.ACCEPTED:
        return msgspec.structs.replace(event, **moved)
    plan = factories.plan()
    channels = [msgspec.structs.replace(channel, sealed=os.urandom(SEALED_BYTES)) for channel in plan.channels]
    return msgspec.structs.replace(event, plan=msgspec.structs.replace(plan, channels=channels), **moved)


@contextmanager
def one_core_store() -> Iterator[tuple[Store, psutil.Process]]:
    """A migrated embedded store on the core that this process is bound to."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        site = store_site.StoreSite(Path(folder), any_port())
        running = store_site.start(site, os.environ, ends_with_parent=True)
        try:
            with Store(f"{site.url}/bench") as store:
                migrate.apply(store)
                yield store, psutil.Process(running.pid)
        finally:
            processes.stop([running], store_site.STOP_GRACE_S)


def measured(seconds: float) -> dict[str, float]:
    """Events a second over that time, by the clock and by the processor time of writer and store."""
    template = Template(MESSAGES, time.time_ns() // 1_000_000)
    with one_core_store() as (store, server):
        ingest = Ingest(store, partial(rollup.mark, store))
        for _ in range(WARM_UPS):
            ingest.write(template.fresh())
        count, took_s, writer_s, server_s = 0, 0.0, 0.0, _used_s(server)
        end_s = time.perf_counter() + seconds
        while time.perf_counter() < end_s:
            values = template.fresh()  # not what is measured; the store's merges meanwhile are
            start_s, used_s = time.perf_counter(), time.process_time()
            assert ingest.write(values) == []
            took_s += time.perf_counter() - start_s
            writer_s += time.process_time() - used_s
            count += len(values)
        server_s = _used_s(server) - server_s
    return {"events_per_s": count / took_s, "events_per_core_s": count / (writer_s + server_s), "events": float(count)}


def _used_s(server: psutil.Process) -> float:
    times = server.cpu_times()
    return float(times.user + times.system)


def run(kafka: str, seconds: float = SECONDS) -> float:
    """Events per second of one core; needs no broker. In a process of its own, because it binds itself to a core."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.case_store", str(seconds)],
        check=True,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    return float(json.loads(done.stdout.splitlines()[-1])["events_per_core_s"])


if __name__ == "__main__":
    print(json.dumps(measured(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)))  # noqa: T201 - the program's answer
