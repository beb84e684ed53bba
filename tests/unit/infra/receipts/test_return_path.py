"""Return paths: what they name comes back, whatever servers do to letters; nobody can make one up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.receipts.echo import Echo
from infra.receipts.return_path import LOCAL_CHARS, NAME_CHARS, attempt_at, return_path
from schemas.records import NO_KEY

KEYS = "a-key-of-16-chars"
BASE = "bounce@hean.example"
ONE = Echo(bytes(range(16)), 3, 0, b"p" * 16)


@given(st.binary(min_size=16, max_size=16), st.integers(1, 255), st.integers(0, 2**63 - 1))
def test_names_the_attempt_and_fits_into_an_envelope(message_id: bytes, attempt: int, replay_id: int) -> None:
    """Whatever the ids are, and for the longest name that an account may have."""
    base = "b" * NAME_CHARS + "@hean.example"
    address = return_path(base, KEYS, Echo(message_id, attempt, replay_id, b"p" * 16))
    assert len(address.rpartition("@")[0]) <= LOCAL_CHARS
    assert attempt_at(address.upper(), base, KEYS) == Echo(message_id, attempt, replay_id, NO_KEY)


def test_an_attempt_too_high_to_be_named_is_any() -> None:
    """0 is what a receipt says that does not know."""
    found = attempt_at(return_path(BASE, KEYS, Echo(ONE.message_id, 256, 0, NO_KEY)), BASE, KEYS)
    assert found is not None
    assert found.attempt == 0


def test_a_key_is_changed_without_a_gap() -> None:
    """The newest signs, the older one is still believed."""
    old, new = return_path(BASE, KEYS, ONE), return_path(BASE, f"another-key-of-22-chars {KEYS}", ONE)
    assert old != new
    assert attempt_at(old, BASE, f"another-key-of-22-chars {KEYS}") is not None
    assert attempt_at(new, BASE, KEYS) is None


@given(st.integers(0, 39), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_token_of_which_one_letter_differs_is_nobodys(at: int, letter: str) -> None:
    """Neither the message nor the proof can be changed."""
    name, _, domain = return_path(BASE, KEYS, ONE).rpartition("@")
    base, _, token = name.partition("+")
    if token[at] != letter:
        assert attempt_at(f"{base}+{token[:at]}{letter}{token[at + 1 :]}@{domain}", BASE, KEYS) is None


@pytest.mark.parametrize(
    "address",
    ["", "@", "bounce@hean.example", "bounce+@hean.example", "bounce+aaaa@hean.example", "bounce+é@hean.example",
     "bounce+" + "a" * 200 + "@hean.example", "bounce+" + "=" * 42 + "@hean.example"],
)  # fmt: skip
def test_what_we_never_wrote_is_nobodys(address: str) -> None:
    """And raises nothing."""
    assert attempt_at(address, BASE, KEYS) is None


def test_another_accounts_token_is_not_ours() -> None:
    """Another domain, another name, another key."""
    address = return_path(BASE, KEYS, ONE)
    assert attempt_at(address.replace("hean", "other"), BASE, KEYS) is None
    assert attempt_at(address.replace("bounce+", "b+"), BASE, KEYS) is None
    assert attempt_at(address.replace("hean", "other"), "bounce@other.example", KEYS) is None
    assert attempt_at(address, BASE, KEYS[::-1]) is None
