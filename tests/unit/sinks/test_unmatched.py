"""Receipts that name only the provider's id: completed once, as soon as it is known whose they are."""

import pytest
from msgspec import structs

from infra.receipts.notice import Notice, Source, attempt_of, request_of
from schemas.records import Request
from schemas.statuses import Status
from sinks import unmatched
from sinks.unmatched import PATIENCE_MS, Unmatched

NOW = 1_760_000_000_000
ID = bytes(range(16))


def receipt(number: int = 1) -> Request:
    """A receipt about what the provider calls s<number>."""
    notice = Notice(Status.DELIVERED, "", "DELIVRD", "", f"s{number}")
    found = request_of(notice, Source("sms", "tencent", NOW))
    assert found is not None
    return found


def nobody(_provider: str, _provider_message_id: str) -> None:
    """Nothing is known."""


def everybody(provider: str, provider_message_id: str) -> tuple[bytes, int, int]:
    """Everything is known."""
    assert (provider, provider_message_id[0]) == ("tencent", "s")
    return (ID, 2, 1)


def test_waits_until_it_is_known_whose_it_is() -> None:
    """Then it is completed, once; the same one twice waits once."""
    waiting = Unmatched()
    waiting.learn(receipt())
    waiting.learn(receipt())
    assert [*waiting.match(nobody, NOW)] == []
    (found,) = waiting.match(everybody, NOW)
    assert (found.message_id, found.replay_id, attempt_of(found)) == (ID, 1, 2)
    assert [*waiting.match(everybody, NOW)] == []


def test_is_given_up_after_a_while() -> None:
    """A forged one, or one of another system over the same account."""
    waiting = Unmatched()
    waiting.learn(receipt())
    assert [*waiting.match(nobody, NOW + PATIENCE_MS)] == []
    assert len(waiting) == 1
    assert [*waiting.match(nobody, NOW + PATIENCE_MS + 1)] == []
    assert len(waiting) == 0


def test_what_is_not_ours_to_complete_is_passed_over() -> None:
    """Other requests, and receipts that name their message."""
    waiting = Unmatched()
    waiting.learn(structs.replace(receipt(), kind="cancel"))
    waiting.learn(structs.replace(receipt(), message_id=ID))
    waiting.learn(structs.replace(receipt(), provider_message_id=""))
    assert len(waiting) == 0


def test_the_oldest_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there are too many."""
    monkeypatch.setattr(unmatched, "MOST_WAITING", 2)
    waiting = Unmatched()
    for number in (1, 2, 3):
        waiting.learn(receipt(number))
    assert [one.provider_message_id for one in waiting.match(everybody, NOW)] == ["s2", "s3"]
