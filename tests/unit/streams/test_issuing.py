"""What keeps messages waiting in a real partition: times of day, channels that are down, holds, the budget."""

from pathlib import Path
from typing import Any

import pytest

from infra.clock import SHANGHAI_MS
from schemas.records import Event, Outcome, Plan
from schemas.statuses import Stage
from schemas.topics import DAY_MS
from streams import issuing as issuing_module
from streams.consequences import Record
from streams.hours import MINUTE_MS
from tests.factories import T0, accepted, answer, message_id, plan, plan_channel
from tests.partition_desk import Desk, deliveries, stages

ID = message_id(1)
NOW_MINUTE = (T0 + SHANGHAI_MS) % DAY_MS // MINUTE_MS
HOUR_MS = 3_600_000
LIFE: dict[str, Any] = {"expires_at": T0 + 40 * HOUR_MS}
DOWN: dict[str, Any] = {"scope": "account", "reason": "transient"}


def quiet(begin: int, end: int, **changes: Any) -> Plan:
    """A plan whose quiet hours begin and end so many minutes after T0's."""
    window = {"quiet_from": (NOW_MINUTE + begin) % 1_440, "quiet_until": (NOW_MINUTE + end) % 1_440}
    wanted: dict[str, Any] = {"channels": {"x": 0.9}, **LIFE, **window, **changes}
    return plan(0.6, **wanted)


def ended(records: list[Record]) -> list[tuple[str, str]]:
    """Final statuses and their reasons among them."""
    return [(one.status, one.reason) for one in records if isinstance(one, Outcome)]


def announced(records: list[Record], stage: str) -> list[tuple[str, int, str, int]]:
    """Channel, attempt, reason and until of the events of that stage."""
    events = [one for one in records if isinstance(one, Event) and one.stage == stage]
    return [(one.channel, one.attempt, one.reason, one.until) for one in events]


def end_of(minutes: int) -> int:
    """The beginning of the minute so many after T0's."""
    return T0 - T0 % MINUTE_MS + minutes * MINUTE_MS


# ---- times


def test_a_message_for_later_waits_for_its_time(tmp_path: Path) -> None:
    """In the due index, with one entry, and in no line; critical and normal alike."""
    desk, at = Desk(tmp_path), T0 + 5 * HOUR_MS
    assert stages(desk.settle(accepted(ID, plan(0.5, send_at=at, **LIFE)))) == []
    assert (desk.part.backlog(), desk.part.is_due(at - 1)) == ({}, False)
    assert deliveries(desk.later(5 * HOUR_MS - 1)) == []
    made = deliveries(desk.later(1))
    assert sorted(one.channel for one in made) == ["x", "y"]
    assert {one.send_at for one in made} == {at}


def test_a_message_that_comes_in_quiet_hours_is_held_and_not_dropped(tmp_path: Path) -> None:
    """Announced once, with the end; issued at that very moment."""
    desk = Desk(tmp_path)
    told = desk.settle(accepted(ID, quiet(-60, 30)))
    assert announced(told, Stage.HELD) == [("x", 0, "time_window", end_of(30))]
    assert deliveries(told) == []
    assert desk.settle() == desk.later(60_000) == []
    assert deliveries(desk.later(end_of(30) - desk.now - 1)) == []
    assert len(deliveries(desk.later(1))) == 1


def test_what_stands_in_the_line_when_quiet_hours_begin_is_held(tmp_path: Path) -> None:
    """Once each, at its turn, however often there is room; with no hand in the line any more."""
    desk = Desk(tmp_path, window=0)
    desk.settle(*(accepted(message_id(number), quiet(1, 60)) for number in range(3)))
    desk.window = 100
    told = desk.later(2 * MINUTE_MS)
    assert announced(told, Stage.HELD) == [("x", 0, "time_window", end_of(60))] * 3
    assert (desk.part.backlog(), deliveries(told), desk.settle()) == ({}, [], [])
    assert len(deliveries(desk.later(end_of(60) - desk.now))) == 3


