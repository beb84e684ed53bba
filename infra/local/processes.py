"""Child processes that can be found again: each has a record file with its pid and when the kernel started it.

A pid alone may be somebody else's by now, a name always may; pid and start time together are one process. The
record is written by the child itself before it becomes the program, so a parent killed at any moment leaves
no child unrecorded. Called by the supervisor, the test fixtures and `medpost status`. Never looks for processes by
name, and never signals one whose start time differs from its record.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import psutil
from msgspec import Struct

from schemas.errors import UnavailableError

_POLL_S: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1


class Record(Struct, frozen=True):
    """One started process: its pid, the kernel's mark of its start, and a digest of what it was started with."""

    pid: int
    started: str
    recipe: str = ""


class Launch(Struct, frozen=True):
    """What to start and where its output and record go."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    record: Path
    recipe: str = ""
    ends_with_parent: bool = False
    """Let the kernel send SIGTERM when the parent dies (Linux); tests want no leftovers, the supervisor none lost."""
    niceness: int = 0
    """How far it stands back for others when the processor is short: 0 to 19, as nice(1)."""


def start_mark(pid: int) -> str:
    """Names one life of a pid: boot and start tick (Linux) or creation time; empty when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _creation_time(pid)
    state, threads, started = fields[0], int(fields[17]), fields[19]
    if state in "ZX" and threads <= 1:  # while other threads end, a process still holds its ports and locks
        return ""
    return f"{_boot_id()}/{started}"


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()[:8]
    except OSError:
        return "boot"


def _creation_time(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return ""


def is_running(record: Record | None) -> bool:
    """Whether exactly that process still runs."""
    return record is not None and start_mark(record.pid) == record.started != ""


def write_atomically(path: Path, text: str) -> None:
    """Replaces a small file in one step, so that a reader sees the old or the new text and never a half."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text, "utf-8")
    part.replace(path)


def write_record(path: Path, pid: int, recipe: str = "") -> Record:
    """Records the process `pid`, which must be running."""
    record = Record(pid, start_mark(pid), recipe)
    write_atomically(path, json.dumps({"pid": record.pid, "started": record.started, "recipe": record.recipe}))
    return record


def read_record(path: Path) -> Record | None:
    """The record in that file; None when there is none or it is not readable as one."""
    try:
        found = json.loads(path.read_text("utf-8"))
        return Record(int(found["pid"]), str(found["started"]), str(found.get("recipe", "")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def spawn(launch: Launch) -> Record:
    """Starts it in a session of its own, output appended to its log; OSError when the program cannot be run."""

    def introduce() -> None:
        write_record(launch.record, os.getpid(), launch.recipe)
        if launch.ends_with_parent and sys.platform == "linux":
            _ask_for_parent_death_signal()
        if launch.niceness:
            _stand_back(launch.niceness)

    launch.log.parent.mkdir(parents=True, exist_ok=True)
    launch.record.parent.mkdir(parents=True, exist_ok=True)
    with launch.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - argv is built by us
            launch.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(launch.environment),
            start_new_session=True,
            preexec_fn=introduce,  # noqa: PLW1509 - no thread of ours runs Python here; the record must precede the exec
        )
    process.returncode = 0  # the record, not this object, follows the process; see reap()
    record = read_record(launch.record)
    if record is None:  # the child wrote it before the exec
        raise OSError(f"the record {launch.record} vanished")
    return record


def start(launch: Launch, answers: Callable[[], bool], timeout_s: float) -> Record:
    """Starts it and waits until it answers; raises UnavailableError naming its log when it ends or never does."""
    record = spawn(launch)
    end = time.monotonic() + timeout_s
    while not answers():
        reap(record.pid)
        if not is_running(record) or time.monotonic() > end:
            stop([record], 1)
            raise UnavailableError(f"the {launch.name} did not start", f"read {launch.log}")
        time.sleep(_POLL_S)
    return record


def _ask_for_parent_death_signal() -> None:
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _stand_back(niceness: int) -> None:
    """Linux may weigh a session of its own as one (sched_autogroup), and looks at its niceness alone; see sched(7)."""
    os.nice(niceness)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness), "ascii")


def reap(pid: int) -> int | None:
    """Collects an ended child: its exit code (negative: the signal), None when it runs or is no child of ours."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def send(record: Record, number: signal.Signals) -> None:
    """Signals that process, and nothing when it is gone."""
    if is_running(record):
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, number)


def ask_to_end(record: Record) -> None:
    """SIGTERM, and SIGCONT so that a frozen one (SIGSTOP) hears it."""
    send(record, signal.SIGTERM)
    send(record, signal.SIGCONT)


def stop(records: Iterable[Record], grace_s: float) -> list[Record]:
    """Asks all to end (SIGTERM), kills after `grace_s` seconds what still runs; returns what had to be killed."""
    running = [record for record in records if is_running(record)]
    for record in running:
        ask_to_end(record)
    stubborn = _wait(running, grace_s)
    for record in stubborn:
        send(record, signal.SIGKILL)
    _wait(stubborn, 10)
    return stubborn


def _wait(records: list[Record], limit_s: float) -> list[Record]:
    end = time.monotonic() + limit_s
    while records and time.monotonic() < end:
        left = [record for record in records if is_running(record)]
        for record in records:
            reap(record.pid)
        records = left
        if records:
            time.sleep(_POLL_S)
    return records
