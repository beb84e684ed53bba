"""What `medpost up`, `down` and `status` do: begin, end and look at the supervisor of a home.

Called by the command line; it prints nothing, it reports. Never starts a server itself.
"""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import psutil
from msgspec import Struct

from infra.local import broker, processes
from infra.local.child import ALIVE, WAITS, State
from infra.local.installation import has_broker, health_port, read_json
from infra.local.jars import ensure_jars
from infra.local.java import require_java
from infra.local.supervisor import ROLE_GRACE_S, SERVERS, STORE_GRACE_S
from infra.settings import Settings, environment_for, servers_file
from schemas.errors import UnavailableError

LEAST_FREE_BYTES: Final = 1 << 30
UP_TIMEOUT_S: Final = 200.0
SETTLED_S: Final = 20.0
"""How long `up` waits, once the servers answer, for the other processes to say that they are ready."""

WAITING_S: Final = 5.0
"""How long nothing may change before `up` returns while some say that they wait, as intake does for a registry."""

DOWN_TIMEOUT_S: Final = ROLE_GRACE_S + STORE_GRACE_S + broker.STOP_GRACE_S + 10
WIPED: Final = ("broker", "store", "state", "simulators", "run", "logs")
"""What `up --fresh` removes from a home; the keys stay, old sealed exports need them."""

_POLL_S: Final = 0.1


class Row(Struct, frozen=True):
    """One line of status; `memory_mb` is resident memory, `uptime_s` since the process began."""

    name: str
    pid: int
    state: str
    restarts: int
    uptime_s: int
    memory_mb: int
    port: int
    note: str


def supervisor_of(settings: Settings) -> processes.Record | None:
    """The home's running supervisor, if there is one."""
    record = processes.read_record(settings.run_folder / "supervisor.pid")
    return record if processes.is_running(record) else None


def check_home(settings: Settings) -> None:
    """Raises UnavailableError when the home cannot be written or its disk is nearly full."""
    try:
        settings.run_folder.mkdir(parents=True, exist_ok=True)
        processes.write_atomically(settings.run_folder / "write-test", "")
        (settings.run_folder / "write-test").unlink()
    except OSError as problem:
        raise UnavailableError(
            f"cannot write to {settings.home}: {problem.strerror}", "make it writable, or set MEDPOST_HOME elsewhere"
        ) from problem
    free = shutil.disk_usage(settings.home).free
    if free < LEAST_FREE_BYTES:
        raise UnavailableError(
            f"only {free >> 20} MB are free on the disk of {settings.home}",
            f"free at least {LEAST_FREE_BYTES >> 20} MB, or set MEDPOST_HOME elsewhere",
        )


def prepare_up(settings: Settings) -> None:
    """Everything that can be missing, found before anything starts; fetches the jars. Raises UnavailableError."""
    check_home(settings)
    if has_broker(settings):
        require_java()
        ensure_jars()


def begin(settings: Settings, *, only_servers: bool) -> bool:
    """Starts the supervisor; False when one runs already that does what is asked.

    One that keeps only the servers is asked to leave them to its successor when everything is wanted.
    """
    running = supervisor_of(settings)
    if running is not None:
        if only_servers or not read_json(settings.run_folder / "status.json").get("only_servers"):
            return False
        processes.send(running, signal.SIGHUP)
        _wait_for_end(running, 10)
    (settings.run_folder / "status.json").unlink(missing_ok=True)
    _spawn_supervisor(settings, only_servers=only_servers)
    return True


def _spawn_supervisor(settings: Settings, *, only_servers: bool) -> None:
    logs = settings.home / "logs"
    logs.mkdir(exist_ok=True)
    command = [sys.executable, "-P", "-m", "infra.local.supervisor", *(["--only-servers"] if only_servers else [])]
    with (logs / "supervisor.log").open("ab") as log:
        subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment_for(settings),
            start_new_session=True,
        ).returncode = 0  # it outlives us on purpose: no warning about that


def follow(settings: Settings) -> Iterator[dict[str, Any]]:
    """The supervisor's process rows, each when it has changed, until all are ready or waiting longer is no use.

    Once the servers answer the others have SETTLED_S more. Raises UnavailableError when the servers do not come.
    """
    began = changed_at = time.monotonic()
    servers_since = 0.0
    seen: dict[str, Any] = {}
    while True:
        rows = _rows_by_name(settings)
        yield from (row for name, row in rows.items() if seen.get(name) != row)
        now = time.monotonic()
        seen, changed_at = rows, (changed_at if rows == seen else now)
        if rows and all(row["state"] == State.RUNNING for row in rows.values()):
            return
        servers_since = (servers_since or now) if rows and do_servers_run(rows) else 0.0
        if servers_since and _has_settled(rows, now - changed_at, now - servers_since):
            return
        if not servers_since:
            _check_hope(settings, rows, now - began)
        time.sleep(_POLL_S)


def _has_settled(rows: dict[str, Any], unchanged_s: float, servers_ran_s: float) -> bool:
    return unchanged_s > WAITING_S if all(map(is_well, rows.values())) else servers_ran_s > SETTLED_S


