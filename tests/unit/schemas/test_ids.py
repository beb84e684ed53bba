"""Ids are minted from time and chance, or derived so that the same request has the same id; the vectors are pinned."""

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import ids
from schemas.errors import Permanent, Reason

NOW_MS = 1_645_557_742_000
RANDOM = bytes.fromhex("0cc318c4dc0c0c07398f")


def test_the_rfc_s_example_of_version_7() -> None:
    """RFC 9562, appendix A.6: this moment and these random bits are this id."""
    assert ids.show(ids.mint(NOW_MS, RANDOM)) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(now_ms=st.integers(0, 2**48 - 1), chance=st.binary(min_size=10, max_size=10))
def test_a_minted_id_is_a_version_7_that_tells_its_time(now_ms: int, chance: bytes) -> None:
    """Version and variant bits are set, and the time can be read back."""
    minted = ids.mint(now_ms, chance)
    as_uuid = UUID(bytes=minted)
    assert (as_uuid.version, as_uuid.variant, ids.minted_at(minted)) == (7, RFC_4122, now_ms)


def test_minted_ids_sort_by_time() -> None:
    """A later id is greater, whatever the chance."""
    assert ids.mint(NOW_MS, b"\xff" * 10) < ids.mint(NOW_MS + 1, bytes(10))


def test_too_little_chance_is_refused() -> None:
    """An id is never shorter or more guessable than it looks."""
    with pytest.raises(ValueError, match="10 random bytes"):
        ids.mint(NOW_MS, bytes(9))


@pytest.mark.parametrize(
    ("app_id", "reference", "text"),
    [
        ("his", "R-1", "8ad2ceca-d02b-8d75-b829-d15c2814b892"),
        ("lis", "LAB-20260921-0001", "9d103cd3-c74c-8b7a-a4ed-fb32e660f239"),
        ("his", "挂号-1", "9dda9136-e766-8610-8f9f-c83a69021d1e"),
    ],
)
def test_the_id_of_a_reference_never_changes(app_id: str, reference: str, text: str) -> None:
    """Clients keep these ids for years: the derivation is pinned."""
    assert ids.show(ids.from_reference(app_id, reference)) == text


def test_the_id_of_a_position_never_changes() -> None:
    """The same record of the log has the same id after every restart."""
    assert ids.show(ids.from_position("messages.normal", 3, 2**33)) == "0ba9293d-6c18-86b9-a91b-2dd5746e9bb8"


@given(app_id=st.text(max_size=8), reference=st.text(max_size=8))
def test_a_derived_id_is_a_version_8(app_id: str, reference: str) -> None:
    """Version and variant bits are set, and no time is read into it."""
    derived = ids.from_reference(app_id, reference)
    as_uuid = UUID(bytes=derived)
    assert (as_uuid.version, as_uuid.variant, ids.minted_at(derived)) == (8, RFC_4122, None)


def test_parts_of_a_derivation_do_not_run_together() -> None:
    """Where app ends and reference begins matters, and a reference is no position."""
    assert ids.from_reference("his", "a1") != ids.from_reference("hisa", "1")
    assert ids.from_position("a", 1, 11) != ids.from_position("a", 11, 1)
    assert ids.from_position("a", 1, 1) != ids.from_reference("a", "1")


@given(raw=st.binary(min_size=16, max_size=16))
def test_an_id_survives_its_text(raw: bytes) -> None:
    """Shown and parsed, an id is itself; so it is without hyphens and in capitals."""
    text = ids.show(raw)
    assert ids.parse(text) == ids.parse(text.upper()) == ids.parse(text.replace("-", "")) == raw


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not-a-uuid",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398ff",
        "{017f22e2-79b0-7cc3-98c4-dc0c0c07398f}",
        "urn:uuid:017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "017f22e2_79b0_7cc3_98c4_dc0c0c07398f",
        "017f22e279b0-7cc3-98c4-dc0c0c07398f",
        "\uff1017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n",
    ],
)
def test_what_is_no_uuid_is_refused(text: str) -> None:
    """Only the plain text of a UUID is an id, and the refusal does not repeat what was sent."""
    with pytest.raises(Permanent) as refusal:
        ids.parse(text)
    assert refusal.value.reason is Reason.PARAM_INVALID
    assert str(refusal.value) == "param_invalid: message_id is not a UUID"


def test_the_provider_s_key_is_equal_within_a_try_group_only() -> None:
    """Attempts of one try group share the key; another channel, replay or group has its own; the value is pinned."""
    message_id = bytes(range(16))
    key = ids.provider_key(message_id, "sms", 0, 0)
    others = {
        ids.provider_key(message_id, "webhook", 0, 0),
        ids.provider_key(message_id, "sms", 1, 0),
        ids.provider_key(message_id, "sms", 0, 1),
        ids.provider_key(bytes(16), "sms", 0, 0),
    }
    assert key.hex() == "d04ccb55f81bdfb50b7ede5916114a96"
    assert len(others | {key}) == 5
