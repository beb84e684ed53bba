from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import EVENT
from schemas.records import Event
from schemas.statuses import Stage
from schemas.topics import DAY_MS
from sinks import days
from sinks.days import Days

DAYS = Days()
SHANGHAI = ZoneInfo("Asia/Shanghai")
TEXTS = st.text(max_size=80)
MODERN_MS = 700_000_000_000
"""1992: the last summer time is over."""
MIDNIGHT_MS = 1_793_462_400_000
"""2026-11-01 00:00 in Asia/Shanghai, 2026-10-31 16:00 UTC."""


def event_at(accepted_at_ms: int) -> bytes:
    """The bytes of an event of a message accepted then."""
    return EVENT.encode(Event(bytes(16), "outcome", accepted_at=accepted_at_ms))


def test_a_day_begins_at_midnight_in_shanghai() -> None:
    """One millisecond decides between October and November."""
    assert DAYS.of(EVENT.head, [event_at(MIDNIGHT_MS)]) == {date(2026, 11, 1)}
    assert DAYS.of(EVENT.head, [event_at(MIDNIGHT_MS - 1)]) == {date(2026, 10, 31)}


def test_a_batch_touches_every_day_of_its_events() -> None:
    """Late receipts bring days long past along."""
    values = [event_at(MIDNIGHT_MS), event_at(MIDNIGHT_MS + 5), event_at(MIDNIGHT_MS - 40 * DAY_MS)]
    assert DAYS.of(EVENT.head, values) == {date(2026, 11, 1), date(2026, 9, 22)}


@given(
    accepted_at_ms=st.integers(MODERN_MS, 4_000_000_000_000),
    stage=st.sampled_from(days.COUNTED),
    words=st.tuples(TEXTS, TEXTS),
    attempt=st.integers(-1, 2**31 - 1),
    replay_id=st.integers(-(2**62), 2**62),
    at_ms=st.integers(-1, 2**50),
)
def test_whatever_stands_before_it_the_day_is_found(
    accepted_at_ms: int, stage: str, words: tuple[str, str], attempt: int, replay_id: int, at_ms: int
) -> None:
    """Long texts, large and negative numbers are passed as Avro writes them."""
    channel, status = words
    value = EVENT.encode(
        Event(bytes(16), stage, channel, attempt, replay_id, status, at=at_ms, accepted_at=accepted_at_ms)
    )
    expected = datetime.fromtimestamp(accepted_at_ms // 1000, SHANGHAI).date()
    assert DAYS.of(EVENT.head, [value]) == {expected}


@pytest.mark.parametrize("stage", sorted(set(Stage) - set(days.COUNTED)))
def test_an_event_that_no_figure_counts_marks_no_day(stage: Stage) -> None:
    """Most events: nothing of the figures would change."""
    assert DAYS.of(EVENT.head, [EVENT.encode(Event(bytes(16), stage, accepted_at=MIDNIGHT_MS))]) == set()


@pytest.mark.parametrize("fields", [[{"name": "message_id", "type": "string"}], []], ids=["behind a text", "not there"])
def test_a_stage_without_a_fixed_place_is_refused(fields: list[dict[str, object]]) -> None:
    """As above, for the field that is looked at first."""
    with pytest.raises(ValueError, match="fixed place"):
        days._stage_at({"fields": [*fields, {"name": "stage_of_life", "type": "string"}]})


@pytest.mark.parametrize(
    "fields",
    [
        [{"name": "plan", "type": ["null", "string"]}, {"name": "accepted_at", "type": "long"}],
        [{"name": "message_id", "type": "string"}],
    ],
    ids=["union before it", "not there"],
)
def test_a_schema_it_cannot_walk_over_is_refused(fields: list[dict[str, object]]) -> None:
    """A coming version of the event that this reader would misread is refused when the process starts."""
    with pytest.raises(ValueError, match="event schema"):
        days._steps({"fields": fields})
