"""What is sealed opens only where it belongs, with a key that is known; keys are made once."""

import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from infra import crypto
from infra.crypto import PURPOSES, Ring, fresh_keys, load_keyring, parse_keyring, part_place, recipient_key
from infra.settings import Settings
from schemas.errors import Permanent, Reason, UnavailableError

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
ID = bytes(range(16))
PLACE = part_place(ID, "sms")
PLAIN = "13800009999 张三".encode()


def ring(**keys: bytes) -> Ring:
    """A ring of the purpose `parts` with keys named k<id>."""
    return Ring("parts", {int(name[1:]): key for name, key in keys.items()} or {1: KEY})


def assert_refused(opener: Ring, sealed: bytes, place: bytes = PLACE) -> str:
    """The refusal's text; it never shows what was sealed, nor a key."""
    with pytest.raises(Permanent) as refusal:
        opener.open(sealed, place)
    assert refusal.value.reason is Reason.DECODE_ERROR
    assert "138" not in str(refusal.value)
    return str(refusal.value)


@given(plain=st.binary(max_size=200), place=st.binary(max_size=40))
def test_what_was_sealed_opens_at_its_place(plain: bytes, place: bytes) -> None:
    """Any bytes, bound to any place, come back as they were."""
    assert ring().open(ring().seal(plain, place), place) == plain


def test_a_sealed_value_is_laid_out_as_documented() -> None:
    """Version, key id, nonce of 12 bytes, ciphertext as long as the plain bytes, tag of 16; never the same twice."""
    first, second = ring(k1=OTHER, k7=KEY).seal(PLAIN, PLACE), ring(k1=OTHER, k7=KEY).seal(PLAIN, PLACE)
    assert first[:2] == b"\x01\x07"
    assert len(first) == 2 + 12 + len(PLAIN) + 16
    assert first[2:14] != second[2:14]
    assert PLAIN not in first


@pytest.mark.parametrize("position", [0, 1, 2, 13, 14, -17, -16, -1])
def test_a_tampered_value_is_refused(position: int) -> None:
    """One changed bit anywhere (version, key id, nonce, text, tag) is noticed."""
    sealed = bytearray(ring().seal(PLAIN, PLACE))
    sealed[position] ^= 1
    assert_refused(ring(), bytes(sealed))


@pytest.mark.parametrize("length", [0, 1, 2, 13, 14, 15, 29])
def test_a_cut_value_is_refused(length: int) -> None:
    """Whatever is too short to be sealed is a refusal and no other error."""
    assert_refused(ring(), ring().seal(PLAIN, PLACE)[:length])


@pytest.mark.parametrize("place", [part_place(bytes(16), "sms"), part_place(ID, "webhook"), b""])
def test_a_moved_value_is_refused(place: bytes) -> None:
    """A part cannot be carried to another message or channel."""
    assert (
        assert_refused(ring(), ring().seal(PLAIN, PLACE), place) == "decode_error: sealed parts: does not belong here"
    )


def test_a_wrong_or_unknown_key_is_refused() -> None:
    """Another key under the same id does not open it, and an id that is not in the ring is named as such."""
    sealed = ring(k1=KEY).seal(PLAIN, PLACE)
    assert assert_refused(ring(k1=OTHER), sealed).endswith("does not belong here")
    assert assert_refused(ring(k2=KEY), sealed).endswith("unknown version or key")


def test_rotation_seals_with_the_newest_and_opens_with_any() -> None:
    """After a key is added, old values still open and new ones carry the new key's id."""
    before, after = ring(k1=KEY), ring(k1=KEY, k2=OTHER)
    old, new = before.seal(PLAIN, PLACE), after.seal(PLAIN, PLACE)
    assert after.open(old, PLACE) == after.open(new, PLACE) == PLAIN
    assert (old[1], new[1], after.newest) == (1, 2, 2)
    assert_refused(before, new)


def test_rotation_does_not_change_pseudonyms() -> None:
    """A recipient keeps its key when the ring gets a newer one; the value is pinned."""
    first = recipient_key(ring(k1=KEY), "patient_id", "P0001")
    assert first == recipient_key(ring(k1=KEY, k2=OTHER), "patient_id", "P0001")
    assert first.hex() == "815dfdd4ce83b8bb312239137d1d6ed5"


