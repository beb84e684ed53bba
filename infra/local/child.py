"""One supervised process: started when its time has come, watched, started again when it dies.

A small state machine that the supervisor ticks; time is handed in. It owns the record file of its process, so a
predecessor's process that still runs, started by the same recipe, is taken over and not started twice.
"""

import hashlib
import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from infra.local import backoff, processes
from infra.local.ports import is_free
from infra.local.processes import Launch, Record
from schemas.errors import UnavailableError


class State(StrEnum):
    """What status shows."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    LOOPING = "crash loop"
    STOPPED = "stopped"


ALIVE: Final = frozenset({State.STARTING, State.RUNNING})


NO_ANSWER: Final = "its answer"
"""What a process that does not answer at all waits for."""

WAITS: Final = "waits for "
"""Begins the note of a process that is well and not ready: it says itself what it waits for."""

ASK_OFTEN_FOR_S: Final = 15.0
ASK_SLOWLY_S: Final = 1.0
"""A process that is not ready is asked at every tick for a while, then once a second: it may wait for days."""


class Blueprint(Struct, frozen=True):
    """How one process is made and judged.

    `argv` prepares what it needs and returns its command line (it may raise UnavailableError); `waits_for` says what
    the process with this pid still lacks to be ready, "" when it is; `needs` names children that must run first.
    """

    name: str
    argv: Callable[[], tuple[str, ...]]
    environment: dict[str, str]
    waits_for: Callable[[int], str]
    needs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    """Where it listens, if that is ours to say; the first is the one users want to know."""
    built_on: str = ""
    """What it reads at its start and not again (the servers' addresses): another value, another recipe."""
    start_timeout_s: float = 0.0
    """Killed and started again when it does not answer in time; 0: never for that."""
    niceness: int = 0
    """How far it stands back for others when the processor is short."""


def recipe_of(argv: tuple[str, ...], blueprint: Blueprint) -> str:
    """A digest of what a process was started with, so that a successor knows whether it would start the same."""
    ours = sorted(f"{name}={value}" for name, value in blueprint.environment.items() if name.startswith("MEDPOST_"))
    return hashlib.sha256("\0".join([*argv, *ours, blueprint.built_on]).encode()).hexdigest()[:16]


class Child:
    """The life of one process over all its restarts."""

    def __init__(self, blueprint: Blueprint, run_folder: Path, log_folder: Path) -> None:
        self.blueprint = blueprint
        self.record_file = run_folder / f"{blueprint.name}.pid"
        self.log = log_folder / f"{blueprint.name}.log"
        self.record: Record | None = None
        self.state = State.WAITING
        self.restarts = 0
        self.note = ""
        self.blocked_since: float | None = None
        """Since when somebody else listens on a port of ours, so that starting is no use."""
        self._quick_deaths = 0
        self._next_at = 0.0
        self._began_at = 0.0

    def tick(self, now: float, running: set[str]) -> None:
        """One look: starts, promotes or buries the process. `running` names the children that are ready."""
        if self.state in ALIVE:
            self._watch(now)
        elif now >= self._next_at and running.issuperset(self.blueprint.needs):
            self._begin(now)

    def stop(self) -> None:
        """Marks it as ended on purpose; ending the process is the caller's."""
        self.state = State.STOPPED
        self.record_file.unlink(missing_ok=True)

    def row(self) -> dict[str, Any]:
        """What status shows of it."""
        return {
            "name": self.blueprint.name,
            "pid": self.record.pid if self.record and self.state in ALIVE else 0,
            "state": str(self.state),
            "restarts": self.restarts,
            "port": next(iter(self.blueprint.ports), 0),
            "note": self.note,
        }

    def _begin(self, now: float) -> None:
        if self._is_blocked():
            self.blocked_since = now if self.blocked_since is None else self.blocked_since
            self.state, self.note, self._next_at = State.RESTARTING, "its port is taken", now + backoff.FIRST_S
            return
        self.blocked_since = None
        self._began_at = now
        try:
            argv = self.blueprint.argv()
            self._take_over_or_spawn(argv, recipe_of(argv, self.blueprint))
            self.state, self._next_at = State.STARTING, now
        except UnavailableError as problem:
            self._bury(now, f"{problem.detail}; {problem.remedy}")
        except OSError as problem:
            self._bury(now, f"cannot be started: {problem.strerror}")

    def _is_blocked(self) -> bool:
        left = processes.read_record(self.record_file)
        return not processes.is_running(left) and not all(map(is_free, self.blueprint.ports))

    def _take_over_or_spawn(self, argv: tuple[str, ...], recipe: str) -> None:
        left = processes.read_record(self.record_file)
        if left is not None and processes.is_running(left):
            if left.recipe == recipe:
                self.record = left
                return
            processes.stop([left], 15)
        one = self.blueprint
        launch = Launch(one.name, argv, one.environment, self.log, self.record_file, recipe, niceness=one.niceness)
        self.record = processes.spawn(launch)

    def _watch(self, now: float) -> None:
        record = self.record
        if record is None or not processes.is_running(record):
            self._bury(now, _last_words(processes.reap(record.pid) if record else None))
        elif self.state is State.STARTING and now >= self._next_at:
            self._next_at = now + (ASK_SLOWLY_S if now - self._began_at > ASK_OFTEN_FOR_S else 0.0)
            self._ask(now, record)

    def _ask(self, now: float, record: Record) -> None:
        """Is it ready? A process that says what it waits for is left to wait; one that says nothing is late in time."""
        lacking = self.blueprint.waits_for(record.pid)
        if not lacking:
            self.state, self.note = State.RUNNING, ""
        elif self._is_late(now):
            processes.send(record, signal.SIGKILL)
            self.note = f"did not answer within {self.blueprint.start_timeout_s:.0f} s"
        elif lacking != NO_ANSWER:
            self.note = f"{WAITS}{lacking}"

    def _is_late(self, now: float) -> bool:
        limit_s = self.blueprint.start_timeout_s
        return self.state is State.STARTING and limit_s > 0 and now - self._began_at > limit_s

    def _bury(self, now: float, note: str) -> None:
        self.restarts += 1
        self.note = note or self.note
        self._quick_deaths = backoff.quick_deaths_after(self._quick_deaths, now - self._began_at)
        self._next_at = now + backoff.delay_s(self._quick_deaths)
        is_looping = self._quick_deaths >= backoff.LOOPING_AFTER
        self.state = State.LOOPING if is_looping else State.RESTARTING


def _last_words(code: int | None) -> str:
    if code is None:
        return "ended"
    return f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
