"""The simulators as a process: port, admin routes, and a journal that kill -9 does not cost anything."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from infra.clock import SystemClock
from infra.settings import Settings, environment_for
from schemas.errors import MedpostError
from sinks.channel import Caller, channel_files
from tests.channel_samples import channel_of, delivery, sample_of

ROOT = Path(__file__).parents[2]


class Process:
    """The server, started again and again over one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.base_url = ""
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start it; the port is read from its first line, and kept."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "infra.simulators.server", "--port", str(self.port)],
            env=environment_for(Settings(home=self.home)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.base_url = self.process.stdout.readline().split()[-1]
        self.port = urlsplit(self.base_url).port or 0

    def kill(self) -> None:
        """As the kernel would."""
        self.process.send_signal(signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def ask(self, method: str, path: str, told: object = None) -> tuple[int, Any]:
        """Status and body."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        link.request(method, path, None if told is None else json.dumps(told))
        answer = link.getresponse()
        body = answer.read()
        link.close()
        return answer.status, json.loads(body) if body.startswith((b"{", b"[")) else body

    async def send(self, name: str, numbers: range) -> int:
        """Send through a channel; how many were accepted."""
        sample, caller = sample_of(name), Caller(2_000, 10, SystemClock())
        channel, accepted = channel_of(sample, sample.base_url(self.base_url), caller), 0
        for number in numbers:
            try:
                await channel.send(delivery(number, sample.channel), sample.content_for())
                accepted += 1
            except MedpostError:
                pass
        await caller.close()
        return accepted


@pytest.fixture
def simulators(tmp_path: Path) -> Iterator[Process]:
    """A fresh process with the samples' templates."""
    made = Process(tmp_path)
    told = [(kind, one) for name in channel_files() for kind, one in sample_of(name).told]
    assert {made.ask("POST", f"/sim/{kind}", one)[0] for kind, one in told} <= {200}
    yield made
    made.close()


@pytest.mark.parametrize("name", channel_files())
async def test_what_it_answered_outlives_a_kill(simulators: Process, name: str) -> None:
    """Every accepted message is there after kill -9, once, and the templates too."""
    assert await simulators.send(name, range(1, 31)) == 30
    simulators.kill()
    simulators.start()
    _, found = simulators.ask("GET", f"/sim/messages?channel={sample_of(name).channel}")
    assert [message["message_id"] for message in found["messages"]] == [
        number.to_bytes(16, "big").hex() for number in range(1, 31)
    ]
    assert await simulators.send(name, range(31, 32)) == 1


async def test_messages_are_paged_and_filtered(simulators: Process) -> None:
    """By number, time and recipient."""
    await simulators.send("sms_aliyun", range(1, 8))
    _, first = simulators.ask("GET", "/sim/messages?limit=5")
    _, second = simulators.ask("GET", f"/sim/messages?after={first['next']}")
    assert (len(first["messages"]), len(second["messages"])) == (5, 2)
    assert simulators.ask("GET", "/sim/messages?recipient=13800130000")[1]["messages"]
    assert simulators.ask("GET", "/sim/messages?recipient=13800130001")[1]["messages"] == []
    future = time.time_ns() // 1_000_000 + 60_000
    assert simulators.ask("GET", f"/sim/messages?since={future}")[1]["messages"] == []
    assert simulators.ask("GET", "/sim/counts")[1]["taken"] == {"aliyun": 7}
    assert simulators.ask("POST", "/sim/reset")[0] == 200
    assert simulators.ask("GET", "/sim/counts")[1]["taken"] == {}


ADMIN: tuple[tuple[str, str, object, int], ...] = (
    ("GET", "/ping", None, 200),
    ("GET", "/nowhere", None, 404),
    ("GET", "/phone", None, 200),
    ("GET", "/phone/messages?limit=0", None, 400),
    ("GET", "/sim/messages?since=soon", None, 400),
    ("POST", "/sim/script", {"action": "explode"}, 400),
    ("POST", "/sim/script", [{"action": "ok"}, {"action": "cut", "times": 1}], 200),
    ("POST", "/sim/templates", {"provider": "nobody"}, 400),
    ("POST", "/sim/templates", ["text"], 400),
    ("POST", "/sim/limits", {"provider": "aliyun", "rate_per_s": 10}, 200),
)


def test_admin_routes_say_what_is_wrong(simulators: Process) -> None:
    """In one line, with 400."""
    found = [simulators.ask(method, path, told)[0] for method, path, told, _ in ADMIN]
    assert found == [status for *_, status in ADMIN]


def test_a_taken_port_is_one_clear_line(simulators: Process, tmp_path: Path) -> None:
    """And exit code 1."""
    second = subprocess.run(
        [sys.executable, "-m", "infra.simulators.server", "--port", str(simulators.port)],
        env=environment_for(Settings(home=tmp_path / "other")),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"port {simulators.port}" in second.stderr