def test_what_was_let_into_the_line_again_is_held_like_others(tmp_path: Path) -> None:
    """A deferral that ended just before quiet hours, when there was no room."""
    desk = Desk(tmp_path)
    desk.settle(accepted(ID, quiet(1, 60)))
    desk.settle(answer(ID, Stage.DEFERRED, "x", until=T0 + 5_000))
    desk.window = 0
    desk.later(6_000)
    desk.window = 100
    assert announced(desk.later(MINUTE_MS), Stage.HELD) == [("x", 1, "time_window", end_of(60))]
    assert desk.part.backlog() == {}
    assert [one.attempt for one in deliveries(desk.later(end_of(60) - desk.now))] == [2]


def test_an_issue_is_claimed_before_quiet_hours_or_not_at_all(tmp_path: Path) -> None:
    """A sink that is slow must not send into the night."""
    (made,) = deliveries(Desk(tmp_path).settle(accepted(ID, quiet(1, 60))))
    assert T0 < made.claim_by <= end_of(1)


def test_types_without_quiet_hours_break_through(tmp_path: Path) -> None:
    """Of the same application, on the same channel."""
    desk = Desk(tmp_path)
    desk.settle(accepted(ID, quiet(-60, 30)), accepted(message_id(2), plan(0.6), type="critical_value"))
    assert [one.type for one in deliveries(desk.sent)] == ["critical_value"]


def test_a_fallback_waits_for_the_end_of_quiet_hours(tmp_path: Path) -> None:
    """And is announced as held when it begins."""
    desk = Desk(tmp_path)
    desk.settle(accepted(ID, quiet(1, 60, channels={"x": 0.9, "y": 0.5})))
    desk.settle(answer(ID, Stage.SENDING, "x"))
    desk.now += 2 * MINUTE_MS
    told = desk.settle(answer(ID, Stage.OUTCOME, "x", status="failed", reason="recipient_invalid", at=desk.now))
    assert announced(told, Stage.HELD) == [("y", 0, "time_window", end_of(60))]
    assert [one.channel for one in deliveries(desk.later(end_of(60) - desk.now))] == ["y"]


def test_a_retry_waits_for_the_end_of_quiet_hours(tmp_path: Path) -> None:
    """When the channel's time allows it; else the channel ends at once."""
    for timeout_ms, until in ((2 * HOUR_MS, end_of(60)), (50 * MINUTE_MS, 0)):
        desk = Desk(tmp_path / str(timeout_ms))
        desk.settle(accepted(ID, quiet(1, 60, channels=[plan_channel("x", 0.9, timeout_ms=timeout_ms)])))
        told = desk.settle(
            answer(ID, Stage.SENDING, "x"),
            answer(ID, Stage.OUTCOME, "x", status="failed", reason="transient", until=T0 + 2 * MINUTE_MS),
        )
        assert announced(told, Stage.RETRY_SCHEDULED) == ([("x", 1, "transient", until)] if until else [])
        assert ended(told) == ([] if until else [("failed", "transient")])


def test_a_message_that_ends_in_quiet_hours_is_expired(tmp_path: Path) -> None:
    """It was held, and never sent."""
    desk = Desk(tmp_path)
    desk.settle(accepted(ID, quiet(-60, 30, expires_at=T0 + 10 * MINUTE_MS)))
    assert ended(desk.later(10 * MINUTE_MS)) == [("expired", "expired")]
    assert deliveries(desk.sent) == []


def test_a_flood_of_what_is_long_due_is_paced(tmp_path: Path) -> None:
    """After a restart or a jump of the clock: a bounded number a tick, the earliest first, and none forgotten."""
    desk = Desk(tmp_path)
    desk.window = 1_000
    order = [number * 89 % 350 for number in range(350)]
    made = [plan(0.6, {"x": 0.9}, send_at=T0 + 1_000 + number, **LIFE) for number in order]
    desk.settle(*(accepted(message_id(number), one) for number, one in zip(order, made, strict=True)))
    desk.now += HOUR_MS
    issued: list[bytes] = []
    while desk.part.is_due(desk.now):
        found = [one.message_id for one in desk.conclude([]) if isinstance(one, Event)]
        assert len(found) <= 100
        issued += found
    assert sorted(issued) == [message_id(number) for number in range(350)]
    assert sorted(issued[:100]) == [message_id(number) for number in range(100)]


