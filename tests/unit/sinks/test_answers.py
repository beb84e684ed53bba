"""Answering events: they carry what the delivery brought, and say how it ended."""

import pytest

from schemas.errors import MedpostError, Permanent, Reason, Transient
from schemas.records import Event
from schemas.statuses import Stage, Status
from sinks.answers import Scribe
from sinks.channel import Accepted, UnknownOutcome
from sinks.codebook import ProviderPermanent, ProviderTransient
from sinks.hints import Hint
from tests.channel_samples import ACCEPTED_AT, delivery

SCRIBE = Scribe("sinks.normal@host:1", "aliyun")
NOW = ACCEPTED_AT + 2_500


def test_every_event_carries_what_the_delivery_brought() -> None:
    """Ids, versions, times and marks are the delivery's."""
    one = delivery(
        7,
        attempt=3,
        replay_id=9,
        send_at=ACCEPTED_AT + 2_000,
        possible_duplicate=True,
        template_version=4,
        config_version=5,
        recipient_key=b"r" * 16,
    )
    event = SCRIBE.sending(one, NOW)
    assert event == Event(
        message_id=one.message_id,
        stage=Stage.SENDING,
        channel="sms",
        attempt=3,
        replay_id=9,
        status="sending",
        at=NOW,
        accepted_at=ACCEPTED_AT,
        app_id="his",
        type="queue_called",
        lane="normal",
        provider="aliyun",
        possible_duplicate=True,
        latency_ms=2_500,
        lateness_ms=500,
        recipient_key=b"r" * 16,
        template_version=4,
        config_version=5,
        worker="sinks.normal@host:1",
    )


def test_times_never_run_backwards() -> None:
    """A clock behind the broker's makes no negative latency."""
    event = SCRIBE.sending(delivery(), ACCEPTED_AT - 50)
    assert (event.latency_ms, event.lateness_ms) == (0, 0)


def test_accepted_tells_the_level_and_the_providers_id() -> None:
    """The status is the proved level."""
    event = SCRIBE.accepted(delivery(), NOW, Accepted("biz^0", Status.DELIVERED, "OK"))
    assert (event.stage, event.status, event.reason) == (Stage.OUTCOME, Status.DELIVERED, "")
    assert (event.provider_message_id, event.provider_code) == ("biz^0", "OK")


@pytest.mark.parametrize(
    ("problem", "stage", "status", "reason", "code", "until"),
    [
        (ProviderPermanent(Reason.BILLING, "POOR"), "outcome", "failed", "billing", "POOR", 0),
        (ProviderTransient(Reason.RATE_LIMITED, "SLOW", 1.5), "outcome", "failed", "rate_limited", "SLOW", NOW + 1_500),
        (Transient(Reason.TRANSIENT, "connecting"), "outcome", "failed", "transient", "", 0),
        (Transient(Reason.TRANSIENT, retry_after_s=0.0), "outcome", "failed", "transient", "", NOW),
        (Permanent(Reason.DECODE_ERROR), "outcome", "failed", "decode_error", "", 0),
        (UnknownOutcome("timeout"), "unknown", "unknown", "unknown_outcome", "timeout", 0),
    ],
)
def test_failures_keep_the_vendors_word(
    problem: MedpostError, stage: str, status: str, reason: str, code: str, until: int
) -> None:
    """An unknown outcome is never told as a failure."""
    event = SCRIBE.failed(delivery(), NOW, problem)
    assert (event.stage, event.status, event.reason) == (stage, status, reason)
    assert (event.provider_code, event.until) == (code, until)


def test_without_a_call() -> None:
    """Dropped and deferred say why, and deferred until when."""
    dropped = SCRIBE.dropped(delivery(), NOW, Reason.TOO_LATE)
    deferred = SCRIBE.deferred(delivery(), NOW, Reason.QUOTA_EXHAUSTED, NOW + 60_000)
    assert (dropped.stage, dropped.status, dropped.reason) == ("dropped", "dropped", "too_late")
    assert (deferred.stage, deferred.reason, deferred.until) == ("deferred", "quota_exhausted", NOW + 60_000)


@pytest.mark.parametrize(
    ("problem", "costs_money", "retry", "scope"),
    [
        (ProviderPermanent(Reason.BILLING, "POOR"), True, "never", "account"),
        (ProviderTransient(Reason.TRANSIENT, "BUSY", None, Hint("once", "message")), True, "once", "message"),
        (ProviderPermanent(Reason.UNMAPPED, "?"), True, "never", "message"),
        (ProviderPermanent(Reason.UNMAPPED, "?"), False, "once", "message"),
        (Transient(Reason.TRANSIENT, "connecting"), False, "later", "channel"),
        (Permanent(Reason.PARAM_INVALID), False, "never", "message"),
        (UnknownOutcome("timeout"), False, "", ""),
    ],
)
def test_a_refusal_advises(problem: MedpostError, costs_money: bool, retry: str, scope: str) -> None:
    """What the book says; an unknown code may be tried once more where that costs nothing."""
    event = Scribe("w", "aliyun", costs_money).failed(delivery(), NOW, problem)
    assert (event.retry, event.scope) == (retry, scope)
