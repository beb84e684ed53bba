"""Keys: partitions never overlap, and the order of the bytes is the order of the numbers."""

from hypothesis import given
from hypothesis import strategies as st

from streams.keys import Keys, seq_bytes, seq_of
from tests.factories import message_id

MOMENTS = st.integers(0, 1 << 62)


@given(MOMENTS, MOMENTS)
def test_due_entries_sort_by_moment(one: int, other: int) -> None:
    """A scan of the index meets the earlier entry first, and an entry gives back what it was made of."""
    keys = Keys(1, 7)
    first, second = keys.due(one, message_id(1)), keys.due(other, message_id(1))
    assert (first < second) == (one < other)
    assert keys.due_of(first) == (one, message_id(1))
    assert keys.dues[0] <= first < keys.dues[1]


@given(st.integers(0, 2), st.integers(0, 511), st.integers(0, 511))
def test_partitions_never_overlap(lane: int, one: int, other: int) -> None:
    """Every kind of key lies inside its partition's prefix, and outside any other's."""
    keys, strange = Keys(lane, one), Keys(lane, other)
    made = [
        keys.checkpoint,
        keys.state(message_id(1)),
        keys.sealed(message_id(1)),
        keys.due(5),
        keys.line("sms", "his", "lab_report"),
    ]
    assert all(keys.prefix < key < keys.end for key in made)
    assert one == other or not any(strange.prefix <= key < strange.end for key in made)


def test_a_moment_long_past_is_the_first() -> None:
    """What should have happened before the epoch is due at once."""
    assert Keys(0, 0).due(-5) == Keys(0, 0).due(0)


def test_lines_of_similar_names_are_apart() -> None:
    """Channel, application and type are separated: no line's prefix begins another's."""
    keys = Keys(0, 0)
    assert not keys.line("sms", "app1", "t").startswith(keys.line("sms", "app", "t"))
    assert not keys.line("sms", "app", "t1").startswith(keys.line("sms", "app", "t"))
    assert keys.line("sm", "sx", "t") != keys.line("sms", "x", "t") != keys.line("sms", "xt", "")


@given(st.integers(0, 1 << 62))
def test_places_in_the_line_come_back(seq: int) -> None:
    """The place is the end of the key."""
    assert seq_of(Keys(0, 0).line("sms", "his", "t") + seq_bytes(seq)) == seq
