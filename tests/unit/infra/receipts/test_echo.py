"""The echo: what a channel writes is what a receipt is read as, within every vendor's limit."""

import pytest

from infra.receipts.echo import ECHO_CHARS, Echo, echo_of, read_echo
from tests.channel_samples import delivery


def test_a_receipt_names_the_attempt_that_was_sent() -> None:
    """Message, attempt, replay and provider key come back."""
    one = delivery(7, attempt=3, replay_id=2)
    assert read_echo(echo_of(one)) == Echo(one.message_id, 3, 2, one.provider_key)


def test_names_every_attempt_apart_within_the_vendors_limit() -> None:
    """Fewer than 256 characters, and no two attempts alike."""
    longest = echo_of(delivery(attempt=2**31 - 1, replay_id=2**63 - 1))
    assert len(longest) == ECHO_CHARS < 256
    assert read_echo(longest) is not None
    several = [delivery(), delivery(2), delivery(attempt=2), delivery(replay_id=1), delivery(provider_key=bytes(16))]
    assert len({echo_of(one) for one in several}) == len(several)


@pytest.mark.parametrize("text", ["", "m1", "00.1.0.00", echo_of(delivery()) + ".x", echo_of(delivery()).upper()])
def test_what_we_never_wrote_names_nothing(text: str) -> None:
    """Somebody else's OutId, or a torn one, is not guessed at."""
    assert read_echo(text) is None
