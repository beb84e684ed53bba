"""The supervisor: one process per home that starts the servers and the medpost processes and keeps them running.

Started by `medpost up` as `python -m infra.local.supervisor`, in a session of its own. It holds a file lock while it
lives, so there is one; killed with -9 it leaves its children, and its successor takes them over. Never decides from
a process name, and never stops a server before those who use it.
"""

import argparse
import fcntl
import json
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from infra import settings as settings_module
from infra.local import broker, processes
from infra.local.child import Child, State
from infra.local.installation import Installation, blueprints, choose_ports, load_here
from schemas.errors import UnavailableError

TICK_S: Final = 0.2
LOG_BYTES: Final = 16 << 20
"""A log above this is moved to `<name>.log.1` (its predecessor goes) and begun anew."""

SHUT_OUT_AFTER_S: Final = 1.0
ROLE_GRACE_S: Final = 15.0
STORE_GRACE_S: Final = 20.0
_LOOK_AT_LOGS_EVERY_S: Final = 5.0
SERVERS: Final = ("broker", "store", "simulators")

log = logging.getLogger("medpost.supervisor")


class Supervisor:
    """All children of one home."""

    def __init__(self, here: Installation, *, only_servers: bool) -> None:
        self._here = here
        self._only_servers = only_servers
        self.children = [Child(one, here.run, here.logs) for one in blueprints(here, only_servers=only_servers)]
        self._written = ""
        self._logs_seen_at = 0.0
        self._leave_by: signal.Signals | None = None

    def run(self) -> None:
        """Keeps everything running until SIGTERM (stop all) or SIGHUP (leave the children to a successor)."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._stop_strangers()
        self._write_servers()
        while self._leave_by is None:
            if not self._here.run.is_dir():
                log.error("the home has been removed: stopping everything")
                self._leave_by = signal.SIGTERM
                break
            self.tick(time.monotonic())
            time.sleep(TICK_S)
        if self._leave_by in (signal.SIGTERM, signal.SIGINT):
            self.stop_all()

    def tick(self, now: float) -> None:
        """One look at every child."""
        running = {child.blueprint.name for child in self.children if child.state is State.RUNNING}
        for child in self.children:
            before = child.state
            child.tick(now, running)
            if child.state is not before:
                log.info("%s: %s %s", child.blueprint.name, child.state, child.note)
        if any(_is_shut_out(child, now) for child in self.children):
            self._leave_by = signal.SIGUSR1  # a successor with other ports is started by main()
        self._write_status("up")
        if now - self._logs_seen_at > _LOOK_AT_LOGS_EVERY_S:
            self._logs_seen_at = now
            bound_logs(self._here.logs)

    def stop_all(self) -> None:
        """Those who use the servers first, then simulators and store, the broker last."""
        self._write_status("stopping")
        self._stop([child for child in self.children if child.blueprint.name not in SERVERS], ROLE_GRACE_S)
        self._stop([child for child in self.children if child.blueprint.name != "broker"], STORE_GRACE_S)
        self._stop(self.children, broker.STOP_GRACE_S)
        settings_module.servers_file(self._here.settings).unlink(missing_ok=True)
        self._write_status("down")

    def _stop(self, children: list[Child], grace_s: float) -> None:
        live = [child for child in children if child.state is not State.STOPPED]
        killed = processes.stop([child.record for child in live if child.record is not None], grace_s)
        for child in live:
            child.note = f"killed: still ran {grace_s:.0f} s after SIGTERM" if child.record in killed else ""
            child.stop()
            log.info("%s: stopped %s", child.blueprint.name, child.note)
        self._write_status("stopping")

    def _on_signal(self, number: int, _frame: object) -> None:
        self._leave_by = signal.Signals(number)

    def _stop_strangers(self) -> None:
        """Ends what an earlier supervisor started and this one shall not run."""
        ours = {child.record_file for child in self.children}
        left = [file for file in self._here.run.glob("*.pid") if file not in ours and file.name != "supervisor.pid"]
        records = [record for record in map(processes.read_record, left) if record is not None]
        processes.stop(records, ROLE_GRACE_S)
        for file in left:
            file.unlink(missing_ok=True)

    @property
    def must_move(self) -> bool:
        """Whether it left its loop to be followed by one with other ports."""
        return self._leave_by is signal.SIGUSR1

    def _write_servers(self) -> None:
        pids = {child.blueprint.name: child.record.pid for child in self.children if child.record is not None}
        gateway = {} if self._only_servers else {"gateway": self._here.gateway()}
        found = {**self._here.addresses(), **gateway, "pids": {"supervisor": os.getpid(), **pids}}
        text = json.dumps(found, indent=1)
        processes.write_atomically(settings_module.servers_file(self._here.settings), text)

    def _write_status(self, phase: str) -> None:
        rows = [child.row() for child in self.children]
        text = json.dumps(
            {"supervisor": os.getpid(), "phase": phase, "only_servers": self._only_servers, "processes": rows}
        )
        if text == self._written:
            return
        try:
            processes.write_atomically(self._here.run / "status.json", text)
            self._written = text
            if phase == "up":
                self._write_servers()
        except OSError as problem:  # a full disk or a removed home must not end the one who can stop the rest
            log.warning("status cannot be written: %s", problem.strerror)


def _is_shut_out(child: Child, now: float) -> bool:
    """Whether somebody else holds its port, and not only its own predecessor that is just ending."""
    return child.blocked_since is not None and now - child.blocked_since > SHUT_OUT_AFTER_S


def bound_logs(folder: Path) -> None:
    """Moves the content of every log that has grown too large to its `.1`; writers append, so they go on at 0."""
    for file in folder.glob("*.log"):
        if file.stat().st_size > LOG_BYTES:
            shutil.copyfile(file, file.with_name(file.name + ".1"))
            os.truncate(file, 0)


@contextmanager
def sole_supervisor(run: Path) -> Iterator[bool]:
    """Holds the home's lock; False when another supervisor has it. The system frees it when we die."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        processes.write_record(run / "supervisor.pid", os.getpid())
        yield True


def main() -> None:
    """Supervises until told to end; one line and exit code 3 when it cannot begin."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only-servers", action="store_true", help="broker, store and simulators, no roles")
    asked = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = load_here()
    with sole_supervisor(settings.run_folder) as is_sole:
        if not is_sole:
            return
        try:
            _supervise(settings, only_servers=asked.only_servers)
        except UnavailableError as problem:
            failure = {"supervisor": os.getpid(), "phase": "failed", "processes": [], "note": problem.detail}
            processes.write_atomically(settings.run_folder / "status.json", json.dumps(failure))
            log.error("%s; %s", problem.detail, problem.remedy)  # noqa: TRY400 - one line, as users read it
            sys.exit(3)


def _supervise(settings: settings_module.Settings, *, only_servers: bool) -> None:
    while True:
        here = Installation(settings, choose_ports(settings.run_folder))
        supervisor = Supervisor(here, only_servers=only_servers)
        supervisor.run()
        if not supervisor.must_move:
            return
        log.warning("a port was taken by somebody else: moving")


if __name__ == "__main__":
    main()