# ---- a clock that is set back


def test_what_was_held_while_the_clock_was_ahead_goes_on_when_it_is_released(tmp_path: Path) -> None:
    """The line was told to pause until a moment that is an hour away now."""
    desk = Desk(tmp_path)
    desk.held.add(("", "", ""))
    desk.now += HOUR_MS
    desk.settle(accepted(ID, plan(0.6, {"x": 0.9}, **LIFE)))
    desk.held.clear()
    assert len(deliveries(desk.later(-HOUR_MS))) == 1


def test_what_is_held_stays_held_when_the_clock_is_set_back(tmp_path: Path) -> None:
    """It is only looked at again."""
    desk = Desk(tmp_path)
    desk.held.add(("", "", ""))
    desk.now += HOUR_MS
    desk.settle(accepted(ID, plan(0.6, {"x": 0.9}, **LIFE)))
    assert deliveries(desk.later(-HOUR_MS)) == deliveries(desk.later(1_000)) == []
    desk.held.clear()
    assert len(deliveries(desk.later(1_000))) == 1


def test_a_channel_that_was_closed_while_the_clock_was_ahead_is_probed(tmp_path: Path) -> None:
    """By one, at once."""
    desk, one = Desk(tmp_path), plan(0.6, {"x": 0.9}, **LIFE)
    desk.now += HOUR_MS
    assert closed(desk, *[one] * 3, until=desk.now + 60_000) == []
    assert len(deliveries(desk.later(-HOUR_MS))) == 1


def test_fallbacks_do_not_wait_for_an_hour_that_was_never(tmp_path: Path) -> None:
    """The budget is that of the true hour."""
    desk = Desk(tmp_path)
    desk.now += 10 * HOUR_MS
    assert [made.channel for made in deliveries(falling_back(desk, 1))] == ["y"]
    assert deliveries(falling_back(desk, 2)) == []
    assert [(made.message_id, made.channel) for made in deliveries(desk.later(-10 * HOUR_MS))] == [(message_id(2), "y")]


# ---- channels that are down


def closed(desk: Desk, *plans: Plan, until: int = T0 + 60_000) -> list[Record]:
    """The first message is deferred because the account is in trouble, with the others behind it in the line."""
    desk.window = 1
    desk.settle(*(accepted(message_id(number), one, at=desk.now) for number, one in enumerate(plans, 1)))
    desk.window = 100
    return desk.settle(answer(ID, Stage.DEFERRED, "x", until=until, **DOWN))


def test_nothing_is_issued_to_a_channel_that_is_down(tmp_path: Path) -> None:
    """Until the moment that was told; then one probe, and all when it got through. Other channels go on."""
    desk, one = Desk(tmp_path), plan(0.6, {"x": 0.9})
    assert closed(desk, *[one] * 5) == []
    assert len(deliveries(desk.settle(accepted(message_id(9), plan(0.6, {"y": 0.9}))))) == 1
    assert desk.part.backlog() == {("x", "his"): 4}
    assert not desk.part.is_due(T0 + 31_000)
    assert [record for record in desk.later(59_999) if getattr(record, "channel", "") == "x"] == []
    (probe,) = [made for made in deliveries(desk.later(1)) if made.channel == "x"]
    assert deliveries(desk.later(1_000)) == []
    claim = answer(probe.message_id, Stage.SENDING, "x", probe.attempt)
    taken = answer(probe.message_id, Stage.OUTCOME, "x", probe.attempt, status="accepted")
    assert len(deliveries(desk.settle(claim, taken))) == 4


def test_a_probe_that_finds_it_down_closes_it_again(tmp_path: Path) -> None:
    """For as long as it is told then."""
    desk = Desk(tmp_path)
    closed(desk, *[plan(0.6, {"x": 0.9})] * 3)
    (probe,) = deliveries(desk.later(60_000))
    again = answer(probe.message_id, Stage.DEFERRED, "x", probe.attempt, until=desk.now + 50_000, **DOWN)
    assert deliveries(desk.settle(again)) == deliveries(desk.later(49_999)) == []
    assert len(deliveries(desk.later(1))) == 1


