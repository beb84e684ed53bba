"""A supervised process over its lives, with time by hand: start, ready, death, back-off, takeover."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.local import processes
from infra.local.backoff import LOOPING_AFTER
from infra.local.child import NO_ANSWER, Blueprint, Child, State, recipe_of
from schemas.errors import UnavailableError

SLEEP = (sys.executable, "-S", "-c", "import time; time.sleep(60)")
FAILS = (sys.executable, "-S", "-c", "raise SystemExit(3)")


def _blueprint(argv: tuple[str, ...] = SLEEP, lacking: Callable[[int], str] = lambda _: "") -> Blueprint:
    return Blueprint("one", lambda: argv, dict(os.environ), lacking, start_timeout_s=10)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[Blueprint], Child]]:
    """Makes children in one home and ends what they started."""
    made: list[Child] = []

    def child(blueprint: Blueprint) -> Child:
        made.append(Child(blueprint, tmp_path / "run", tmp_path / "logs"))
        return made[-1]

    yield child
    processes.stop([one.record for one in made if one.record is not None], 5)


def _state(child: Child) -> State:
    return child.state


def _end(child: Child, number: signal.Signals = signal.SIGKILL) -> None:
    """Kills its process and waits until it is a zombie, without collecting it."""
    assert child.record is not None
    os.kill(child.record.pid, number)
    os.waitid(os.P_PID, child.record.pid, os.WEXITED | os.WNOWAIT)


def test_starts_and_becomes_ready(make: Callable[[Blueprint], Child]) -> None:
    """Started at the first look, running when it answers."""
    lacking = NO_ANSWER
    child = make(_blueprint(lacking=lambda _: lacking))
    child.tick(0, set())
    child.tick(1, set())
    assert _state(child) is State.STARTING
    lacking = ""
    child.tick(2, set())
    assert _state(child) is State.RUNNING


def test_waits_for_what_it_needs(make: Callable[[Blueprint], Child]) -> None:
    """Not started before the children it needs are ready."""
    child = make(Blueprint("one", lambda: SLEEP, dict(os.environ), lambda _: "", needs=("broker",)))
    child.tick(0, set())
    assert _state(child) is State.WAITING
    child.tick(1, {"broker"})
    assert _state(child) is State.STARTING


def test_killed_one_is_started_again(make: Callable[[Blueprint], Child]) -> None:
    """After kill -9 it waits its first short delay, then there is a new process; the count says 1."""
    child = make(_blueprint())
    child.tick(0, set())
    child.tick(1, set())
    first = child.record
    _end(child)
    child.tick(100, set())
    assert (_state(child), child.restarts, child.note) == (State.RESTARTING, 1, "killed by signal 9")
    child.tick(100.1, set())
    assert _state(child) is State.RESTARTING
    child.tick(100.3, set())
    assert _state(child) is State.STARTING
    assert child.record != first


def test_crash_loop_is_called_so(make: Callable[[Blueprint], Child]) -> None:
    """Quick deaths in a row become a crash loop with the exit code, at ever longer distances."""
    child = make(_blueprint(FAILS))
    now = 0.0
    for _ in range(LOOPING_AFTER):
        child.tick(now, set())
        assert child.record is not None
        os.waitid(os.P_PID, child.record.pid, os.WEXITED | os.WNOWAIT)
        child.tick(now, set())
        now += 20
    assert _state(child) is State.LOOPING
    assert child.note == "ended with exit code 3"


def test_silent_one_is_killed(make: Callable[[Blueprint], Child]) -> None:
    """One that never answers is killed when its time is up, and status says why."""
    child = make(_blueprint(lacking=lambda _: NO_ANSWER))
    child.tick(0, set())
    child.tick(11, set())
    assert child.record is not None
    os.waitid(os.P_PID, child.record.pid, os.WEXITED | os.WNOWAIT)
    assert "did not answer within 10 s" in child.note


def test_one_that_waits_says_for_what(make: Callable[[Blueprint], Child]) -> None:
    """A process that is well and not ready shows what it waits for, and is asked less often after a while."""
    asked: list[int] = []

    def lacking(pid: int) -> str:
        asked.append(pid)
        return "the registry"

    child = make(Blueprint("one", lambda: SLEEP, dict(os.environ), lacking))
    for tick in range(200):
        child.tick(tick / 10, set())
    assert (_state(child), child.note, child.restarts) == (State.STARTING, "waits for the registry", 0)
    assert 150 <= len(asked) <= 160


def test_successor_takes_the_process_over(make: Callable[[Blueprint], Child]) -> None:
    """A new supervisor with the same recipe keeps the running process."""
    first, second = make(_blueprint()), make(_blueprint())
    first.tick(0, set())
    second.tick(0, set())
    assert first.record == second.record
    second.tick(1, set())
    assert _state(second) is State.RUNNING


def test_successor_with_another_recipe_replaces_it(make: Callable[[Blueprint], Child]) -> None:
    """Another command line means another process; the old one ends first."""
    first, second = make(_blueprint()), make(_blueprint((*SLEEP, "other")))
    first.tick(0, set())
    second.tick(0, set())
    assert first.record != second.record
    assert not processes.is_running(first.record)


def test_what_cannot_start_is_tried_again(make: Callable[[Blueprint], Child]) -> None:
    """Java gone for a moment is a note in status, not the end of the supervisor."""

    def argv() -> tuple[str, ...]:
        raise UnavailableError("java is not on the PATH", "install it")

    child = make(Blueprint("one", argv, {}, lambda _: ""))
    child.tick(0, set())
    assert (_state(child), child.note) == (State.RESTARTING, "java is not on the PATH; install it")


def test_recipe_covers_our_environment_only() -> None:
    """Another MEDPOST variable or server address is another recipe, another terminal is not."""
    base = Blueprint("one", lambda: SLEEP, {"TERM": "a", "MEDPOST_X": "1"}, lambda _: "")
    same = Blueprint("one", lambda: SLEEP, {"TERM": "b", "MEDPOST_X": "1"}, lambda _: "")
    moved = Blueprint("one", lambda: SLEEP, {"MEDPOST_X": "1"}, lambda _: "", built_on="127.0.0.1:9")
    told = Blueprint("one", lambda: SLEEP, {"MEDPOST_X": "2"}, lambda _: "")
    assert recipe_of(SLEEP, base) == recipe_of(SLEEP, same)
    assert len({recipe_of(SLEEP, one) for one in (base, moved, told)}) == 3
