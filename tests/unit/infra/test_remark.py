"""The remark on an acceptance is one line that is read back as it was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.remark import CAUSE_CHARS, causes_in, place_in, remark

ADDRESS = "the recipient has no address in this channel"
CHANNELS = st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True)
PLACES = st.sampled_from(["", "1/7", "2/7 of 019b0000-0000-7000-8000-000000000001"])


@pytest.mark.parametrize(
    ("place", "causes", "line"),
    [
        ("", {}, ""),
        ("1/7", {}, "1/7"),
        ("", {"sms": ADDRESS}, f"sms: {ADDRESS}"),
        ("1/7", {"sms": ADDRESS, "wechat": "", "email": "x"}, f"1/7; sms: {ADDRESS}; email: x"),
    ],
)
def test_it_is_one_line(place: str, causes: dict[str, str], line: str) -> None:
    """The place first; a channel that can be used is not in it."""
    assert remark(place, causes) == line
    assert (place_in(line), causes_in(line)) == (place, {name: why for name, why in causes.items() if why})


@given(PLACES, st.dictionaries(CHANNELS, st.text(max_size=300), max_size=5))
def test_whatever_a_cause_says_it_stays_its_channel_s(place: str, causes: dict[str, str]) -> None:
    """Separators and line ends in it make no further part, and a long one is cut."""
    line = remark(place, causes)
    assert "\n" not in line
    assert place_in(line) == place
    found = causes_in(line)
    assert found.keys() <= causes.keys()
    assert all(len(cause) <= CAUSE_CHARS and ";" not in cause for cause in found.values())


def test_another_remark_holds_neither() -> None:
    """Of an older writer, or of no acceptance at all."""
    assert causes_in("parameter item is missing") == {}
    assert place_in("") == ""
