"""Tests of intake's whole answer: one event for every record, whatever the record."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.crypto import part_place, recipient_key
from infra.remark import causes_in, place_in
from schemas import ids
from schemas.codec import CONTENT, EVENT, MESSAGE
from schemas.configuration import DISABLED, Address, ChannelConfig, Identity, Parameter, Recipient, TypeChannel
from schemas.errors import Permanent, Reason
from schemas.records import NO_KEY, ContentPart, Event, Message, RecipientRef, Source
from schemas.statuses import LANES, Lane
from streams import series
from streams.accept import digest_of
from streams.route import order, route
from tests.hospital import (
    APP,
    KEYRING,
    MOBILE,
    T0_MS,
    Incoming,
    People,
    desk,
    entry,
    incoming,
    kind,
    message,
    snapshot,
    token,
)

PSEUDONYMS = KEYRING.ring("pseudonym")


def answer(record: Incoming | None = None, lane: Lane = Lane.NORMAL, **policy: Any) -> Event:
    """The event for a record under a registry with one type."""
    return desk(snapshot(kind(**policy))).answer(record or incoming(), lane, T0_MS + 40)


def refused(**changes: Any) -> tuple[str, str]:
    """Reason and detail for a message with these changes."""
    event = answer(incoming(message(**changes)))
    assert (event.stage, event.status) == ("rejected", "rejected")
    return event.reason, event.detail


def test_a_good_message_is_accepted_with_its_whole_plan() -> None:
    """Everything that happens later is decided here."""
    event = answer()
    assert (event.stage, event.status, event.reason) == ("accepted", "accepted", "")
    assert (event.app_id, event.type, event.lane, event.worker) == ("lis", "lab_report", "normal", "intake@test")
    assert (event.at, event.accepted_at, event.latency_ms, event.lateness_ms) == (T0_MS + 40, T0_MS, 40, 40)
    assert event.recipient_key == recipient_key(PSEUDONYMS, "patient_id", "P1")
    assert (event.template_version, event.config_version) == (3, 7)
    assert event.message_id == ids.from_reference("lis", "R-1")
    plan = event.plan
    assert plan is not None
    assert (plan.reference, plan.send_at, plan.expires_at) == ("R-1", 0, T0_MS + 3_600_000)
    assert (plan.threshold, plan.on_unknown, plan.on_channel_down) == (0.6, "leave", "wait")
    assert [(one.channel, one.weight, one.timeout_ms, one.skip) for one in plan.channels] == [
        ("webhook", 0.9, 30_000, ""),
        ("sms", 0.5, 30_000, ""),
    ]


def test_each_part_is_sealed_to_its_message_and_channel() -> None:
    """And holds address and text, rendered."""
    event = answer()
    assert event.plan is not None
    sms = event.plan.channels[1]
    content = CONTENT.decode(KEYRING.ring("parts").open(sms.sealed, part_place(event.message_id, "sms")))
    assert (content.address, content.text) == (MOBILE, "血常规好了")
    with pytest.raises(Permanent):
        KEYRING.ring("parts").open(sms.sealed, part_place(event.message_id, "webhook"))
    assert sms.text_hash == PSEUDONYMS.digest("text", "", "血常规好了")
    assert sms.address_hash == PSEUDONYMS.digest("address", "sms", MOBILE)


def test_an_event_on_the_wire_shows_nobody() -> None:
    """Neither address nor text, in clear, anywhere in its bytes."""
    raw = EVENT.encode(answer())
    assert MOBILE.encode() not in raw
    assert "血常规".encode() not in raw
    assert b"app/P1" not in raw


def test_the_same_record_gives_the_same_decision() -> None:
    """Only the sealing and the moment differ."""

    def plain(event: Event) -> Event:
        assert event.plan is not None
        channels = [msgspec.structs.replace(one, sealed=b"") for one in event.plan.channels]
        return msgspec.structs.replace(event, plan=msgspec.structs.replace(event.plan, channels=channels))

    one = desk()
    assert plain(one.answer(incoming(), Lane.NORMAL, T0_MS)) == plain(desk().answer(incoming(), Lane.NORMAL, T0_MS))


def test_the_plan_takes_the_types_timing() -> None:
    """Tries, quiet hours and the budget are the plan's from then on; the event names the time of sending."""
    timing: dict[str, Any] = {"tries": 3, "quiet_from": 1_260, "quiet_until": 420, "fallbacks_per_hour": 9}
    event = answer(incoming(message(send_at=T0_MS + 60_000)), **timing)
    assert event.plan is not None
    assert {name: getattr(event.plan, name) for name in timing} == timing
    assert event.until == event.plan.send_at == T0_MS + 60_000
    assert answer(incoming()).until == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"app_id": "ris"}, Reason.APP_UNKNOWN),
        ({"app_id": ""}, Reason.APP_UNKNOWN),
        ({"type": "nope"}, Reason.TYPE_UNKNOWN),
        ({"recipient": RecipientRef("patient_id", "P9")}, Reason.RECIPIENT_UNKNOWN),
        ({"recipient": None}, Reason.RECIPIENT_UNKNOWN),
        ({"contact": {"sms": "13800001009"}}, Reason.CHANNEL_NOT_GRANTED),
        ({"channels": ["fax"]}, Reason.CHANNEL_NOT_GRANTED),
        ({"personalisation": {}}, Reason.MISSING_PARAMETER),
        ({"personalisation": {"item": "x" * 11}}, Reason.TOO_LARGE),
        ({"content": [ContentPart("text", "x")]}, Reason.PARAM_INVALID),
        ({"priority": "now"}, Reason.PARAM_INVALID),
        ({"reference": "x" * 257}, Reason.PARAM_INVALID),
        ({"reference": "a\nb"}, Reason.PARAM_INVALID),
        ({"reference": "", "message_id": "not-a-uuid"}, Reason.PARAM_INVALID),
        ({"send_at": T0_MS + 401 * 86_400_000}, Reason.TIME_WINDOW),
        ({"expires_at": T0_MS - 1}, Reason.EXPIRED),
    ],
)
def test_a_message_that_cannot_be_sent_is_rejected_with_its_reason(changes: dict[str, Any], reason: Reason) -> None:
    """A refusal is an event, with a detail for the sender."""
    told, detail = refused(**changes)
    assert told == reason
    assert detail


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ((), Reason.TOKEN_MISSING),
        ([("authorization", b"Bearer x")], Reason.TOKEN_MALFORMED),
        ([token(secret=b"some-other-secret-of-32-bytes-or-so")], Reason.TOKEN_SIGNATURE),
        ([token(at_ms=T0_MS - 3_600_000)], Reason.TOKEN_EXPIRED),
        ([token(at_ms=T0_MS + 3_600_000)], Reason.TOKEN_NOT_YET_VALID),
        ([token("his")], Reason.TOKEN_SIGNATURE),
    ],
)
def test_a_token_is_judged_before_anything_else(header: Any, reason: Reason) -> None:
    """And at the append time, whatever the clock says now."""
    event = desk().answer(incoming(headers=header), Lane.NORMAL, T0_MS + 9 * 3_600_000)
    assert (event.stage, event.reason) == ("rejected", reason)