def _rows_by_name(settings: Settings) -> dict[str, Any]:
    status = read_json(settings.run_folder / "status.json")
    if status.get("phase") == "failed":
        raise UnavailableError(str(status.get("note")), f"read {settings.home / 'logs' / 'supervisor.log'}")
    return {row["name"]: row for row in status.get("processes", [])}


def is_well(row: dict[str, Any]) -> bool:
    """Whether a process is ready, or lives and says itself what it waits for."""
    is_waiting = row["state"] == State.STARTING and row["note"].startswith(WAITS)
    return bool(row["state"] == State.RUNNING or is_waiting)


def do_servers_run(rows: dict[str, Any]) -> bool:
    """Whether broker, store and simulators answer, as far as they are ours."""
    return all(rows[name]["state"] == State.RUNNING for name in SERVERS if name in rows)


def _check_hope(settings: Settings, rows: dict[str, Any], waited_s: float) -> None:
    logs = settings.home / "logs"
    for name in SERVERS:
        if name in rows and rows[name]["state"] == State.LOOPING:
            raise UnavailableError(f"{name} does not start: {rows[name]['note']}", f"read {logs / name}.log")
    is_gone = waited_s > 15 and supervisor_of(settings) is None
    if is_gone or waited_s > UP_TIMEOUT_S:
        raise UnavailableError(f"the servers did not come within {waited_s:.0f} s", f"read {logs}/supervisor.log")


def end(settings: Settings) -> list[str]:
    """Stops everything of this home in its order; the names of what ran, [] when nothing did.

    With the supervisor gone, what it left is stopped in the same order.
    """
    running = supervisor_of(settings)
    names = ["supervisor"] if running is not None else []
    names += [name for name, record in _records(settings) if processes.is_running(record)]
    if running is not None:
        processes.ask_to_end(running)
        _wait_for_end(running, DOWN_TIMEOUT_S)
    for grace_s, chosen in _stop_order(_records(settings)):
        processes.stop(chosen, grace_s)
    for file in (*settings.run_folder.glob("*.pid"), servers_file(settings), settings.run_folder / "status.json"):
        file.unlink(missing_ok=True)
    return names


def orphans(settings: Settings) -> list[str]:
    """Names of our processes that run although no supervisor does."""
    if supervisor_of(settings) is not None:
        return []
    return [name for name, record in _records(settings) if processes.is_running(record)]


def _records(settings: Settings) -> list[tuple[str, processes.Record]]:
    found = ((file.stem, processes.read_record(file)) for file in sorted(settings.run_folder.glob("*.pid")))
    return [(name, record) for name, record in found if record is not None and name != "supervisor"]


def _stop_order(records: list[tuple[str, processes.Record]]) -> list[tuple[float, list[processes.Record]]]:
    """Grace in seconds and processes, in the order in which they end: roles, simulators and store, broker."""
    return [
        (ROLE_GRACE_S, [record for name, record in records if name not in SERVERS]),
        (STORE_GRACE_S, [record for name, record in records if name != "broker"]),
        (broker.STOP_GRACE_S, [record for _, record in records]),
    ]


def _wait_for_end(record: processes.Record, limit_s: float) -> None:
    """Waits; kills with -9 what does not end in time (its children are found by their records)."""
    limit = time.monotonic() + limit_s
    while processes.is_running(record) and time.monotonic() < limit:
        processes.reap(record.pid)
        time.sleep(_POLL_S)
    processes.send(record, signal.SIGKILL)


def wipe(settings: Settings) -> None:
    """Removes the data of a home that is down: topics, tables, state, received messages, logs. Keys stay."""
    for name in WIPED:
        shutil.rmtree(settings.home / name, ignore_errors=True)


def look(settings: Settings) -> list[Row]:
    """Every process of the home as it is now, the supervisor first; [] when nothing was ever started or all is down."""
    running = supervisor_of(settings)
    rows = [_row(row, settings) for row in _safe_rows(settings)]
    if running is None:
        return [row for row in rows if row.pid]
    return [_measured("supervisor", running.pid, "running"), *rows]


def _safe_rows(settings: Settings) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_json(settings.run_folder / "status.json").get("processes", [])
    return found


def _row(row: dict[str, Any], settings: Settings) -> Row:
    """What the supervisor last wrote, corrected by what the system knows: a pid that is gone is not running."""
    record = processes.read_record(settings.run_folder / f"{row['name']}.pid")
    if record is None or not processes.is_running(record):
        return Row(
            row["name"],
            0,
            row["state"] if row["state"] not in ALIVE else "dead",
            row["restarts"],
            0,
            0,
            row["port"],
            row["note"],
        )
    port = row["port"] or health_port(settings.run_folder, record.pid)
    state = row["state"] if supervisor_of(settings) else "unsupervised"
    return _measured(row["name"], record.pid, state, restarts=row["restarts"], port=port, note=row["note"])


def _measured(name: str, pid: int, state: str, restarts: int = 0, port: int = 0, note: str = "") -> Row:
    try:
        process = psutil.Process(pid)
        uptime_s, memory = time.time() - process.create_time(), process.memory_info().rss
    except psutil.Error:
        uptime_s, memory = 0.0, 0
    return Row(name, pid, state, restarts, int(uptime_s), memory >> 20, port, note)
