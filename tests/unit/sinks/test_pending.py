"""Who still waits for a receipt: asked about in time, not too often, and no longer once it is told."""

from typing import Any

import pytest

from schemas.records import Delivery, Event
from schemas.statuses import Stage
from sinks import pending
from sinks.pending import ASK_AFTER_MS, UNANSWERED_MS, Pending, Sent
from tests.channel_samples import delivery

NOW = 1_760_000_000_000
ONE = delivery()


def book(wanted: str = "delivered") -> Pending:
    """A book that asks Aliyun."""
    made = Pending(lambda _kind, _channel: wanted)
    made.asked = frozenset({("sms", "aliyun")})
    return made


def event(stage: str, status: str = "", of: Delivery = ONE, **told: Any) -> Event:
    """What a sink or a receipt says about a delivery."""
    plain: dict[str, Any] = {
        "attempt": of.attempt,
        "provider": "aliyun",
        "provider_message_id": "b1" if stage == Stage.OUTCOME else "",
    }
    return Event(of.message_id, stage, "sms", status=status, type=of.type, **{**plain, **told})


def asked(made: Pending, now_ms: int) -> list[Sent]:
    """Whom to ask about, put off at once."""
    found = [*made.due(now_ms)]
    for sent in found:
        made.put_off(sent, now_ms)
    return found


@pytest.mark.parametrize("delivery_first", [True, False])
def test_asks_about_what_is_taken_but_not_delivered(*, delivery_first: bool) -> None:
    """In whatever order delivery and answer are read; the sealed part is there to ask with."""
    made = book()
    if delivery_first:
        made.learn_delivery(ONE, NOW)
    made.learn_event(event(Stage.OUTCOME, "accepted"), NOW)
    made.learn_delivery(ONE, NOW)
    assert asked(made, NOW + ASK_AFTER_MS[0] - 1) == []
    (sent,) = asked(made, NOW + ASK_AFTER_MS[0])
    assert (sent.delivery, sent.provider_message_id, sent.at_ms) == (ONE, "b1", NOW)


def test_asks_rarer_and_rarer_and_then_no_more() -> None:
    """An hour after the call nobody asks again."""
    made = book()
    made.learn_event(event(Stage.OUTCOME, "accepted"), NOW)
    for after_ms in ASK_AFTER_MS:
        assert asked(made, NOW + after_ms - 1) == []
        assert len(asked(made, NOW + after_ms)) == 1
    assert asked(made, NOW + 10 * ASK_AFTER_MS[-1]) == []
    assert len(made) == 0


def test_what_was_sent_long_ago_is_asked_once_and_then_at_its_next_moment() -> None:
    """After a restart, and after a vendor that was away."""
    made = book()
    made.learn_event(event(Stage.OUTCOME, "accepted"), NOW)
    late = NOW + ASK_AFTER_MS[4] + 1
    assert len(asked(made, late)) == 1
    assert asked(made, NOW + ASK_AFTER_MS[5] - 1) == []
    assert len(asked(made, NOW + ASK_AFTER_MS[5])) == 1


def test_what_could_not_be_asked_is_asked_a_second_later() -> None:
    """Without counting as asked."""
    made = book()
    made.learn_event(event(Stage.OUTCOME, "accepted"), NOW)
    (sent,) = made.due(NOW + ASK_AFTER_MS[0])
    made.put_off(sent, NOW + ASK_AFTER_MS[0], was_asked=False)
    assert [*made.due(NOW + ASK_AFTER_MS[0] + 999)] == []
    assert [*made.due(NOW + ASK_AFTER_MS[0] + 1_000)] == [sent]
    assert sent.asked == 0


@pytest.mark.parametrize(
    ("wanted", "stage", "status", "count"),
    [
        ("delivered", Stage.OUTCOME, "accepted", 1),
        ("delivered", Stage.OUTCOME, "failed", 0),
        ("delivered", Stage.OUTCOME, "delivered", 0),
        ("accepted", Stage.OUTCOME, "accepted", 0),
        ("", Stage.OUTCOME, "accepted", 0),
        ("accepted", Stage.UNKNOWN, "unknown", 1),
        ("", Stage.UNKNOWN, "unknown", 1),
    ],
)
def test_asks_only_about_what_is_not_settled(wanted: str, stage: str, status: str, count: int) -> None:
    """What wants a higher proof than it has, and every call whose answer was lost."""
    made = book(wanted)
    made.learn_delivery(ONE, NOW)
    made.learn_event(event(stage, status), NOW)
    assert len(made) == count


def test_a_claim_that_was_never_answered_is_asked_where_it_was_made() -> None:
    """The next owner does not know which provider was called; the claim in the log does."""
    made = book()
    made.learn_event(event(Stage.SENDING, "sending"), NOW)
    made.learn_event(event(Stage.UNKNOWN, "unknown", provider=""), NOW)
    (sent,) = made.due(NOW + ASK_AFTER_MS[0])
    assert sent.provider == "aliyun"
    elsewhere = book()
    elsewhere.learn_event(event(Stage.UNKNOWN, "unknown", provider="tencent"), NOW)
    assert len(elsewhere) == 0


@pytest.mark.parametrize(("status", "left"), [("delivered", 0), ("failed", 0), ("accepted", 1)])
def test_a_receipt_ends_the_asking(status: str, left: int) -> None:
    """Pushed or pulled; one that proves less than is wanted does not."""
    made = book()
    made.learn_event(event(Stage.OUTCOME, "accepted"), NOW)
    made.learn_event(event(Stage.RECEIPT, status, attempt=0), NOW)
    assert len(made) == left
    assert len(asked(made, NOW + ASK_AFTER_MS[0])) == left


def test_an_accepted_receipt_answers_a_lost_call() -> None:
    """Where no more is wanted."""
    made = book("accepted")
    made.learn_event(event(Stage.UNKNOWN, "unknown"), NOW)
    made.learn_event(event(Stage.RECEIPT, "accepted", attempt=0), NOW)
    assert len(made) == 0


def test_knows_whose_a_providers_id_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every answer that named one; the oldest go when there are too many."""
    monkeypatch.setattr(pending, "MOST_IDS", 2)
    made = book("accepted")
    for number in (1, 2, 3):
        of = delivery(number, attempt=number)
        made.learn_event(event(Stage.OUTCOME, "accepted", of, provider_message_id=f"b{number}"), NOW)
    assert made.whose("aliyun", "b1") is None
    assert made.whose("aliyun", "b3") == (delivery(3).message_id, 3, 0)
    assert made.whose("tencent", "b3") is None


def test_the_oldest_give_way_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A push tells of them all the same."""
    monkeypatch.setattr(pending, "MOST_SENT", 2)
    made = book()
    for number in (1, 2, 3):
        made.learn_event(event(Stage.OUTCOME, "accepted", delivery(number)), NOW)
    assert [sent.attempt[0] for sent in asked(made, NOW + ASK_AFTER_MS[0])] == [
        delivery(2).message_id,
        delivery(3).message_id,
    ]


def test_what_nobody_answered_is_forgotten() -> None:
    """Deliveries and claims do not pile up."""
    made = book()
    made.learn_delivery(ONE, NOW)
    made.learn_event(event(Stage.SENDING, "sending"), NOW)
    made.prune(NOW + UNANSWERED_MS)
    assert (len(made._deliveries), len(made._providers)) == (1, 1)
    made.prune(NOW + UNANSWERED_MS + 1)
    assert (len(made._deliveries), len(made._providers)) == (0, 0)