def test_a_backlog_does_not_make_a_token_expire() -> None:
    """Read nine hours later, the record is as valid as when it was appended."""
    assert desk().answer(incoming(), Lane.NORMAL, T0_MS + 9 * 3_600_000).stage == "accepted"


def test_disabled_things_are_refused() -> None:
    """Application and type."""
    off = desk(snapshot(app=msgspec.structs.replace(APP, status=DISABLED)))
    assert off.answer(incoming(), Lane.NORMAL, T0_MS).reason == Reason.APP_DISABLED
    assert answer(status=DISABLED).reason == Reason.TYPE_DISABLED


def test_bytes_that_are_no_message_have_no_event() -> None:
    """The worker buries them: there is no id to answer to."""
    for value in (None, b"", b"nonsense", MESSAGE.encode(message())[:-1]):
        with pytest.raises(Permanent) as fault:
            answer(incoming(value=value))
        assert fault.value.reason is Reason.DECODE_ERROR


def test_a_rejection_carries_reference_and_digest_and_no_channels() -> None:
    """So that settle can tell a repeat, and the sender finds it again."""
    event = answer(incoming(message(type="nope")))
    assert event.plan is not None
    assert (event.plan.reference, event.plan.channels) == ("R-1", [])
    assert event.plan.digest != NO_KEY
    assert event.message_id == ids.from_reference("lis", "R-1")


