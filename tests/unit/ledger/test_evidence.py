from typing import Any

from tests.ledger.evidence import call_of, moved, names_a_message
from tests.ledger.judge import Call

ID = "0123456789abcdef0123456789abcdef"


def row(provider: str, **changes: Any) -> dict[str, Any]:
    """An entry as a simulator shows it."""
    return {"provider": provider, "at": 5, "outcome": "taken", "action": "ok", "key": "", "message_id": "", **changes}


def test_an_sms_call_is_known_by_its_out_id() -> None:
    """Message and attempt stand in it, also when the vendor refused to look further."""
    known = bytes.fromhex(ID)
    assert call_of(row("aliyun", key=f"{ID}.2.0.{ID}")) == Call(known, "sms", 5, "taken", 2)
    refused = row("aliyun", key=f"{ID}.2.0.{ID}", outcome="refused", action="examine")
    assert call_of(refused) == Call(known, "sms", 5, "faulty", 2)


def test_a_webhook_call_is_known_by_its_body() -> None:
    """Its key says nothing about the attempt."""
    assert call_of(row("standard", key=ID, message_id=ID)) == Call(bytes.fromhex(ID), "webhook", 5, "taken", 0)


def test_a_call_without_a_readable_name_names_nothing() -> None:
    """A bad signature is refused before anything is read."""
    assert call_of(row("aliyun", outcome="refused", action="examine")) == Call(b"", "sms", 5, "faulty")


def test_what_moved_is_named() -> None:
    """Figures are compared one by one."""
    assert moved({"a": 1, "b": [2]}, {"a": 1, "b": [2]}) == []
    assert moved({"a": 1, "b": [2]}, {"a": 1, "b": [3]}) == ["b"]


def test_a_mail_refused_at_its_envelope_names_no_message() -> None:
    """Nothing of the message was said by then; any other call without a name is one about nothing."""
    assert not names_a_message({"provider": "smtp", "key": ""})
    assert names_a_message({"provider": "smtp", "key": "ab.cd"})
    assert names_a_message({"provider": "aliyun", "key": ""})
