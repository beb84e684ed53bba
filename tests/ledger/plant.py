"""A whole installation in a folder of its own, through the product's supervisor, and the ways to hurt it.

Called by the course. Processes are found by the supervisor's records and signalled by pid; what dies is started again
by the supervisor, which is part of what is tested. A second sink process shares the normal lane, so that the
partitions of a frozen one have somewhere to go. It never publishes a message.
"""

import json
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from msgspec import Struct

from console.cli.registry import apply_place, sample_folder
from console.provisioning import provision_installation
from console.sample.phone import Phone
from infra import settings as settings_module
from infra.clickhouse import Store
from infra.crypto import load_keyring
from infra.local import control, processes
from infra.local.child import State
from infra.local.installation import waits_for
from infra.local.ports import any_port
from infra.local.roles import RoleSpec
from infra.registry_changes import read_current
from infra.settings import Settings
from schemas.errors import UnavailableError
from schemas.statuses import Lane

SECOND: Final = "sinks-normal-2"
UP_S: Final = 120.0
GONE_S: Final = 10.0
PAGE: Final = 5_000
CUT_NUMBERS: Final = ("13800002001", "13800002002")
"""Staff S001 and S002: their SMS is taken, and now and then the answer is cut off. Critical values are then sent again,
so somebody really gets some twice, and every one of these must say so."""
CUT_RATE: Final = 0.3
SICK_CODES: Final = {"aliyun": "ServiceUnavailable", "tencent": "ResourceUnavailable", "standard": "503"}
"""What a provider in trouble answers to everybody."""
PORTS: Final = ("broker", "controller", "store", "simulators")


class Mark(Struct, frozen=True):
    """One life of a process."""

    name: str
    record: processes.Record


