"""`medpost dlq`: what is listed, what is shown only on demand, and what has to be named."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from console.cli import dlq
from console.redriving import Told
from infra import dead_letters
from infra.clock import HandClock, SystemClock
from infra.crypto import Ring
from infra.dead import DeadOffice
from infra.dead_letters import Case, cases
from infra.kafka import LogRecord
from schemas.codec import DEAD_LETTER, MESSAGE
from schemas.errors import Permanent, Reason
from schemas.records import DeadMark, Message, RecipientRef

RING = Ring("dead", {1: bytes(range(32))})
VALUE = MESSAGE.encode(Message(app_id="his", type="lab_report", recipient=RecipientRef("patient_id", "P0001")))


def a_case(offset: int, reason: Reason = Reason.INTERNAL, value: bytes = VALUE, *marks: DeadMark) -> Case:
    """A case of some minutes ago."""
    letters: list[bytes] = []

    class Out:
        def send(self, topic: str, value: bytes | None, key: bytes | None = None) -> None:
            letters.append(value or b"")

    record = LogRecord("messages.normal", 1, offset, 500, b"k", value, (("authorization", b"Bearer secret"),))
    DeadOffice("dead", RING, HandClock(SystemClock().now_ms() - 60_000), "intake@a:1").bury(
        Out(), record, reason, "KeyError"
    )
    return cases([DEAD_LETTER.decode(letters[0])], marks)[0]


FOUND = [
    a_case(1),
    a_case(2, Reason.DECODE_ERROR, b"\x00garbage"),
    a_case(3, Reason.INTERNAL, VALUE, DeadMark("messages.normal/1/3", "dropped", "sre@ops", 9, "test data")),
]


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Three letters, one of them dropped."""
    monkeypatch.setenv("MEDPOST_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("MEDPOST_HOME", str(tmp_path))
    monkeypatch.setattr(dead_letters, "read", lambda _: list(FOUND))
    monkeypatch.setattr(dlq, "_ring", lambda _: RING)


def run(*words: str) -> Any:
    """What the command answers."""
    return CliRunner().invoke(dlq.app, list(words))


def rows(*words: str) -> list[dict[str, Any]]:
    """The rows of a listing."""
    return [json.loads(line) for line in run(*words, "--format", "jsonl").output.splitlines()]


def test_list_shows_what_waits() -> None:
    """Decided ones only when asked for."""
    assert [row["origin"] for row in rows("list")] == ["messages.normal/1/1", "messages.normal/1/2"]
    assert [row["standing"] for row in rows("list", "--standing", "all")] == ["waiting", "waiting", "dropped"]
    assert [row["reason"] for row in rows("list", "--reason", "decode_error")] == ["decode_error"]


def test_list_counts_by_reason_and_topic() -> None:
    """The first question at three in the morning."""
    assert [(row["reason"], row["count"]) for row in rows("list", "--count", "--standing", "all")] == [
        ("internal", 2),
        ("decode_error", 1),
    ]


def test_a_wrong_standing_is_a_wrong_use() -> None:
    """With the words that there are."""
    answer = run("list", "--standing", "open")
    assert answer.exit_code == 2
    assert "waiting、redriven、dropped" in answer.output


def test_show_tells_everything_but_the_content() -> None:
    """Reason, place, application, type, the names of its headers."""
    answer = run("show", "messages.normal/1/1")
    assert answer.exit_code == 0
    assert all(word in answer.output for word in ("KeyError", "his", "lab_report", "authorization"))
    assert "P0001" not in answer.output
    assert "secret" not in answer.output


def test_show_reveals_the_content_on_demand_but_never_the_token() -> None:
    """A message as JSON, anything else as bytes."""
    assert "P0001" in run("show", "messages.normal/1/1", "--reveal").output
    garbage = run("show", "messages.normal/1/2", "--reveal").output
    assert b"garbage".hex() in garbage
    assert b"secret".hex() not in garbage


def test_an_unknown_letter_is_a_no() -> None:
    """And says where to look."""
    answer = run("show", "messages.normal/1/99")
    assert answer.exit_code == 1
    assert "medpost dlq list" in answer.output


@pytest.mark.parametrize("words", [("redrive",), ("drop", "--note", "x")])
def test_something_has_to_be_named(words: tuple[str, ...]) -> None:
    """Nobody redrives everything by leaving out a word."""
    assert run(*words).exit_code == 2


def test_a_dry_run_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how many, and how long that would take."""
    monkeypatch.setattr(dlq, "_redriven", lambda *_: pytest.fail("was put back"))
    answer = run("redrive", "--all", "--dry-run", "--rate", "1")
    assert answer.exit_code == 0
    assert "2 件，约需 2 s" in answer.output


def test_what_was_decided_is_not_decided_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named or not."""
    monkeypatch.setattr(dlq, "_redriven", lambda *_: pytest.fail("was put back"))
    answer = run("redrive", "messages.normal/1/3")
    assert answer.exit_code == 1
    assert "已放弃（sre@ops）" in answer.output


class Idle:
    """A publisher that reaches nothing."""

    def __init__(self, *_: object) -> None: ...

    def close(self, timeout_s: float) -> int:
        """Nothing is left."""
        return 0


def test_what_could_not_return_is_named_and_answered_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its reason; the exit code says that not all went back."""

    def redrive(_desk: object, chosen: list[Case], _rate: float, _pause: object, told: Any) -> dict[str, int]:
        told(Told(chosen[0]))
        told(Told(chosen[1], Permanent(Reason.EXPIRED, "the topic lost it")))
        return {"redriven": 1, "expired": 1}

    monkeypatch.setattr(dlq, "redrive", redrive)
    monkeypatch.setattr(dlq, "Publisher", Idle)
    answer = CliRunner().invoke(dlq.app, ["redrive", "--all"], standalone_mode=False)
    assert answer.return_value == 1
    assert "messages.normal/1/2：the topic lost it" in answer.output
    assert "已重投 1 件，1 件未能重投" in answer.output


def test_drop_marks_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the note and the name of whoever did it."""
    marked: list[tuple[str, str, str]] = []

    def mark(desk: Any, decided: list[Case], action: str) -> None:
        marked.extend((case.origin, action, desk.note) for case in decided)

    monkeypatch.setattr(dlq, "mark", mark)
    monkeypatch.setattr(dlq, "Publisher", Idle)
    answer = run("drop", "messages.normal/1/2", "--note", "not ours")
    assert answer.exit_code == 0
    assert marked == [("messages.normal/1/2", "dropped", "not ours")]


def test_what_its_bytes_cannot_outgrow_is_said_before_it_is_put_back() -> None:
    """The same bytes would be the same letter again."""
    assert "1 件的内容本身无法解析" in run("redrive", "--all", "--dry-run").output
    assert "无法解析" not in run("redrive", "messages.normal/1/1", "--dry-run").output


def test_a_reason_that_does_not_exist_is_a_wrong_use_and_nothing_found_is_said() -> None:
    """A mistyped filter must not look like a quiet night."""
    assert run("list", "--reason", "nonsense").exit_code == 2
    assert "没有符合条件的" in run("list", "--reason", "billing").output


@pytest.mark.parametrize("words", [("redrive",), ("drop", "--note", "noise")])
def test_a_misspelt_reason_is_not_told_as_nothing_left(words: tuple[str, ...]) -> None:
    """Whoever mistypes it shall not believe that everything was put back."""
    assert run(*words, "--reason", "interal").exit_code == 2
