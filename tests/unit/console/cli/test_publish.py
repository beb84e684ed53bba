import json
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from console.cli import publish
from console.sample.hospital import EVENTS
from producers import requests
from producers.requests import MessageRequest
from schemas.errors import MedpostError
from tests.hospital import kind, snapshot


@pytest.fixture(autouse=True)
def _no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker answers, unless a test says otherwise."""
    monkeypatch.setattr(publish, "glance", lambda _: None)


def run(*arguments: str, stdin: bytes = b"") -> Result:
    """The command with these arguments, nothing of it on the network."""
    main = typer.Typer()
    publish.register(main)
    main.callback()(lambda: None)
    return CliRunner().invoke(main, ["publish", *arguments], input=stdin)


def test_a_dry_run_over_files_reconciles_and_needs_no_broker() -> None:
    """HL7 of the sample laboratory: repeats and splits are told."""
    done = run("hl7", str(EVENTS / "lis"), "--dry-run", "--format", "json")
    totals = json.loads(done.stdout)["totals"]
    assert (done.exit_code, totals["files"], totals["read"], totals["reconciled"]) == (0, 3, 81, True)
    assert (totals["split"], totals["duplicate"], totals["published_by_type"]["critical_value"]) == (25, 2, 10)


def test_json_lines_come_from_standard_input() -> None:
    """`-` is the pipe; `--app` fills in."""
    line = b'{"type": "t", "recipient": {"id_type": "patient_id", "id_value": "P1"}}\n'
    done = run("jsonl", "-", "--app", "his", "--dry-run", "--format", "json", stdin=line * 2 + b"{\n")
    totals = json.loads(done.stdout)["totals"]
    assert (totals["published"], totals["refused"]) == (2, 1)


def test_a_single_message_is_checked_without_sending() -> None:
    """A dry run of one message says what it would be."""
    done = run("message", "--app", "his", "--type", "t", "--to", "patient_id=P1", "--param", "a=b=c", "--dry-run")
    assert done.exit_code == 0


def test_a_time_of_sending_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an aware time, so that it means the same everywhere."""
    seen: list[requests.Fields] = []
    monkeypatch.setattr(requests, "from_fields", seen.append)
    told = ["--app", "his", "--type", "t", "--to", "patient_id=P1", "--dry-run"]
    assert run("message", *told, "--send-at", "2030-01-05T08:00:00").exit_code == 0
    assert run("message", *told).exit_code == 0
    assert run("message", *told, "--send-at", "2030-01-05T08:00:00Z").exit_code == 0
    sent = [fields["send_at"] for fields in seen]
    assert isinstance(sent[0], datetime)
    assert sent[0] == datetime(2030, 1, 5, 0, tzinfo=UTC)  # 08:00 in Shanghai, whatever the machine says
    assert sent[1] is None
    assert sent[2] == datetime(2030, 1, 5, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "arguments",
    [
        ["message", "--app", "his", "--type", "t", "--to", "P1", "--dry-run"],
        ["message", "--app", "his", "--type", "t", "--to", "a=b", "--param", "x", "--dry-run"],
        ["hl7", "/no/such/folder", "--dry-run"],
        ["jsonl", "/no/such/file", "--dry-run"],
        ["hl7", str(EVENTS), "--charset", "klingon", "--dry-run"],
    ],
)
def test_wrong_use_is_exit_code_2(arguments: list[str]) -> None:
    """What is wrong is said, with the option's name."""
    assert run(*arguments).exit_code == 2


def test_an_unknown_mapping_is_refused(tmp_path: Path) -> None:
    """Neither a packaged site nor a valid file: an error of ours, for the one place that shows them."""
    (tmp_path / "m.yaml").write_text("site: x")
    for mapping in ("nowhere", str(tmp_path / "m.yaml")):
        done = run("hl7", str(EVENTS), "--mapping", mapping, "--dry-run")
        assert isinstance(done.exception, MedpostError)


class Broker:
    """Stands for the clients: keeps what was submitted."""

    def __init__(self) -> None:
        self.submitted: list[str] = []

    def client_of(self, _app: str) -> "Broker":
        """Itself."""
        return self

    def submit(self, request: MessageRequest) -> "Future[str]":
        """Safe at once."""
        self.submitted.append(request.type)
        answer: Future[str] = Future()
        answer.set_result("m1")
        return answer

    def lane_of(self, _request: MessageRequest) -> str:
        """Any."""
        return "normal"

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """A broker that answers, and a registry of one application and one type."""
    found = Broker()
    monkeypatch.setenv("MEDPOST_KAFKA", "127.0.0.1:9")
    monkeypatch.setattr(publish, "ping", lambda *_: None)
    monkeypatch.setattr(publish, "glance", lambda _: snapshot(kind()))
    monkeypatch.setattr(publish, "clients_for", lambda *_: found)
    return found


