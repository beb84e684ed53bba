"""A gateway process over the real broker and store, with the sample hospital's registry, for tests and the bench."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from console.cli.registry import apply_place, sample_folder
from console.provisioning import provision_installation
from infra import settings as settings_module
from infra.kafka import LogReader
from infra.local import probe
from infra.local.ports import LOOPBACK, any_port
from infra.settings import Settings
from schemas import topics
from schemas.codec import MESSAGE
from schemas.records import Message
from schemas.statuses import LANES

SECRETS = {app: f"demo-only-{app}-0123456789-abcdefghijklmnop" for app in ("his", "lis")}
VISIT = {
    "department": "心内科",
    "doctor": "李明",
    "visit_time": "11月23日 09:30",
    "location": "门诊3楼",
    "number": "12",
}


class Reply(Struct, frozen=True):
    """One answer; `body` is the JSON in it."""

    status: int
    headers: Mapping[str, str]
    body: Any


def registration(reference: str = "", **changes: Any) -> dict[str, Any]:
    """A message that the sample hospital's HIS may send."""
    recipient = {"id_type": "patient_id", "id_value": "P0001"}
    good = {"type": "registration_confirmed", "recipient": recipient, "personalisation": VISIT, "reference": reference}
    return {**good, **changes}


class Stage:
    """One running gateway."""

    def __init__(self, settings: Settings, process: "subprocess.Popen[bytes]") -> None:
        self.settings = settings
        self.process = process
        self.url = f"http://{LOOPBACK}:{settings.gateway_port}"
        self._tokens: dict[str, str] = {}

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, timeout_s: float = 30
    ) -> Reply:
        """One request of its own connection; `body` is sent as JSON, bytes as they are."""
        link = http.client.HTTPConnection(LOOPBACK, self.settings.gateway_port, timeout=timeout_s)
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} if raw is not None else {}
        try:
            link.request(method, path, raw, {**given, **(headers or {})})
            answer = link.getresponse()
            return Reply(answer.status, dict(answer.headers), json.loads(answer.read()))
        finally:
            link.close()

    def token(self, app: str = "his") -> str:
        """A token for an application's credentials."""
        if app not in self._tokens:
            answer = self.ask("POST", "/v1/token", {"app_key": app, "app_secret": SECRETS[app]})
            assert answer.status == 200, answer
            self._tokens[app] = answer.body["token"]
        return self._tokens[app]

    def call(self, method: str, path: str, body: Any = None, app: str = "his") -> Reply:
        """A request with the application's token."""
        return self.ask(method, path, body, {"Authorization": f"Bearer {self.token(app)}"})

    def log(self) -> list[Message]:
        """Every message in the log, of all lanes."""
        with LogReader(settings_module.kafka_endpoint(self.settings)) as reader:
            names = [self.settings.topic(topics.messages(lane).name) for lane in LANES]
            return [MESSAGE.decode(record.value) for name in names for record in reader.read_all(name)]


def prepared(home: Path, kafka: str, clickhouse: str, **changes: Any) -> Settings:
    """Settings of an installation of its own, its topics made and its registry applied."""
    settings = Settings(
        home=home, kafka=kafka, clickhouse=clickhouse, namespace=f"g{time.time_ns()}", simulators="http://127.0.0.1:9",
        gateway_port=any_port(), **changes,
    )  # fmt: skip
    provision_installation(settings)
    apply_place(settings, sample_folder())
    return settings


def environment(settings: Settings) -> dict[str, str]:
    """What its processes see."""
    own = {
        f"MEDPOST_{name.upper()}": str(value)
        for name, value in settings.model_dump().items()
        if name.startswith("gateway_")
    }
    return {**settings_module.environment_for(settings), **own}


@contextmanager
def running(settings: Settings, log: Path) -> Iterator[Stage]:
    """A gateway that is ready, ended afterwards as a supervisor would; its exit code has to be 0."""
    with log.open("ab") as out:
        command = [sys.executable, "-P", "-m", "console.cli.main", "run", "gateway"]
        process = subprocess.Popen(command, env=environment(settings), stdout=out, stderr=out)
    try:
        stage, until = Stage(settings, process), time.monotonic() + 90
        while not probe.http_answers(LOOPBACK, settings.gateway_port, "/ready"):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < until, "the gateway is not ready in 90 s"
            time.sleep(0.05)
        yield stage
        process.terminate()
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(5)
