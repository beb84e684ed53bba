"""Which sendings belong together."""

from infra.series import Series, series_of
from schemas import ids
from schemas.statuses import Stage
from tests.answers import event

FIRST = "019b0000-0000-7000-8000-000000000001"
SECOND = ids.show(ids.occurrence(ids.parse(FIRST), 1))


def test_a_message_knows_its_series() -> None:
    """From its acceptance; another remark there says nothing."""
    assert series_of(FIRST, [event(Stage.ACCEPTED, detail="1/7")]) == Series(FIRST, 7)
    assert series_of(SECOND, [event(Stage.ISSUED), event(Stage.ACCEPTED, detail=f"2/7 of {FIRST}")]) == Series(FIRST, 7)
    assert series_of(FIRST, [event(Stage.ACCEPTED, detail=""), event(Stage.COMPLETED, detail="1/7")]) is None
    skipping = event(Stage.ACCEPTED, detail=f"2/7 of {FIRST}; sms: the channel is not registered")
    assert series_of(SECOND, [skipping]) == Series(FIRST, 7)
    assert series_of(FIRST, [event(Stage.ACCEPTED, detail="sms: the channel is not registered")]) is None
    assert len({*Series(FIRST, 7).ids()}) == 7
