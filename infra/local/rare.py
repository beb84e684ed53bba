"""What `medpost doctor` looks for that is seldom wrong: half-fetched jars, strangers on ports, clocks, stale figures.

Called by `infra.local.doctor`, each as one question with one answer in words. It looks and changes nothing; a server
that does not answer is the doctor's own finding, so here it is nothing to tell.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import psutil
from msgspec import Struct

from infra import rollup
from infra import settings as settings_module
from infra.clickhouse import Store, without_database
from infra.kafka import LogReader
from infra.local import jars
from infra.registry_changes import read_bad
from infra.rollup import DirtyDay
from infra.settings import Settings
from schemas import topics

ROLLUP_LATE_S: Final = 600
"""A day is rebuilt within a minute or two of its last event; ten minutes mean that nobody builds."""
STAMPED: Final = (topics.BACKLOG, topics.ACCOUNTS, topics.CONFIG["versions"])
"""Topics of one partition whose newest record says what time it was at the broker."""


class Trouble(Struct, frozen=True):
    """What is wrong, and how to mend it."""

    detail: str
    remedy: str


def jar_trouble(folder: Path) -> Trouble | None:
    """A fetch that broke off, or jars that were cut or removed; None when they are whole or were never fetched."""
    part = folder.with_name(folder.name + ".part")
    if jars.is_complete(folder) or not (folder.exists() or part.exists()):
        return None
    try:
        sizes: dict[str, int] = json.loads((folder / jars.MANIFEST).read_text("utf-8"))
        whole = sum(
            (folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items()
        )
        detail = f"{whole} of {len(sizes)} jars in {folder} are whole"
    except (OSError, ValueError):
        detail = f"the jars in {folder} were fetched half-way"
    return Trouble(detail, "`medpost up` fetches them again (Maven and a network are needed)")


def holder_of(port: int) -> str:
    """Name and pid of the program that listens on that loopback port; "" when it cannot be seen."""
    try:
        listening = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        pid = next((one.pid for one in listening if one.laddr and one.laddr.port == port and one.pid), None)
        return f"{psutil.Process(pid).name()} (pid {pid})" if pid is not None else ""
    except psutil.Error:
        return ""


def newest_append_ms(settings: Settings) -> int:
    """The latest time that the broker put on a record of the platform, UTC ms; 0 when there is none."""
    newest = 0
    with LogReader(settings_module.kafka_endpoint(settings)) as reader:
        for topic in STAMPED:
            name = topic.named(settings.namespace)
            if reader.partitions(name) == 0:
                continue
            last = reader.end_offset(name, 0) - 1
            newest = max([newest, *(record.timestamp for record in reader.read(name, 0, max(last, 0)))])
    return newest


def clock_trouble(append_ms: int, now_ms: int, tolerance_s: int) -> Trouble | None:
    """A clock behind the broker's. One that is ahead of it cannot be told from a log that is merely quiet."""
    ahead_s = (append_ms - now_ms) / 1000
    if ahead_s <= tolerance_s:
        return None
    return Trouble(f"this clock is {ahead_s:.0f} s behind the broker's", "set both clocks, e.g. by NTP")


def registry_trouble(settings: Settings) -> Trouble | None:
    """Objects of the registry whose newest record cannot be read. Raises UnavailableError without a broker."""
    bad = read_bad(settings)
    if not bad:
        return None
    named = ", ".join(f"{one.kind}/{one.object_id}" for one in bad[:5])
    more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
    return Trouble(f"unreadable: {named}{more}; the old value stands", "`medpost registry apply` the files again")


def rollup_trouble(days: Sequence[DirtyDay]) -> Trouble | None:
    """Days whose figures are older than their events by more than ten minutes, by the store's own clock."""
    late = [day for day in days if _age_s(day) > ROLLUP_LATE_S]
    if not late:
        return None
    oldest_s = max(_age_s(day) for day in late)
    return Trouble(
        f"{len(late)} days wait to be counted, for {oldest_s / 60:.0f} minutes",
        "see that the trace writer runs (`medpost status`), then its log",
    )


def waiting_days(settings: Settings) -> list[DirtyDay]:
    """Days that are not yet counted, none before the trace writer made the tables; raises UnavailableError."""
    with Store(settings_module.store_endpoint(settings)) as store:
        with Store(without_database(store.dsn)) as server:
            there = server.rows(
                "SELECT count() AS n FROM system.tables WHERE database = {name:String} AND name = 'built_days'",
                name=store.database,
            )
        return rollup.dirty_days(store) if there[0]["n"] else []


def _age_s(day: DirtyDay) -> float:
    return (datetime.fromisoformat(day.seen_at) - datetime.fromisoformat(day.newest)).total_seconds()
