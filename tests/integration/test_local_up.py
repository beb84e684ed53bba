"""`medpost up | down | status`, for real: second up, kill -9 of anything, taken ports, stale pids, other servers."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from infra.local import probe, processes
from infra.local.installation import USUAL_PORTS
from infra.local.ports import LOOPBACK, is_free, pick_port

pytestmark = pytest.mark.timeout(400)
"""Each test starts several servers; on a full machine one start alone may take 40 s."""

COMMAND = "import sys, click, typer\nfrom console.cli import main, servers\nmain.NOUNS = ('servers',)\nmain.main()\n"
"""The `medpost` command with this room's nouns only, so that others' rooms are not under test here."""


ALL = {"supervisor", "broker", "store", "simulators"}


class Home(Struct):
    """A home under test and the environment that names it."""

    folder: Path
    environment: dict[str, str]

    def medpost(self, *arguments: str, code: int = 0, **more: str) -> str:
        """Runs the command, expects this exit code and no traceback, returns all it printed."""
        done = subprocess.run(
            [sys.executable, "-P", "-c", COMMAND, *arguments],
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=220,
            check=False,
        )
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        assert done.returncode == code, said
        return said

    def up(self, **more: str) -> str:
        """Starts the servers alone."""
        return self.medpost("up", "--only-servers", code=0, **more)

    def rows(self, code: int = 0) -> dict[str, dict[str, Any]]:
        """Status by process name."""
        said = self.medpost("status", "--format", "json", code=code)
        return {row["name"]: row for row in json.loads(said.splitlines()[0])}

    def servers(self) -> dict[str, Any]:
        """What servers.json tells every command."""
        found: dict[str, Any] = json.loads((self.folder / "run" / "servers.json").read_text())
        return found

    def addresses(self) -> dict[str, str]:
        """The servers' addresses alone."""
        return {key: value for key, value in self.servers().items() if key != "pids"}

    def kill(self, name: str) -> None:
        """Kills one process with -9."""
        record = processes.read_record(self.folder / "run" / f"{name}.pid")
        assert record is not None
        processes.send(record, signal.SIGKILL)
        wait_until(lambda: not processes.is_running(record))

    def pids(self) -> dict[str, int]:
        """Every recorded process, from its own record."""
        found = {file.stem: processes.read_record(file) for file in (self.folder / "run").glob("*.pid")}
        return {name: record.pid for name, record in found.items() if record is not None}

    def are_new(self, before: dict[str, int], names: set[str]) -> bool:
        """Whether these are other processes than before, and all run and are ready."""
        status = json.loads((self.folder / "run" / "status.json").read_text())
        are_ready = all(row["state"] == "running" for row in status["processes"])
        now = self.pids()
        return are_ready and all(now.get(name) not in (None, before[name]) for name in names)

    def cluster(self) -> str:
        """What names the broker's storage: another one after a format."""
        return (self.folder / "broker" / "data" / "meta.properties").read_text()

    def broker_answers(self) -> bool:
        """Whether the broker named by servers.json answers."""
        return probe.broker_answers(LOOPBACK, int(self.servers()["kafka"].rpartition(":")[2]))


def wait_until(is_so: Callable[[], bool], limit_s: float = 120.0) -> None:
    """Waits for something that must come true."""
    end = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.1)


def _keep_own_ports(home: Home) -> None:
    """Ports of its own, below those the system hands out: another home on this machine must not take them over."""
    ports: dict[str, int] = {}
    for name in USUAL_PORTS:
        ports[name] = pick_port(random.randint(15_000, 31_000), ports.values())
    (home.folder / "run").mkdir(parents=True)
    (home.folder / "run" / "ports.json").write_text(json.dumps(ports))


def _home(folder: Path) -> Home:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MEDPOST_")}
    return Home(folder, {**environment, "MEDPOST_HOME": str(folder)})


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty home; whatever runs in it is stopped afterwards."""
    made = _home(tmp_path / "home")
    yield made
    if made.folder.is_dir():
        made.medpost("down")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home that is up, and that every test leaves up."""
    made = _home(tmp_path_factory.mktemp("running") / "home")
    _keep_own_ports(made)
    made.up()
    yield made
    pids = made.pids()
    said = made.medpost("down")
    assert all(name in said for name in ALL)
    assert not any(processes.start_mark(pid) for pid in pids.values())


def test_up_runs_everything(running: Home) -> None:
    """Up has started all, doctor finds nothing missing."""
    rows = running.rows()
    assert set(rows) == ALL
    assert all(row["state"] == "running" and row["memory_mb"] > 0 for row in rows.values())
    assert running.broker_answers()
    assert "✗" not in running.medpost("doctor")


def test_second_up_starts_nothing(running: Home) -> None:
    """A second up says that it is up and leaves every process as it is."""
    before = running.pids()
    assert "已在运行" in running.up()
    assert running.pids() == before