def asked(kind_id: str, *more: str) -> Result:
    """The command for a message of that type."""
    return run("message", "--app", "lis", "--type", kind_id, "--to", "patient_id=P1", "--param", "item=x", *more)


def test_what_intake_would_refuse_is_refused_before_it_is_published(broker: Broker) -> None:
    """At once, with what was probably meant."""
    done = asked("lab_repot")
    assert isinstance(done.exception, MedpostError)
    assert "没有发布" in done.exception.detail
    assert "是否应为 lab_report？" in done.exception.detail
    assert broker.submitted == []
    assert (asked("lab_report").exit_code, broker.submitted) == (0, ["lab_report"])


def test_a_dry_run_asks_the_registry_and_says_whether_it_did(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be refused is refused, unless nobody can be asked or nobody shall."""
    refused = asked("lab_repot", "--dry-run")
    assert isinstance(refused.exception, MedpostError)
    assert "是否应为 lab_report？" in refused.exception.detail
    assert "与登记相符" in asked("lab_report", "--dry-run").stderr
    assert "没有核对登记" in asked("lab_repot", "--dry-run", "--no-check").stderr
    monkeypatch.setattr(publish, "glance", lambda _: None)
    done = asked("lab_repot", "--dry-run")
    assert (done.exit_code, "没有核对登记" in done.stderr, broker.submitted) == (0, True, [])


def test_the_check_can_be_left_out(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the option, or because no registry can be read: then intake judges."""
    assert asked("lab_repot", "--no-check").exit_code == 0
    monkeypatch.setattr(publish, "glance", lambda _: None)
    assert asked("lab_repot").exit_code == 0
    assert broker.submitted == ["lab_repot", "lab_repot"]


LINES = [
    {"type": "lab_report", "personalisation": {"item": "x"}},
    {"type": "lab_report", "personalisation": {"item": "y"}, "priority": "urgent"},
    {"type": "lab_report", "personalisation": {}},
    {"type": "lab_repot", "personalisation": {"item": "x"}},
    {"type": "lab_report", "personalisation": {"item": "x" * 11}, "app_id": "lsi"},
]


def dry(*more: str) -> Result:
    """A dry run over five lines, of which intake would take two."""
    given = {"recipient": {"id_type": "patient_id", "id_value": "P1"}}
    lines = "".join(json.dumps({**line, **given, "reference": str(at)}) + "\n" for at, line in enumerate(LINES))
    return run("jsonl", "-", "--app", "lis", "--dry-run", *more, stdin=lines.encode())


@pytest.mark.usefixtures("broker")
def test_a_dry_run_over_lines_says_what_intake_would_refuse() -> None:
    """Line by line with the reason; and in the totals, by which version it was checked."""
    done = dry("--format", "json")
    told = json.loads(done.stdout)
    assert (told["totals"]["published"], told["totals"]["refused"]) == (2, 3)
    assert told["totals"]["checked_by_registry_version"] == 7
    assert [(one["number"], one["reason"]) for one in told["refused"]] == [
        (3, "missing_parameter"), (4, "type_unknown"), (5, "app_unknown"),
    ]  # fmt: skip
    assert ("lab_report？" in told["refused"][1]["detail"], "at most 10" in told["refused"][2]["detail"]) == (
        True,
        True,
    )
    assert "1 条 lab_report 要求的优先级高于该类型：会按 normal 发送" in done.stderr
    assert "第 7 版" in done.stderr


@pytest.mark.usefixtures("broker")
def test_a_table_of_refusals_is_in_chinese() -> None:
    """Also where one request is refused for several reasons."""
    done = dry()
    for wanted in ("缺少参数 item", "app_id 未登记", "至多 10", "可发布"):
        assert wanted in done.stdout
    assert "is missing" not in done.stdout


def test_a_dry_run_that_could_not_ask_says_so(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a broker, or where nobody shall be asked; then only the form was looked at."""
    unasked = dry("--no-check", "--format", "json")
    monkeypatch.setattr(publish, "glance", lambda _: None)
    for done in (unasked, dry("--format", "json")):
        totals = json.loads(done.stdout)["totals"]
        assert (done.exit_code, totals["published"], totals["checked_by_registry_version"]) == (0, 5, 0)
        assert "没有核对登记" in done.stderr
    assert broker.submitted == []


@pytest.mark.usefixtures("broker")
def test_a_dry_run_over_files_asks_the_registry_too() -> None:
    """Types of the sample laboratory that this registry does not have."""
    done = run("hl7", str(EVENTS / "lis"), "--dry-run", "--format", "json")
    totals = json.loads(done.stdout)["totals"]
    assert (totals["checked_by_registry_version"], totals["reconciled"]) == (7, True)
    assert totals["refused_by_reason"].get("type_unknown", 0) > 0
