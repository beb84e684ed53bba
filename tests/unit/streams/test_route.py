"""Tests of routing: the contract's truth table as far as intake decides it, and every reason to skip a channel."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.configuration import Address, ChannelConfig, TypeChannel
from schemas.errors import Permanent, Reason
from streams.route import Routed, order, route, start
from tests.factories import plan_channel
from tests.hospital import APP, PATIENT, entry, kind, message, snapshot

XYZ = [Routed(TypeChannel("x", 0.9)), Routed(TypeChannel("y", 0.5)), Routed(TypeChannel("z", 0.2))]
ADDRESSES = {one.channel: one for one in PATIENT.addresses}
BOTH = {name: ChannelConfig(name) for name in ("sms", "webhook")}


def names(channels: Sequence[Routed]) -> str:
    """Channels as one word."""
    return "".join(each.entry.channel for each in channels)


@pytest.mark.parametrize(
    ("threshold", "always", "fallbacks", "first"),
    [
        (0.6, "x", "yz", "x"),
        (0.5, "xy", "z", "xy"),
        (0.1, "xyz", "", "xyz"),
        (0.0, "xyz", "", "xyz"),
        (1.0, "", "xyz", "x"),
        (0.9, "x", "yz", "x"),
        (0.2, "xyz", "", "xyz"),
    ],
)
def test_the_contracts_table(threshold: float, always: str, fallbacks: str, first: str) -> None:
    """W >= TH at once, the others by weight; without an always-channel the heaviest first."""
    found = order(XYZ, threshold)
    assert (names(found[0]), names(found[1]), names(start(XYZ, threshold))) == (always, fallbacks, first)


def test_a_skipped_channel_counts_as_not_successful() -> None:
    """The next ones move up; none left: nothing is started."""
    without_x = [Routed(XYZ[0].entry, "config_missing"), *XYZ[1:]]
    assert tuple(map(names, order(without_x, 0.6))) == ("", "yz")
    assert names(start(without_x, 0.6)) == "y"
    assert start([Routed(each.entry, "no") for each in XYZ], 0.0) == []


def test_equal_weights_keep_the_order_given() -> None:
    """The registry's order breaks ties."""
    same = [Routed(TypeChannel(name, 0.4)) for name in "cab"]
    assert names(order(same, 0.9)[1]) == "cab"


def test_a_plan_is_ordered_by_the_same_function() -> None:
    """Settle hands in the plan's own channels."""
    always, fallbacks = order([plan_channel("y", 0.5), plan_channel("x", 0.9), plan_channel("z", 0.2, skip="no")], 0.6)
    assert ([each.channel for each in always], [each.channel for each in fallbacks]) == (["x"], ["y"])


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=6),
    st.floats(0, 1),
)
def test_every_usable_channel_has_one_place(drawn: list[tuple[float, bool]], threshold: float) -> None:
    """Nothing is lost, doubled, or out of order, whatever the weights."""
    channels = [
        Routed(TypeChannel(str(index), weight), "no" if out else "") for index, (weight, out) in enumerate(drawn)
    ]
    always, fallbacks = order(channels, threshold)
    assert {each.entry.channel for each in always + fallbacks} == {c.entry.channel for c in channels if not c.skip}
    assert len(always) + len(fallbacks) == sum(not each.skip for each in channels)
    assert all(each.weight >= threshold for each in always)
    assert all(each.weight < threshold for each in fallbacks)
    assert [each.weight for each in fallbacks] == sorted((each.weight for each in fallbacks), reverse=True)


def skips(**changes: Any) -> dict[str, str]:
    """Why each channel is skipped, for a good message to a reachable person but for these changes."""
    asked: dict[str, Any] = {"chosen": [], "app": APP, "kind": kind(), "channels": BOTH, "addresses": ADDRESSES}
    asked.update(changes)
    one = message(channels=asked["chosen"])
    routed = route(one, (asked["app"], asked["kind"]), asked["channels"], asked["addresses"])
    return {each.entry.channel: each.skip for each in routed}


def test_a_good_message_skips_nothing() -> None:
    """In the order of the type."""
    assert skips() == {"webhook": "", "sms": ""}


def test_every_reason_to_skip() -> None:
    """Not chosen, not granted, unregistered, disabled, without template, without address, opted out."""
    assert skips(chosen=["sms"])["webhook"] == Reason.CANCELLED_BY_SENDER
    assert skips(app=msgspec.structs.replace(APP, channels=["sms"]))["webhook"] == Reason.CHANNEL_NOT_GRANTED
    assert skips(channels={"sms": BOTH["sms"]})["webhook"] == Reason.CONFIG_MISSING
    off = {**BOTH, "sms": ChannelConfig("sms", status="disabled")}
    assert skips(channels=off) == {"webhook": "", "sms": Reason.CONFIG_MISSING}
    bare = kind(channels=[TypeChannel("sms", 0.9), entry("webhook", 0.5)])
    assert skips(kind=bare) == {"sms": Reason.CONFIG_MISSING, "webhook": ""}
    assert skips(addresses={})["sms"] == Reason.CONFIG_MISSING
    assert skips(addresses={"sms": Address("sms", "1", "opted_out")})["sms"] == Reason.RECIPIENT_OPTED_OUT


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"channels": {"webhook": BOTH["webhook"]}}, "the channel is not registered"),
        ({"channels": {**BOTH, "sms": ChannelConfig("sms", status="disabled")}}, "disabled in this installation"),
        ({"kind": kind(channels=[TypeChannel("sms", 0.9)])}, "the message type has no template for this channel"),
        ({"addresses": {}}, "the recipient has no address in this channel"),
    ],
)
def test_one_word_has_four_causes_and_the_route_says_which(changes: dict[str, Any], cause: str) -> None:
    """`config_missing` alone sends a person to four places."""
    asked: dict[str, Any] = {"kind": kind(), "channels": BOTH, "addresses": ADDRESSES, **changes}
    routed = route(message(), (APP, asked["kind"]), asked["channels"], asked["addresses"])
    (sms,) = (each for each in routed if each.entry.channel == "sms")
    assert (sms.skip, cause in sms.cause) == (Reason.CONFIG_MISSING, True)


def test_a_choice_that_would_widen_the_policy_is_refused() -> None:
    """The sender may narrow it only."""
    with pytest.raises(Permanent) as refused:
        route(message(channels=["sms", "fax"]), (APP, kind()), snapshot().channels, ADDRESSES)
    assert refused.value.reason is Reason.CHANNEL_NOT_GRANTED