def test_thousands_that_wait_for_a_closed_channel_cost_nothing(tmp_path: Path) -> None:
    """No event, nothing due, no more in memory than some pages."""
    desk, one = Desk(tmp_path), plan(0.6, {"x": 0.9}, **LIFE)
    closed(desk, *[one] * 1_500, until=T0 + 100 * MINUTE_MS)
    desk.later(40_000)  # every message's first look has passed
    length = len(desk.log)
    for _ in range(200):
        assert desk.later(1_000) == []
    assert len(desk.log) == length
    assert desk.part.backlog() == {("x", "his"): 1_499}
    lines = desk.part._lines._lines.values()
    assert sum(len(line.head) + len(line.strays) for line in lines) <= 4 * 256


def test_whoever_wants_it_falls_back_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deferred message and those in the line, some at a time; who would rather wait does, and is not in the way."""
    monkeypatch.setattr(issuing_module, "LOOKS", 2)
    desk = Desk(tmp_path)
    wait = plan(0.6, {"x": 0.9, "y": 0.5})
    over = plan(0.6, {"x": 0.9, "y": 0.5}, on_channel_down="fall_back")
    told = closed(desk, over, wait, *[over] * 6)
    assert stages(told).count(Stage.DEFERRED) <= 3
    for _ in range(5):
        told += desk.settle()
    gone = sorted({made.message_id for made in deliveries(told) if made.channel == "y"})
    assert ID in gone
    states = [desk.part.state_of(message_id(number)) for number in (1, 2)]
    assert [one.channels[0].reason for one in states if one is not None] == ["transient", ""]


def test_types_that_fall_back_do_not_stand_behind_those_that_wait(tmp_path: Path) -> None:
    """Each type has its line."""
    desk = Desk(tmp_path, window=1)
    wait = plan(0.6, {"x": 0.9, "y": 0.5})
    over = plan(0.6, {"x": 0.9, "y": 0.5}, on_channel_down="fall_back")
    desk.settle(*(accepted(message_id(number), wait) for number in (1, 2)))
    desk.settle(*(accepted(message_id(number), over, type="queue_called") for number in (3, 4)))
    desk.window = 100
    told = desk.settle(answer(ID, Stage.DEFERRED, "x", until=T0 + 60_000, **DOWN))
    assert sorted(made.message_id for made in deliveries(told)) == [message_id(3), message_id(4)]
    assert announced(told, Stage.FALLBACK) == [("y", 1, "transient", 0)] * 2


def test_without_a_next_channel_it_waits_whatever_the_plan_says(tmp_path: Path) -> None:
    """There is nothing to fall back to."""
    desk = Desk(tmp_path)
    over = plan(0.6, {"x": 0.9}, on_channel_down="fall_back")
    assert closed(desk, over, over) == []
    assert ended(desk.sent) == []


def test_what_a_sink_holds_by_hand_does_not_fall_back(tmp_path: Path) -> None:
    """Neither the message that was given back nor those behind it: they wait to be released."""
    desk = Desk(tmp_path, window=1)
    over = plan(0.6, {"x": 0.9, "y": 0.5}, on_channel_down="fall_back")
    desk.settle(*(accepted(message_id(number), over) for number in (1, 2)))
    told = desk.settle(answer(ID, Stage.DEFERRED, "x", until=T0 + 5_000, scope="channel", reason="held"))
    assert (deliveries(told), deliveries(desk.later(999))) == ([], [])
    assert [made.channel for made in deliveries(desk.later(10_000))] == ["x"]


def test_one_persons_deferral_closes_nothing(tmp_path: Path) -> None:
    """It waits alone."""
    desk = Desk(tmp_path, window=1)
    desk.settle(*(accepted(message_id(number), plan(0.6, {"x": 0.9})) for number in (1, 2)))
    told = desk.settle(answer(ID, Stage.DEFERRED, "x", until=T0 + 60_000, scope="recipient"))
    assert [made.message_id for made in deliveries(told)] == [message_id(2)]


def test_a_window_of_nothing_issues_nothing(tmp_path: Path) -> None:
    """And says nothing."""
    desk = Desk(tmp_path, window=0)
    assert desk.settle(accepted(ID, plan(0.6))) == []


# ---- holds


@pytest.mark.parametrize("held", [("his", "", ""), ("", "lab_report", ""), ("", "", "x")])
def test_what_is_held_waits_and_goes_on_within_a_second(tmp_path: Path, held: tuple[str, str, str]) -> None:
    """Application, type or channel; without a record, and in its order when it is released."""
    desk = Desk(tmp_path)
    desk.held.add(held)
    assert desk.settle(*(accepted(message_id(number), plan(0.6, {"x": 0.9}, **LIFE)) for number in range(3))) == []
    for _ in range(100):
        assert desk.later(1_000) == []
    desk.held.clear()
    assert desk.part.is_due(desk.now + 1_000)
    assert [made.message_id for made in deliveries(desk.later(1_000))] == [message_id(number) for number in range(3)]


def test_a_held_type_is_in_nobodys_way(tmp_path: Path) -> None:
    """Other types of the application pass it."""
    desk = Desk(tmp_path, window=1)
    desk.held.add(("", "lab_report", ""))
    one = plan(0.6, {"x": 0.9})
    desk.settle(
        *(accepted(message_id(number), one) for number in range(3)), accepted(message_id(9), one, type="queue_called")
    )
    assert [made.type for made in deliveries(desk.sent)] == ["queue_called"]


# ---- the budget of fallbacks


def falling_back(desk: Desk, number: int, **changes: Any) -> list[Record]:
    """A message whose first channel fails for good."""
    of = message_id(number)
    made = plan(0.6, {"x": 0.9, "y": 0.5}, **{**LIFE, "fallbacks_per_hour": 1, **changes})
    desk.settle(accepted(of, made, at=desk.now), answer(of, Stage.SENDING, "x", at=desk.now))
    refused = answer(of, Stage.OUTCOME, "x", status="failed", reason="recipient_invalid", at=desk.now)
    desk.settle(answer(of, Stage.SENDING, "x", at=desk.now))
    return desk.settle(refused)


def test_a_fallback_beyond_the_budget_waits_for_the_next_hour(tmp_path: Path) -> None:
    """The type's alert is told once an hour; what has begun, and what needs no budget, passes it."""
    desk = Desk(tmp_path)
    assert [made.channel for made in deliveries(falling_back(desk, 1))] == ["y"]
    assert deliveries(falling_back(desk, 2)) == deliveries(falling_back(desk, 3)) == []
    assert (desk.spent, desk.part.backlog()) == (["lab_report"], {("y", "his"): 2})
    next_hour = HOUR_MS - T0 % HOUR_MS
    assert {made.message_id for made in deliveries(desk.later(next_hour - 1))} == {ID}
    begun = [made for made in deliveries(desk.later(1)) if made.attempt == 1]
    assert [(made.message_id, made.channel) for made in begun] == [(message_id(2), "y")]


def test_what_ends_while_the_budget_is_spent_says_so(tmp_path: Path) -> None:
    """Expired, with the budget as the reason."""
    desk = Desk(tmp_path)
    falling_back(desk, 1)
    falling_back(desk, 2, expires_at=T0 + 60_000)
    assert ("expired", "fallback_budget") in ended(desk.later(60_000))


def test_first_channels_and_other_types_need_no_budget(tmp_path: Path) -> None:
    """Only beginning a fallback does."""
    desk = Desk(tmp_path)
    falling_back(desk, 1)
    falling_back(desk, 2)
    assert [made.channel for made in deliveries(falling_back(desk, 3, fallbacks_per_hour=0))] == ["y"]
    lone = plan(1.0, {"x": 0.9, "y": 0.5}, fallbacks_per_hour=1)
    assert [made.channel for made in deliveries(desk.settle(accepted(message_id(4), lone)))] == ["x"]