class Plant:
    """The installation; as a context it is up inside and down afterwards."""

    def __init__(self, home: Path) -> None:
        self.settings: Final = Settings(
            home=home, kafka="", clickhouse="", simulators="", namespace="", log_level="info"
        )
        self._records = home / "second"

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.settings.home / "logs"

    # -- up and down

    def _begin(self) -> None:
        run = self.settings.run_folder
        run.mkdir(parents=True)
        processes.write_atomically(run / "ports.json", json.dumps({name: any_port() for name in PORTS}))
        control.prepare_up(self.settings)
        control.begin(self.settings, only_servers=False)
        self._wait("the servers", lambda: control.do_servers_run(self._rows()) and bool(self._rows()))
        self._wait("the topics", self._is_configured)
        snapshot = read_current(self.settings, load_keyring(self.settings)).snapshot
        Phone(self.addresses.simulators).approve_templates(snapshot)
        for number in CUT_NUMBERS:
            self.tell("script", {"provider": "aliyun", "action": "cut", "match": number, "rate": CUT_RATE})
        self.start_second()
        self._wait("all processes", lambda: not self.late())

    def _is_configured(self) -> bool:
        """Create the topics and apply the sample registry; on a busy machine a new topic's leader takes its time."""
        try:
            provision_installation(self.settings)
            apply_place(self.settings, sample_folder(), author="ledger")
        except UnavailableError:
            return False
        return True

    def end(self) -> None:
        """Stop everything, the frozen too."""
        for mark in self._marks():
            processes.send(mark.record, signal.SIGCONT)
        second = self.mark(SECOND)
        processes.stop([second.record] if second else [], 15)
        control.end(self.settings)

    def _marks(self) -> list[Mark]:
        names = [file.stem for file in self.settings.run_folder.glob("*.pid")]
        return [mark for name in [*names, SECOND] if (mark := self.mark(name)) is not None]

    def _rows(self) -> dict[str, Any]:
        try:
            status = json.loads((self.settings.run_folder / "status.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {row["name"]: row for row in status["processes"]}

    def _wait(self, what: str, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + UP_S
        while not is_so():
            if time.monotonic() > until:
                raise UnavailableError(f"{what} did not come up: {self.late()}", f"read the logs in {self.logs}")
            time.sleep(0.1)

    def late(self) -> list[str]:
        """Processes that are not ready, by name."""
        rows = self._rows()
        found = [name for name, row in rows.items() if row["state"] != State.RUNNING] if rows else ["supervisor"]
        return found if self.is_back(SECOND, None) else [*found, SECOND]

    @property
    def addresses(self) -> settings_module.Endpoints:
        """Where the servers listen now."""
        return settings_module.endpoints(self.settings)

    def store(self) -> Store:
        """A connection to the store."""
        return Store(self.addresses.clickhouse)

    # -- the second sinks

    def start_second(self) -> None:
        """Start the second sink process of the normal lane, if it does not run."""
        if self.mark(SECOND) is not None:
            return
        command = RoleSpec("sinks", Lane.NORMAL).command
        environment = settings_module.environment_for(self.settings)
        record = self._records / f"{SECOND}.pid"
        processes.spawn(
            processes.Launch(SECOND, command, environment, self.logs / f"{SECOND}.log", record, ends_with_parent=True)
        )

    # -- hurting

    def mark(self, name: str) -> Mark | None:
        """The running process of that name; None when it is dead."""
        folder = self._records if name == SECOND else self.settings.run_folder
        record = processes.read_record(folder / f"{name}.pid")
        if record is not None:
            processes.reap(record.pid)
        return Mark(name, record) if record is not None and processes.is_running(record) else None

    def required(self, name: str) -> Mark:
        """The running process of that name, waiting a little for one that is just being started again."""
        until = time.monotonic() + GONE_S
        while (mark := self.mark(name)) is None:
            if time.monotonic() > until:
                raise UnavailableError(f"{name} does not run", f"read {self.logs / name}.log")
            time.sleep(0.05)
        return mark

    def kill(self, name: str) -> Mark:
        """End it with -9; returns the life that ended."""
        mark = self.required(name)
        processes.send(mark.record, signal.SIGKILL)
        return mark

    def stop(self, name: str) -> Mark:
        """Ask it to end; returns the life that ends."""
        mark = self.required(name)
        processes.send(mark.record, signal.SIGTERM)
        return mark

    def is_back(self, name: str, before: Mark | None) -> bool:
        """Whether a process of that name is ready, and not the one from before."""
        mark = self.mark(name)
        if mark is None or (before is not None and mark.record == before.record):
            return False
        if name == SECOND:
            return not waits_for(self.settings.run_folder, mark.record.pid)
        row = self._rows().get(name, {})
        return bool(row.get("pid") == mark.record.pid and row.get("state") == State.RUNNING)

    def freeze(self, name: str) -> Mark:
        """Stop it in the middle of whatever it does."""
        mark = self.required(name)
        processes.send(mark.record, signal.SIGSTOP)
        return mark

    def wake(self, mark: Mark) -> None:
        """Let it go on."""
        processes.send(mark.record, signal.SIGCONT)

    def sicken(self, provider: str) -> None:
        """Let it answer every call that it is not able to, until it is cured."""
        self.tell("script", {"provider": provider, "action": "code", "code": SICK_CODES[provider], "name": provider})

    def cure(self, provider: str) -> None:
        """Let it work again."""
        self.tell("script", {"provider": provider, "action": "forget", "name": provider})

    def lose_disk(self, lane: Lane) -> Mark:
        """Kill settle and delete its state, while the supervisor's hands are tied."""
        supervisor = self.freeze("supervisor")
        try:
            mark = self.kill(f"settle-{lane}")
            until = time.monotonic() + GONE_S
            while processes.is_running(mark.record) and time.monotonic() < until:
                time.sleep(0.02)
            shutil.rmtree(self.settings.state_folder / f"settle.{lane}")
        finally:
            self.wake(supervisor)
        return mark

    # -- what the simulators say

    def calls(self) -> list[dict[str, Any]]:
        """Every call that a simulated provider got, in order."""
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["seq"] if found else 0
            page = self.ask(f"/sim/messages?outcome=all&after={after}&limit={PAGE}")["messages"]
            found += page
            if len(page) < PAGE:
                return found

    def ask(self, path: str) -> Any:
        """The simulators' answer to a GET."""
        with urllib.request.urlopen(self.addresses.simulators + path, timeout=30) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def tell(self, kind: str, told: dict[str, Any]) -> None:
        """Tell the simulators something."""
        url, body = f"{self.addresses.simulators}/sim/{kind}", json.dumps(told).encode()
        with urllib.request.urlopen(url, data=body, timeout=30):  # noqa: S310 - loopback
            pass


def say_now(text: str) -> None:
    """A line that is seen at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