def test_a_pseudonym_depends_on_every_part_and_where_it_ends() -> None:
    """Type, value, key and the border between type and value all count."""
    one = ring()
    keys = {
        recipient_key(one, "patient_id", "P0001"),
        recipient_key(one, "patient_id", "P0002"),
        recipient_key(one, "staff_id", "P0001"),
        recipient_key(one, "patient_idP", "0001"),
        recipient_key(ring(k1=OTHER), "patient_id", "P0001"),
    }
    assert len(keys) == 5
    assert {len(key) for key in keys} == {16}


@pytest.mark.parametrize("keys", [{}, {1: b"short"}, {256: KEY}, {-1: KEY}])
def test_a_ring_of_bad_keys_is_refused(keys: dict[int, bytes]) -> None:
    """No key, a key of another length, or an id that does not fit one byte."""
    with pytest.raises(UnavailableError, match="keyring parts: needs keys of 32 bytes with ids 0 to 255"):
        Ring("parts", keys)


SHORT = base64.b64encode(b"short").decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"parts": []}',
        '{"parts": {"1": 5}}',
        '{"parts": {"one": ""}}',
        '{"parts": {"1": "!!!!"}}',
        json.dumps({"parts": {"1": base64.b64encode(KEY).decode() + "?"}}),
        json.dumps({"parts": {"1": SHORT}}),
    ],
)
def test_a_keyring_that_is_none_is_refused(text: str) -> None:
    """Bad JSON, bad base64 and bad lengths name the keyring and the way to mend it, and no key."""
    with pytest.raises(UnavailableError, match="keyring") as refusal:
        parse_keyring(text)
    assert "MEDPOST_CRYPTO_KEYS" in refusal.value.remedy
    assert SHORT not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_process_has_only_the_rings_it_was_given() -> None:
    """Asking for another purpose names it."""
    keyring = parse_keyring(json.dumps({"dead": {"1": base64.b64encode(KEY).decode()}}))
    assert keyring.ring("dead").purpose == "dead"
    with pytest.raises(UnavailableError, match="no keys for parts"):
        keyring.ring("parts")


def test_the_environment_s_keyring_goes_before_the_file(tmp_path: Path) -> None:
    """With keys in the settings no file is made, and no key shows in the settings' text."""
    text = fresh_keys()
    settings = Settings(home=tmp_path, crypto_keys=SecretStr(text))
    sealed = parse_keyring(text).ring("parts").seal(PLAIN, PLACE)
    assert load_keyring(settings).ring("parts").open(sealed, PLACE) == PLAIN
    assert list(tmp_path.iterdir()) == []
    assert json.loads(text)["parts"]["1"] not in repr(settings)


def test_the_first_use_makes_a_private_file_with_every_ring(tmp_path: Path) -> None:
    """The keys are made once, readable by their owner only, and found again."""
    settings = Settings(home=tmp_path / "new")
    first = load_keyring(settings)
    (path,) = settings.home.iterdir()
    assert (path.name, stat.S_IMODE(path.stat().st_mode)) == ("keys.json", 0o600)
    for purpose in PURPOSES:
        assert load_keyring(settings).ring(purpose).open(first.ring(purpose).seal(PLAIN, PLACE), PLACE) == PLAIN


def test_a_concurrent_first_use_makes_one_file(tmp_path: Path) -> None:
    """Of many that start at once one wins, all have its keys, and no draft is left behind."""
    settings = Settings(home=tmp_path)
    with ThreadPoolExecutor(16) as pool:
        keyrings = list(pool.map(load_keyring, [settings] * 64))
    pseudonyms = {keyring.ring("pseudonym").digest("same") for keyring in keyrings}
    assert len(pseudonyms) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_a_loser_of_the_race_takes_the_winner_s_keys(tmp_path: Path) -> None:
    """A file that appears between looking and writing is kept as it is."""
    path = tmp_path / "keys.json"
    path.write_text(fresh_keys())
    before = path.read_bytes()
    crypto._write_fresh(path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["keys.json"]


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where the folder should be is a clear refusal with a remedy."""
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match=r"keys\.json: Not a directory") as refusal:
        load_keyring(Settings(home=tmp_path / "file" / "home"))
    assert refusal.value.remedy == "make MEDPOST_HOME readable and writable"
