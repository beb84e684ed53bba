"""What a refusal advises by its reason alone."""

import pytest

from schemas.errors import Reason
from sinks.hints import RETRIES, SCOPE_OF, SCOPES, Hint, by_reason, unmapped


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_advises_in_the_words_of_the_event(reason: Reason) -> None:
    """Also those that no provider gives."""
    hint = by_reason(reason)
    assert hint.retry in RETRIES
    assert hint.scope in SCOPES


def test_only_channel_and_account_speak_of_more_than_one_message() -> None:
    """A person, a text or a template must never stop a channel."""
    wide = {reason for reason, scope in SCOPE_OF.items() if scope in {"channel", "account"}}
    assert wide == {
        Reason.TRANSIENT,
        Reason.CONFIG_MISSING,
        Reason.RATE_LIMITED,
        Reason.QUOTA_EXHAUSTED,
        Reason.AUTH_EXPIRED,
        Reason.AUTH_CONFIG,
        Reason.BILLING,
    }


@pytest.mark.parametrize(("costs_money", "retry"), [(True, "never"), (False, "once")])
def test_an_unknown_code_is_tried_again_only_where_that_is_free(costs_money: bool, retry: str) -> None:
    """And it never speaks of the account."""
    assert unmapped(costs_money=costs_money) == Hint(retry, "message")  # type: ignore[arg-type]  # one of the words