def test_killed_supervisor_is_followed(running: Home) -> None:
    """After kill -9 of the supervisor the servers run on, and the next up takes the same processes over."""
    before = running.pids()
    running.kill("supervisor")
    assert running.broker_answers()
    assert running.rows(code=1)["broker"]["state"] == "unsupervised"

    running.up()
    after = running.pids()
    assert after.pop("supervisor") != before.pop("supervisor")
    assert after == before


@pytest.mark.parametrize("names", [{"broker", "store"}, ALL])
def test_whatever_is_killed_comes_back(running: Home, names: set[str]) -> None:
    """Killed with -9, servers run again at the same addresses, by themselves or by the next up."""
    before, addresses = running.pids(), running.addresses()
    for name in names:
        running.kill(name)
    if "supervisor" in names:
        running.up()
    wait_until(lambda: running.are_new(before, names))
    assert running.broker_answers()
    assert running.addresses() == addresses
    assert {name for name, pid in running.pids().items() if pid == before[name]} == ALL - names


def test_broker_moves_when_its_port_is_taken(running: Home) -> None:
    """A broker whose port was taken while it was dead comes back on another, and servers.json follows."""
    before = running.servers()["kafka"]
    port = int(before.rpartition(":")[2])
    supervisor = processes.read_record(running.folder / "run" / "supervisor.pid")
    assert supervisor is not None
    processes.send(supervisor, signal.SIGSTOP)
    try:
        running.kill("broker")
        wait_until(lambda: is_free(port))
        with socket.create_server((LOOPBACK, port)):
            processes.send(supervisor, signal.SIGCONT)
            wait_until(lambda: running.servers()["kafka"] != before)
            wait_until(running.broker_answers)
    finally:
        processes.send(supervisor, signal.SIGCONT)


def test_data_and_ports_outlive_down(home: Home) -> None:
    """Down without a supervisor leaves nothing running; up again finds data and ports; `--fresh` wipes the data."""
    _keep_own_ports(home)
    home.up()
    addresses, cluster, pids = home.addresses(), home.cluster(), home.pids()
    home.kill("supervisor")
    home.medpost("down")
    assert not any(processes.start_mark(pid) for pid in pids.values())
    assert "没有在运行" in home.medpost("status", code=3)
    assert "没有在运行" in home.medpost("down")

    home.up()
    assert home.addresses() == addresses
    assert home.cluster() == cluster
    home.medpost("up", "--fresh", "--yes", "--only-servers")
    assert home.cluster() != cluster


def test_hostile_home_comes_up(home: Home) -> None:
    """Usual ports taken, pid files of a stranger, a format killed midway: it starts, and the stranger lives."""
    stranger = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(300)"])
    listeners = [listener for port in USUAL_PORTS.values() if (listener := _taken(port))]
    run, half = home.folder / "run", home.folder / "broker" / "data.part"
    run.mkdir(parents=True)
    half.mkdir(parents=True)
    (half / "meta.properties").write_text("version=")
    for name in ("supervisor", "broker", "store", "old-role"):
        (run / f"{name}.pid").write_text(json.dumps({"pid": stranger.pid, "started": "gone/1", "recipe": "x"}))
    try:
        home.up()
        assert home.broker_answers()
        ports = {int(home.servers()[name].rpartition(":")[2]) for name in ("kafka", "clickhouse", "simulators")}
        assert not ports & set(USUAL_PORTS.values())
        home.medpost("down")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(10)
        for listener in listeners:
            listener.close()


def _taken(port: int) -> socket.socket | None:
    """A listener there, unless somebody else listens already."""
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError:
        return None


def test_removed_home_ends_its_processes(home: Home, kafka: str) -> None:
    """When somebody deletes the home, supervisor and servers end; nothing is left running without a home."""
    home.up(MEDPOST_KAFKA=kafka)
    pids = home.pids()
    shutil.rmtree(home.folder)
    wait_until(lambda: not any(processes.start_mark(pid) for pid in pids.values()))


def test_other_servers_are_used_and_not_started(home: Home, kafka: str, clickhouse: str) -> None:
    """With MEDPOST_KAFKA and MEDPOST_CLICKHOUSE set only the simulators are started."""
    said = home.up(MEDPOST_KAFKA=kafka, MEDPOST_CLICKHOUSE=clickhouse)
    assert kafka in said
    assert set(home.pids()) == {"supervisor", "simulators"}
    assert not (home.folder / "broker").exists()


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"PATH": "/nowhere"}, "java"),
        ({"MEDPOST_HOME": "/dev/null/home"}, "不能写入 /dev/null/home"),
        ({"MEDPOST_PARTITIONS": "many"}, "MEDPOST_PARTITIONS"),
    ],
)
def test_what_is_missing_is_one_line_and_exit_3(home: Home, environment: dict[str, str], text: str) -> None:
    """No Java, no writable home, a wrong setting: what, how to mend it, exit code 3."""
    said = home.medpost("up", code=3, **environment)
    assert text in said
    assert "→" in said