def test_a_rejection_repeats_no_field_that_is_not_a_name() -> None:
    """A number in the wrong field must not become a column of the trace."""
    event = answer(incoming(message(app_id="13800001001", type="张三")))
    assert (event.app_id, event.type) == ("", "")
    raw = EVENT.encode(event)
    assert b"13800001001" not in raw
    assert "张三".encode() not in raw


def test_the_id_is_the_references_then_the_given_then_the_places() -> None:
    """A reference beats an id; a record with neither is known by where it stands."""
    given_id = "0190f3c2-7d1e-7abc-8def-0123456789ab"
    assert answer(incoming(message(message_id=given_id))).message_id == ids.from_reference("lis", "R-1")
    assert answer(incoming(message(message_id=given_id, reference=""))).message_id == ids.parse(given_id)
    placed = ids.from_position("messages.normal", 2, 9)
    assert answer(incoming(message(reference=""), partition=2, offset=9)).message_id == placed
    bad = answer(incoming(message(message_id="x", reference=""), partition=2, offset=9))
    assert (bad.message_id, bad.stage) == (placed, "rejected")


def test_the_digest_knows_a_repeat_from_a_conflict() -> None:
    """What was asked for counts; id, source and time of sending do not."""
    same = message(message_id="x", created_at=5, source=Source("LIS", "ORU^R01", 7))
    assert digest_of(same, PSEUDONYMS) == digest_of(message(), PSEUDONYMS)
    for change in (
        {"type": "other"},
        {"recipient": RecipientRef("patient_id", "P2")},
        {"personalisation": {"item": "尿常规"}},
        {"channels": ["sms"]},
        {"expires_at": 1},
        {"priority": "bulk"},
        {"supersedes": "R-0"},
        {"contact": {"sms": "1"}},
    ):
        assert digest_of(message(**change), PSEUDONYMS) != digest_of(message(), PSEUDONYMS), change


def test_the_digest_does_not_depend_on_the_order_of_a_map() -> None:
    """Avro maps have none."""
    one = message(personalisation={"a": "1", "b": "2"})
    other = message(personalisation={"b": "2", "a": "1"})
    assert digest_of(one, PSEUDONYMS) == digest_of(other, PSEUDONYMS)


@pytest.mark.parametrize("own", LANES)
@pytest.mark.parametrize("sent_to", LANES)
def test_the_lane_is_the_types_whatever_topic_it_came_by(own: Lane, sent_to: Lane) -> None:
    """The topic is only transport."""
    event = desk(snapshot(kind(lane=own))).answer(incoming(), sent_to, T0_MS)
    assert event.lane == own


def test_a_refusal_is_answered_where_the_acceptance_would_have_gone() -> None:
    """Unless that cannot be told: then in the topic's own lane."""
    urgent = desk(snapshot(kind(lane="urgent")))
    assert urgent.answer(incoming(headers=()), Lane.BULK, T0_MS).lane == "urgent"
    assert urgent.answer(incoming(message(priority="normal", recipient=None)), Lane.BULK, T0_MS).lane == "normal"
    assert urgent.answer(incoming(message(type="nope")), Lane.BULK, T0_MS).lane == "bulk"
    assert urgent.answer(incoming(message(priority="?")), Lane.BULK, T0_MS).lane == "bulk"


