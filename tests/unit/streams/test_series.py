"""Messages that repeat: the moments, the messages that come of the first one, and what is asked of them all."""

from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from schemas import ids
from schemas.records import Event, Occurrence, Request
from schemas.topics import DAY_MS
from streams.partition import Partition
from streams.series import later, moments, place, spread
from tests.crash_series import SeriesHistory
from tests.factories import T0, accepted, message_id, plan
from tests.hospital import kind, message

HOUR_MS = 3_600_000
FIRST = message_id(1)
DAILY = kind(repeat_days=1, repeat_times=7, send_times=[8 * 60])
FAR = 1 << 60


def beijing(day: int, hour: int) -> int:
    """UTC ms of a full hour in November 2026 in Beijing."""
    return int(datetime(2026, 11, day, hour, tzinfo=timezone(timedelta(hours=8))).timestamp() * 1000)


def test_every_day_at_eight_for_seven_days() -> None:
    """The first is not among them; each lives as long as the type says."""
    found = moments(message(), DAILY, beijing(1, 8), FAR)
    assert [moment for moment, _ in found] == [beijing(day, 8) for day in range(2, 8)]
    assert {ends - moment for moment, ends in found} == {HOUR_MS}


def test_twice_a_day_counts_sendings_and_every_other_day_leaves_one_out() -> None:
    """Five in all from an evening on: 20, then 8 and 20 two days later, and so on."""
    policy = kind(repeat_days=2, repeat_times=5, send_times=[20 * 60, 8 * 60])
    found = [moment for moment, _ in moments(message(), policy, beijing(1, 20), FAR)]
    assert found == [beijing(3, 8), beijing(3, 20), beijing(5, 8), beijing(5, 20)]


def test_a_sender_who_names_a_moment_keeps_that_time_of_day() -> None:
    """Also one that is past: the first goes out at once, the others at that hour. Without times, the acceptance's."""
    found = moments(message(send_at=beijing(1, 7)), DAILY, beijing(1, 10), FAR)
    assert [moment for moment, _ in found] == [beijing(day, 7) for day in range(2, 8)]
    plain = moments(message(), kind(repeat_days=3, repeat_times=2), beijing(1, 10) + 17, FAR)
    assert plain == [(beijing(4, 10) + 17, beijing(4, 11) + 17)]


def test_the_senders_end_ends_the_series() -> None:
    """Nothing at that moment or later, and no sending outlives it."""
    ends_at = beijing(3, 8) + 60_000
    assert moments(message(expires_at=ends_at), DAILY, beijing(1, 8), FAR) == [
        (beijing(2, 8), beijing(2, 9)),
        (beijing(3, 8), ends_at),
    ]
    assert len(moments(message(expires_at=beijing(3, 8)), DAILY, beijing(1, 8), FAR)) == 1


def test_nothing_repeats_that_does_not_say_so_or_lies_too_far_ahead() -> None:
    """And what is too far is left out."""
    assert moments(message(), kind(send_times=[480]), beijing(1, 8), FAR) == []
    assert len(moments(message(), DAILY, beijing(1, 8), beijing(3, 8))) == 2


@given(st.integers(1, 30), st.integers(2, 60), st.sets(st.integers(0, 1439), max_size=4), st.integers(0, 2 * DAY_MS))
def test_sendings_are_in_order_and_as_many_as_were_said(days: int, times: int, minutes: set[int], after: int) -> None:
    """Whatever the type and the moment."""
    policy = kind(repeat_days=days, repeat_times=times, send_times=sorted(minutes))
    found = [moment for moment, _ in moments(message(), policy, T0 + after, FAR)]
    assert len(found) == times - 1
    assert [T0 + after, *found] == sorted({T0 + after, *found})


def first(sendings: int = 2) -> Event:
    """The acceptance of a message with so many further sendings."""
    further = [
        Occurrence(T0 + n * DAY_MS, T0 + n * DAY_MS + HOUR_MS, [b"%d%d" % (n, at) for at in range(3)])
        for n in range(1, sendings + 1)
    ]
    return accepted(FIRST, plan(supersedes=message_id(9), later=further), detail=place(0, sendings + 1, FIRST))


def test_each_further_sending_is_a_message_of_its_own() -> None:
    """The same plan at another time under an id that follows, sealed for itself; it replaces nothing."""
    event = first()
    one, two = later(event)
    assert [one.message_id, two.message_id] == [ids.occurrence(FIRST, 1), ids.occurrence(FIRST, 2)]
    assert event.plan is not None
    assert two.plan is not None
    assert (two.until, two.plan.send_at, two.plan.expires_at) == (
        T0 + 2 * DAY_MS,
        T0 + 2 * DAY_MS,
        T0 + 2 * DAY_MS + HOUR_MS,
    )
    assert [channel.sealed for channel in two.plan.channels] == [b"20", b"21", b"22"]
    assert (two.plan.series, two.plan.later, two.plan.supersedes) == (FIRST, [], b"")
    assert (two.plan.digest, two.plan.reference) == (event.plan.digest, event.plan.reference)
    assert (event.detail, two.detail) == ("1/3", f"3/3 of {ids.show(FIRST)}")
    assert list(later(two)) == []
    assert list(later(structs.replace(event, plan=None))) == []


def test_an_id_of_a_sending_is_nobody_elses() -> None:
    """Of each message and number its own."""
    assert len({ids.occurrence(message_id(n), k) for n in range(20) for k in range(1, 20)}) == 380


@pytest.mark.parametrize("asked", ["cancel", "supersede"])
def test_taking_the_first_back_means_them_all(asked: str) -> None:
    """The same request of each, with an id that follows, so that asking twice is asking once."""
    request = Request(bytes(15) + b"\7", asked, FIRST, app_id="his")
    found = spread(request, 2)
    assert [one.message_id for one in found] == [ids.occurrence(FIRST, 1), ids.occurrence(FIRST, 2)]
    assert len({request.request_id, *(one.request_id for one in found)}) == 3
    assert {(one.kind, one.app_id) for one in found} == {(asked, "his")}
    assert found == spread(request, 2)


def test_moving_the_first_or_a_receipt_of_it_means_it_alone() -> None:
    """And one without further sendings has nobody to tell."""
    assert spread(Request(bytes(16), "reschedule", FIRST), 2) == []
    assert spread(Request(bytes(16), "receipt", FIRST), 2) == []
    assert spread(Request(bytes(16), "cancel", FIRST), 0) == []


def found_in(seeds: range, folder: Path) -> dict[str, int]:
    """What histories with messages that repeat bring to light; names beginning with `info` are left out."""
    found: Counter[str] = Counter()
    for seed in seeds:
        history = SeriesHistory(seed, folder / str(seed))
        found += history.run()
        for of, events in history.times_accepted().items():
            found["accepted as something else"] += sum(event.plan != history.first[of].plan for event in events)
    return {name: count for name, count in found.items() if count and not name.startswith("info")}


def test_no_sending_is_lost_or_doubled_whoever_dies(tmp_path: Path) -> None:
    """Settles that die after any publish, write or commit, lose their disk, or go on as zombies."""
    assert found_in(range(8), tmp_path) == {}


def test_a_sending_that_is_not_said_again_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The property above turns red when whoever takes over does not repeat what followed."""
    monkeypatch.setattr(Partition, "remind", lambda *_: None)
    assert "lost: no final status" in found_in(range(8), tmp_path)
