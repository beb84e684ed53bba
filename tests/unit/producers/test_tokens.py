import jwt
import pytest

from infra.tokens import MAX_LIFETIME_S
from producers.tokens import Signer
from schemas.errors import Permanent

SECRET = "s" * 32


def expiry_s(bearer: bytes) -> int:
    """The `exp` of a bearer header that was really signed with our secret."""
    scheme, token = bearer.split(b" ")
    assert scheme == b"Bearer"
    claims = jwt.decode(token.decode(), SECRET, ["HS256"], audience="medpost", options={"verify_exp": False})
    return int(claims["exp"])


def test_a_token_is_used_while_it_outlives_the_longest_delivery() -> None:
    """At every moment the header in hand is valid for a whole delivery timeout more."""
    signer = Signer("lis", "lis-1", "HS256", SECRET, delivery_timeout_s=60)
    headers = {now_s: signer.bearer(now_s) for now_s in range(1_000_000, 1_001_000, 7)}
    assert all(expiry_s(header) >= now_s + 60 for now_s, header in headers.items())
    assert 2 <= len(set(headers.values())) < 10


def test_a_clock_that_is_set_back_makes_a_new_token() -> None:
    """A token from the future would be refused; it is not used again."""
    signer = Signer("lis", "lis-1", "HS256", SECRET, delivery_timeout_s=60)
    later = signer.bearer(1_000_000)
    assert expiry_s(signer.bearer(900_000)) < expiry_s(later)


def test_a_delivery_that_no_token_outlives_is_refused() -> None:
    """A token lives an hour at most, so a delivery may not wait for one."""
    with pytest.raises(Permanent, match="delivery_timeout_s"):
        Signer("lis", "lis-1", "HS256", SECRET, delivery_timeout_s=MAX_LIFETIME_S)


def test_a_secret_that_the_registry_would_not_take_is_refused_at_once() -> None:
    """Not by the first message's refusal, hours later."""
    with pytest.raises(Permanent, match="at least 32 bytes"):
        Signer("lis", "lis-1", "HS256", "short", delivery_timeout_s=60)