def test_a_channel_whose_text_is_too_long_is_skipped_and_the_others_are_not() -> None:
    """A webhook takes what an SMS does not."""
    event = answer(channels=[entry("sms", 0.9, max_chars=2), entry("webhook", 0.5)])
    assert event.plan is not None
    assert [(one.channel, one.skip) for one in event.plan.channels] == [("sms", Reason.TOO_LARGE), ("webhook", "")]
    assert event.plan.channels[0].sealed == b""


def test_a_broken_template_takes_its_channel_only() -> None:
    """A fault of the configuration must not refuse the message."""
    event = answer(channels=[entry("sms", 0.9, text="{{ item"), entry("webhook", 0.5)])
    assert event.plan is not None
    assert [one.skip for one in event.plan.channels] == [Reason.TEMPLATE_INVALID, ""]
    assert causes_in(event.detail)["sms"].startswith("template: ")


def test_a_template_variable_without_value_refuses_the_message() -> None:
    """A text with a hole is worse than none, on any channel."""
    event = answer(channels=[entry("sms", 0.9, text="{{ unit }}"), entry("webhook", 0.5)])
    assert (event.reason, event.detail) == (Reason.MISSING_PARAMETER, "'unit' is undefined")


def test_without_a_usable_channel_the_message_is_still_accepted() -> None:
    """Settle concludes `failed / no_channel`, and the trace shows why each was skipped."""
    nobody = Recipient("P3", [Identity("patient_id", "P1")], [])
    event = desk(people=People(nobody)).answer(incoming(), Lane.NORMAL, T0_MS)
    assert (event.stage, event.template_version) == ("accepted", 0)
    assert event.plan is not None
    assert {one.skip for one in event.plan.channels} == {Reason.CONFIG_MISSING}
    assert causes_in(event.detail) == dict.fromkeys(("webhook", "sms"), "the recipient has no address in this channel")


def test_the_later_sendings_know_why_a_channel_is_skipped_too() -> None:
    """And their place, each its own; a message whose channels are all usable has no remark but that."""
    absent = [TypeChannel("sms", 0.9), entry("webhook", 0.5)]
    event = answer(channels=absent, repeat_days=1, repeat_times=3, expiry_ms=3_600_000)
    cause = {"sms": "the message type has no template for this channel"}
    assert (place_in(event.detail), causes_in(event.detail)) == ("1/3", cause)
    told = [one.detail for one in series.later(event)]
    assert [(place_in(one)[:4], causes_in(one)) for one in told] == [("2/3 ", cause), ("3/3 ", cause)]
    assert answer().detail == ""


def test_what_is_superseded_is_named_by_id_or_reference() -> None:
    """Of the same application."""
    given_id = "0190f3c2-7d1e-7abc-8def-0123456789ab"
    for supersedes, expected in ((given_id, ids.parse(given_id)), ("R-0", ids.from_reference("lis", "R-0")), ("", b"")):
        event = answer(incoming(message(supersedes=supersedes)))
        assert event.plan is not None
        assert event.plan.supersedes == expected


def test_a_clock_behind_the_brokers_gives_no_negative_latency() -> None:
    """Columns count milliseconds since acceptance."""
    assert desk().answer(incoming(), Lane.NORMAL, T0_MS - 500).latency_ms == 0


WEIGHTS = st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.6, 0.9, 1.0])
STATUSES = st.sampled_from(["enabled", "disabled", "gone"])


@given(
    st.lists(st.tuples(WEIGHTS, STATUSES, st.sampled_from(["active", "opted_out", "none"]), st.booleans()), max_size=4),
    WEIGHTS,
    st.sets(st.integers(0, 3)),
    st.sets(st.integers(0, 3)),
)
def test_explain_says_what_run_does(
    drawn: list[tuple[float, str, str, bool]], threshold: float, chosen: set[int], granted: set[int]
) -> None:
    """The order of the plan's channels is the one that `routing explain` prints, for any policy, person and choice."""
    entries, channels, addresses = _drawn(drawn)
    app = msgspec.structs.replace(APP, channels=[f"c{number}" for number in granted] or ["*"])
    policy = kind(channels=entries, threshold=threshold, parameters=[Parameter("item")])
    held = snapshot(policy, app=app, channels=channels)
    one = message(channels=[f"c{number}" for number in sorted(chosen) if number < len(drawn)])
    person = Recipient("P1", [Identity("patient_id", "P1")], list(addresses.values()))
    event = desk(held, People(person)).answer(incoming(one), Lane.NORMAL, T0_MS)
    assert event.plan is not None
    explained = order(route(one, (app, policy), channels, addresses), threshold)
    run = order(event.plan.channels, event.plan.threshold)
    assert [[each.entry.channel for each in part] for part in explained] == [
        [each.channel for each in part] for part in run
    ]


