import json
from datetime import date
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from console import registered
from console.cli import messages
from infra import holds, queries
from infra.queries import Fact, Selection, TraceEvent
from schemas import ids
from schemas.configuration import Hold
from schemas.errors import UnavailableError
from schemas.statuses import Stage
from tests.answers import event, fact
from tests.hospital import kind, snapshot

NOW_MS = 1_793_462_400_000
ID = "019b0000-0000-7000-8000-000000000001"


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands find a configured store; what it answers is up to each test."""
    monkeypatch.setenv("MEDPOST_CLICKHOUSE", "http://nowhere/x")
    monkeypatch.setattr(queries, "days_of", lambda *_: [date(2026, 11, 1)])
    monkeypatch.setattr(registered, "glance", lambda _: None)


def answering(monkeypatch: pytest.MonkeyPatch, facts: list[Fact], events: list[TraceEvent]) -> None:
    """Let the store know one message."""
    monkeypatch.setattr(queries, "facts_of", lambda *_: facts)
    monkeypatch.setattr(queries, "timeline_of", lambda *_: events)


def run(*words: str) -> Any:
    """What the command answers."""
    return CliRunner().invoke(messages.app, list(words))


def test_get_shows_the_state_in_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    """Status, channel, attempts, latency, reason."""
    answering(monkeypatch, [fact(status="failed", channel="sms", attempts=1, latency_ms=2100, reason="billing")], [])
    answer = run("get", ID)
    assert answer.exit_code == 0
    assert all(word in answer.output for word in ("失败 failed", "sms", "2.10 秒", "渠道欠费 billing"))


def test_get_as_json_speaks_the_contracts_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """No translation, times with their offset."""
    answering(monkeypatch, [fact(accepted_at_ms=NOW_MS, latency_ms=5)], [])
    row = json.loads(run("get", ID, "--format", "json").output)
    assert (row["status"], row["is_final"], row["latency_ms"]) == ("sent", True, 5)
    assert row["finished_at"] == "2026-11-01T00:00:00.005+08:00"


def test_events_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the order in which the store answers."""
    answering(monkeypatch, [], [event(Stage.ISSUED, at_ms=2), event(Stage.ACCEPTED, at_ms=1)])
    lines = run("events", ID, "--format", "jsonl").output.splitlines()
    assert [json.loads(line)["stage"] for line in lines] == ["accepted", "issued"]


def test_a_second_acceptance_is_not_told_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends nothing; a conflict is refused right after it."""
    begun, again = (event(Stage.ACCEPTED, at_ms=at + 5, accepted_at_ms=at) for at in (10, 90))
    answering(monkeypatch, [], [again, event(Stage.COMPLETED, at_ms=50, accepted_at_ms=10), begun])
    told = [json.loads(line)["told"] for line in run("events", ID, "--format", "jsonl").output.splitlines()]
    assert (told[0], told[2]) == ("平台已受理，发送计划已定", "又收到同一编号的请求：不另发送")


@pytest.mark.parametrize("command", ["get", "events"])
def test_an_unknown_message_is_a_no(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Exit code 1, and the id that was asked for."""
    answering(monkeypatch, [], [])
    answer = run(command, ID)
    assert answer.exit_code == 1
    assert ID in answer.output


@pytest.mark.parametrize(
    "words", [("get", "17"), ("get",), ("events", ID, "--reference", "his/1"), ("get", "--reference", "his")]
)
def test_wrong_use_is_code_2(words: tuple[str, ...]) -> None:
    """Neither, both, or something that is no id."""
    assert run(*words).exit_code == 2


def test_a_reference_stands_for_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one with a slash in it."""
    asked: list[str] = []

    def days_of(_: object, wanted: str) -> list[date]:
        asked.append(wanted)
        return [date(2026, 11, 1)]

    monkeypatch.setattr(queries, "days_of", days_of)
    answering(monkeypatch, [fact()], [])
    assert run("get", "--reference", "his/2026/17").exit_code == 0
    assert asked == [ids.show(ids.from_reference("his", "2026/17"))]


def test_an_absent_store_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's entry turns it into one line and code 3."""

    def gone(*_: object) -> list[Fact]:
        raise UnavailableError("the store does not answer")

    monkeypatch.setattr(queries, "finished", gone)
    assert isinstance(run("list").exception, UnavailableError)


