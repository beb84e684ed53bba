from pathlib import Path

import pytest

from console.dead_rows import counted, row, told_of
from console.listing import Format
from infra.dead import Content
from infra.dead_letters import Case, cases
from infra.settings import Settings
from schemas.codec import MESSAGE
from schemas.records import DeadLetter, Message, RecipientRef

AT_MS = 1_793_462_400_000
VALUE = MESSAGE.encode(Message(app_id="his", type="lab_report", recipient=RecipientRef("patient_id", "P0001")))
TOKEN = ("authorization", b"Bearer secret")


def a_case(reason: str = "decode_error", topic: str = "ns.messages.normal", at_ms: int = AT_MS) -> Case:
    """A letter nobody has decided about."""
    detail = "message: body does not follow its schema"
    letter = DeadLetter(reason, detail, topic, 1, 7, AT_MS, "intake@a:1", at_ms, b"")
    return cases([letter], [])[0]


def test_people_read_chinese_and_programs_the_contract_s_words() -> None:
    """Reason, detail, time; the origin is the same, since it is typed again."""
    shown, plain = row(a_case(), Format.TABLE), row(a_case(), Format.JSON)
    assert (shown["reason"], shown["detail"]) == ("无法解码 decode_error", "message：正文不符合它的 schema")
    assert (plain["reason"], plain["detail"]) == ("decode_error", "message: body does not follow its schema")
    assert (shown["at"], plain["at"]) == ("2026-11-01 00:00:00.000", "2026-11-01T00:00:00.000+08:00")
    assert shown["origin"] == plain["origin"]


def test_letters_are_counted_by_reason_and_topic(tmp_path: Path) -> None:
    """The most frequent first, with the span of their times; the namespace is left out."""
    cases = [a_case(at_ms=AT_MS + 5), a_case(), a_case("internal", "ns.events.bulk")]
    first, second = counted(cases, Settings(home=tmp_path, namespace="ns"), Format.JSON)
    assert (first["reason"], first["topic"], first["count"]) == ("decode_error", "messages.normal", 2)
    assert first["oldest"] < first["newest"]
    assert (second["reason"], second["topic"], second["count"]) == ("internal", "events.bulk", 1)


@pytest.mark.parametrize(("value", "content"), [(VALUE, "P0001"), (b"\x00garbage", "006761")])
def test_a_content_is_shown_on_demand_and_its_token_never(value: bytes, content: str) -> None:
    """Sizes and names of headers always."""
    told = told_of(Content(b"k", value, [TOKEN, ("x", b"\x01")]), reveal=False)
    assert told["bytes"] == len(value)
    assert "content" not in told
    assert "authorization" in told["headers"]
    revealed = told_of(Content(b"k", value, [TOKEN, ("x", b"\x01")]), reveal=True)
    assert content in revealed["content"]
    assert "secret" not in str(revealed)
    assert TOKEN[1].hex() not in str(revealed)


def test_what_can_be_read_says_whose_it_is() -> None:
    """Without revealing anything else."""
    told = told_of(Content(None, VALUE, []), reveal=False)
    assert (told["app"], told["type"]) == ("his", "lab_report")
    assert told_of(Content(None, None, []), reveal=True)["content"] == ""
