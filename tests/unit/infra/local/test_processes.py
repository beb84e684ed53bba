"""Processes found again by pid and start: ours is, a reused pid is not, and stopping is bounded."""

import os
import signal
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from infra.local import processes
from infra.local.processes import Launch, Record
from schemas.errors import UnavailableError

SLEEP = (sys.executable, "-S", "-c", "import time; time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-S",
    "-c",
    "import signal,time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
)


def _launch(folder: Path, argv: tuple[str, ...] = SLEEP, recipe: str = "r1") -> Launch:
    return Launch("sleeper", argv, dict(os.environ), folder / "sleeper.log", folder / "sleeper.pid", recipe)


def test_own_process_is_running() -> None:
    """This very process has a start mark, twice the same."""
    mark = processes.start_mark(os.getpid())
    assert mark
    assert processes.is_running(Record(os.getpid(), mark))


def test_reused_pid_is_not_the_process() -> None:
    """The same pid with another start is somebody else, and is not signalled."""
    stranger = Record(os.getpid(), "another/1")
    assert not processes.is_running(stranger)
    processes.send(stranger, signal.SIGKILL)
    assert processes.stop([stranger], 0.1) == []


def test_child_records_itself(tmp_path: Path) -> None:
    """The record on disk is the running child's, with its recipe, and a stop ends it."""
    record = processes.spawn(_launch(tmp_path))
    assert processes.read_record(tmp_path / "sleeper.pid") == record
    assert record.recipe == "r1"
    assert processes.is_running(record)
    assert processes.stop([record], 5) == []
    assert not processes.is_running(record)


def test_child_stands_back_when_told_to(tmp_path: Path) -> None:
    """The niceness is its own from before its program begins."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    record = processes.spawn(replace(_launch(tmp_path), niceness=3))
    try:
        assert os.getpriority(os.PRIO_PROCESS, record.pid) == min(19, before + 3)
    finally:
        processes.stop([record], 0.0)


def test_deaf_child_is_killed(tmp_path: Path) -> None:
    """A child that ignores SIGTERM is killed after its grace, and named."""
    record = processes.start(_launch(tmp_path, STUBBORN), lambda: (tmp_path / "sleeper.log").stat().st_size > 0, 5)
    assert processes.stop([record], 0.2) == [record]
    assert not processes.is_running(record)


def test_zombie_is_not_running(tmp_path: Path) -> None:
    """A child that ended but was not collected counts as gone, and its exit code is there to collect."""
    record = processes.spawn(_launch(tmp_path, (sys.executable, "-S", "-c", "raise SystemExit(7)")))
    os.waitid(os.P_PID, record.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.is_running(record)
    assert processes.reap(record.pid) == 7
    assert processes.reap(record.pid) is None


def test_start_that_dies_is_said(tmp_path: Path) -> None:
    """A program that ends before it answers is an error that names its log."""
    with pytest.raises(UnavailableError) as caught:
        processes.start(_launch(tmp_path, (sys.executable, "-S", "-c", "")), lambda: False, 5)
    assert "sleeper.log" in caught.value.remedy


def test_program_that_cannot_run_is_an_os_error(tmp_path: Path) -> None:
    """A missing program is an OSError, not a silent nothing."""
    with pytest.raises(OSError, match="nowhere"):
        processes.spawn(_launch(tmp_path, ("/nowhere/program",)))


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1}', '{"pid": "x", "started": "a"}', "[]"])
def test_broken_record_is_none(tmp_path: Path, text: str) -> None:
    """A half-written or foreign file is no record."""
    (tmp_path / "x.pid").write_text(text)
    assert processes.read_record(tmp_path / "x.pid") is None