def test_a_held_message_says_by_which_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to release it; a finished one asks nobody."""
    answering(monkeypatch, [], [event(Stage.ACCEPTED, type="lab_report")])
    monkeypatch.setattr(registered, "glance", lambda _: snapshot(kind()))
    monkeypatch.setattr(holds, "read", lambda _: [Hold("type", "lab_report", is_held=True, note="误发")])
    shown = run("get", ID).output
    assert all(word in shown for word in ("消息类型 lab_report 已暂停", "误发", "medpost release --type lab_report"))
    row = json.loads(run("get", ID, "--format", "json").output)
    assert row["held_by"] == [{"scope": "type", "name": "lab_report"}]
    answering(monkeypatch, [fact(type="lab_report")], [])
    assert json.loads(run("get", ID, "--format", "json").output)["held_by"] == []


def test_holds_that_cannot_be_read_hide_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's answer stands."""
    answering(monkeypatch, [], [event(Stage.ACCEPTED)])
    monkeypatch.setattr(registered, "glance", lambda _: snapshot(kind()))

    def gone(_: object) -> list[Hold]:
        raise UnavailableError("no broker")

    monkeypatch.setattr(holds, "read", gone)
    answer = run("get", ID)
    assert (answer.exit_code, "已受理" in answer.output, "暂停" in answer.output) == (0, True, False)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--type", "lab_repot"), "没有登记的消息类型 lab_repot；是否应为 lab_report"),
        (("--app", "lsi"), "没有登记的应用 lsi；是否应为 lis"),
    ],
)
def test_a_mistyped_filter_is_no_quiet_night(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], told: str
) -> None:
    """Where the registry can be read; else nothing was found."""
    monkeypatch.setattr(queries, "finished", lambda *_: [])
    monkeypatch.setattr(queries, "timelines_of_open", lambda *_: [])
    assert run("list", *words).exit_code == 0
    monkeypatch.setattr(registered, "glance", lambda _: snapshot(kind()))
    with pytest.raises(typer.BadParameter, match=told):
        messages.app(["list", *words], standalone_mode=False)
    assert run("list", "--type", "lab_report", "--app", "lis").exit_code == 0


@pytest.mark.parametrize(
    ("status", "listed"),
    [("", ["open", "done"]), ("sent", ["done"]), ("sending", ["open"]), ("failed", []), ("accepted", [])],
)
def test_the_list_holds_open_and_finished_messages(
    monkeypatch: pytest.MonkeyPatch, status: str, listed: list[str]
) -> None:
    """Newest first; a status chooses among both."""
    open_one = [event(Stage.ISSUED, message_id="open", accepted_at_ms=NOW_MS)]
    monkeypatch.setattr(
        queries, "finished", lambda _, wanted: [fact(message_id="done")] if wanted.status in {"", "sent"} else []
    )
    monkeypatch.setattr(queries, "timelines_of_open", lambda *_: [open_one])
    words = ["--status", status] if status else []
    lines = run("list", "--format", "jsonl", *words).output.splitlines()
    assert [json.loads(line)["message_id"] for line in lines] == listed


def test_the_list_is_cut_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both kinds together."""
    asked: list[Selection] = []

    def finished(_: object, wanted: Selection) -> list[Fact]:
        asked.append(wanted)
        return [fact(message_id=str(number), accepted_at_ms=number) for number in range(3)]

    monkeypatch.setattr(queries, "finished", finished)
    monkeypatch.setattr(queries, "timelines_of_open", lambda *_: [[event(Stage.ACCEPTED, accepted_at_ms=9)]])
    answer = run("list", "--limit", "2", "--app", "his", "--type", "lab_report", "--format", "jsonl")
    assert [json.loads(line)["message_id"] for line in answer.output.splitlines()] == ["m", "2"]
    assert (asked[0].app_id, asked[0].type, asked[0].limit) == ("his", "lab_report", 2)


@pytest.mark.parametrize(
    ("text", "since_ms"),
    [
        ("90s", NOW_MS - 90_000),
        ("30m", NOW_MS - 1_800_000),
        ("24h", NOW_MS - 86_400_000),
        ("7d", NOW_MS - 7 * 86_400_000),
        ("2026-11-01", NOW_MS),
        ("2026-11-01T00:00:01", NOW_MS + 1000),
        ("2026-10-31T16:00:00+00:00", NOW_MS),
    ],
)
def test_since_is_a_span_or_a_local_time(text: str, since_ms: int) -> None:
    """Without an offset it is Asia/Shanghai's."""
    assert messages.since_ms(text, NOW_MS) == since_ms


@pytest.mark.parametrize("text", ["", "yesterday", "24", "h", "-3h"])
def test_another_since_is_refused(text: str) -> None:
    """With what it should look like."""
    with pytest.raises(typer.BadParameter, match="24h"):
        messages.since_ms(text, NOW_MS)
