from typing import Any

import pytest
from msgspec import structs

from console.holding import in_the_way, told
from infra.queries import TraceEvent
from infra.standing import standing
from schemas.configuration import ChannelConfig, Hold, ProviderAccount
from schemas.statuses import Stage
from tests.answers import event
from tests.hospital import kind, snapshot

HELD = [
    Hold("app", "lis", is_held=True),
    Hold("type", "lab_report", is_held=True),
    Hold("channel", "sms", is_held=True),
    Hold("channel", "webhook", is_held=True),
    Hold("provider", "tencent", is_held=True),
    Hold("type", "bill", is_held=True),
    Hold("channel", "wechat", is_held=True),
]
SMS = ChannelConfig("sms", "aliyun", others=[ProviderAccount("tencent")])
KNOWN = snapshot(kind(), channels={"sms": SMS, "webhook": ChannelConfig("webhook", "standard")})


def named(*later: TraceEvent, known: Any = KNOWN) -> list[str]:
    """The names of the holds that stand in the way of an accepted message with these later events."""
    accepted = event(Stage.ACCEPTED, channel="")
    events = [structs.replace(one, app_id="lis", type="lab_report") for one in (*reversed(later), accepted)]
    one = standing([], events)
    assert one is not None
    return [hold.name for hold in in_the_way(one, events, HELD, known)]


def test_an_accepted_message_waits_for_everything_of_its_own() -> None:
    """Application, type, each channel of the policy and each provider there; nothing of others."""
    assert named() == ["lis", "lab_report", "sms", "webhook", "tencent"]


@pytest.mark.parametrize("stage", [Stage.SENDING, Stage.OUTCOME, Stage.TIMED_OUT, Stage.SKIPPED])
def test_a_channel_that_is_through_waits_for_no_hold(stage: Stage) -> None:
    """Its call was made, or never will be."""
    assert named(event(stage, channel="sms", at_ms=2)) == ["lis", "lab_report", "webhook"]


def test_a_channel_that_tries_again_waits() -> None:
    """A retry is claimed anew."""
    assert "sms" in named(
        event(Stage.OUTCOME, channel="sms", at_ms=2), event(Stage.RETRY_SCHEDULED, channel="sms", at_ms=3)
    )


def test_without_a_registry_only_the_events_name_channels() -> None:
    """Less is known, nothing is guessed."""
    assert named(event(Stage.ISSUED, channel="sms"), known=None) == ["lis", "lab_report", "sms"]


def test_a_hold_is_told_with_its_release() -> None:
    """What, since when, by whom, why."""
    said = told(Hold("channel", "sms", is_held=True, by="wang", at=1_793_462_400_000, note="欠费"))
    assert said == "渠道 sms 已暂停（自 2026-11-01 00:00:00，wang：欠费）；恢复：medpost release --channel sms"