def _drawn(
    drawn: list[tuple[float, str, str, bool]],
) -> tuple[list[TypeChannel], Mapping[str, ChannelConfig], dict[str, Address]]:
    entries = [
        entry(f"c{number}", weight) if has_template else TypeChannel(f"c{number}", weight)
        for number, (weight, _, _, has_template) in enumerate(drawn)
    ]
    channels = {
        f"c{n}": ChannelConfig(f"c{n}", status=status) for n, (_, status, _, _) in enumerate(drawn) if status != "gone"
    }
    addresses = {
        f"c{number}": Address(f"c{number}", "somewhere", status)
        for number, (_, _, status, _) in enumerate(drawn)
        if status != "none"
    }
    return entries, channels, addresses


SHORT = st.text(max_size=5)
MESSAGES = st.builds(
    Message,
    app_id=st.sampled_from(["lis", "", "x"]),
    type=SHORT,
    reference=SHORT,
    message_id=SHORT,
    priority=SHORT,
    supersedes=SHORT,
    personalisation=st.dictionaries(SHORT, SHORT, max_size=3),
)


@given(MESSAGES)
def test_every_message_gets_exactly_one_event_that_can_be_written(one: Message) -> None:
    """Whatever it holds."""
    event = desk().answer(incoming(one), Lane.BULK, T0_MS)
    assert EVENT.decode(EVENT.encode(event)) == event
    assert event.stage in ("accepted", "rejected")


def test_a_type_that_repeats_is_accepted_with_every_later_sending() -> None:
    """One event; each sending has its own times, and parts that open under its own id alone."""
    event = answer(repeat_days=1, repeat_times=3)
    assert event.plan is not None
    assert (event.message_id, event.detail, event.plan.series) == (ids.from_reference("lis", "R-1"), "1/3", b"")
    assert [(one.send_at, one.expires_at) for one in event.plan.later] == [
        (T0_MS + days * 86_400_000, T0_MS + days * 86_400_000 + 3_600_000) for days in (1, 2)
    ]
    ring, second = KEYRING.ring("parts"), event.plan.later[1]
    own = ids.occurrence(event.message_id, 2)
    opened = [
        CONTENT.decode(ring.open(sealed, part_place(own, channel.channel)))
        for channel, sealed in zip(event.plan.channels, second.sealed, strict=True)
    ]
    assert [content.text for content in opened] == ["血常规好了", "血常规好了"]
    with pytest.raises(Permanent):
        ring.open(second.sealed[0], part_place(event.message_id, event.plan.channels[0].channel))


def test_the_same_request_makes_the_same_series() -> None:
    """Read again it asks for the same moments under the same ids."""
    both = [answer(repeat_days=1, repeat_times=5) for _ in range(2)]
    assert both[0].plan is not None
    assert both[1].plan is not None
    assert [one.send_at for one in both[0].plan.later] == [one.send_at for one in both[1].plan.later]
    assert both[0].plan.digest == both[1].plan.digest


def test_a_series_that_no_record_could_hold_is_refused() -> None:
    """Before anything of it is accepted."""
    long = entry("webhook", text="{{ item }}" + "长" * 4_000, max_chars=5_000)
    event = answer(repeat_days=1, repeat_times=60, channels=[long])
    assert (event.stage, event.reason) == ("rejected", Reason.TOO_LARGE)
