"""A test key never leaves the simulated providers; a team key reaches the team alone; a live key is not looked at."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from infra.snapshot import Snapshot, resolve_simulators, sealed_team
from infra.tokens import mint
from schemas.configuration import AppKey, ChannelConfig, ProviderAccount
from schemas.records import Event, RecipientRef
from schemas.statuses import Lane
from tests.hospital import APP, KEYRING, SECRET, T0_MS, desk, incoming, kind, message, snapshot

REAL, SIMULATED = "https://dysmsapi.example.com/", "simulators:/aliyun/"
KEYS = [AppKey(f"lis-{name}", kind=name, sealed=SECRET) for name in ("live", "test", "team", "odd")]
TEAM = sealed_team(replace(APP, team=["P1"]), KEYRING.ring("registry"))
APP_WITH_ALL = replace(APP, keys=KEYS, team=TEAM, contact=True)


def channels(**urls: str) -> Mapping[str, ChannelConfig]:
    """Channels with these addresses; the others are simulated."""
    return {name: ChannelConfig(name, base_url=urls.get(name, SIMULATED)) for name in ("sms", "webhook")}


def held(**urls: str) -> Snapshot:
    """The registry with all kinds of keys."""
    return snapshot(kind(), app=APP_WITH_ALL, channels=channels(**urls))


def answer(key_kind: str, registry: Snapshot, **changes: Any) -> Event:
    """What intake says to a message that was signed with a key of that kind."""
    token = mint("lis", f"lis-{key_kind}", "HS256", SECRET, T0_MS / 1000)
    record = incoming(message(**changes), headers=[("authorization", f"Bearer {token}".encode())])
    return desk(registry).answer(record, Lane.NORMAL, T0_MS)


def skips(event: Event) -> dict[str, str]:
    """Channel -> why it is skipped."""
    assert event.plan is not None
    return {one.channel: one.skip for one in event.plan.channels}


def test_a_live_key_uses_every_channel() -> None:
    """Real and simulated."""
    assert skips(answer("live", held(sms=REAL))) == {"sms": "", "webhook": ""}


@pytest.mark.parametrize("key_kind", ["test", "odd"])
def test_a_test_key_uses_simulated_channels_only(key_kind: str) -> None:
    """A kind that nobody knows is held to the strictest rule; a skipped channel has neither address nor text."""
    event = answer(key_kind, held(sms=REAL))
    assert skips(event) == {"sms": "channel_not_granted", "webhook": ""}
    assert event.plan is not None
    assert [bool(one.sealed) for one in event.plan.channels if one.channel == "sms"] == [False]


def test_a_second_provider_that_is_real_makes_the_channel_real() -> None:
    """Whichever of them would get the message."""
    both = {"sms": ChannelConfig("sms", base_url=SIMULATED, others=[ProviderAccount("tencent", base_url=REAL)])}
    registry = replace(held(), channels={**channels(), **both})
    assert skips(answer("test", registry)) == {"sms": "channel_not_granted", "webhook": ""}


def test_a_simulated_channel_is_known_after_its_address_was_filled_in() -> None:
    """Processes see the simulators' real address, which looks like anybody's."""
    registry = resolve_simulators(held(sms=REAL), "http://127.0.0.1:8780")
    assert registry.channels["webhook"].base_url.startswith("http://127.0.0.1")
    assert skips(answer("test", registry)) == {"sms": "channel_not_granted", "webhook": ""}


def test_a_real_provider_on_the_simulators_address_is_still_real() -> None:
    """What counts is what the registry's file says."""
    registry = resolve_simulators(held(sms="http://127.0.0.1:8780/aliyun/"), "http://127.0.0.1:8780")
    assert skips(answer("test", registry))["sms"] == "channel_not_granted"


def test_a_team_key_reaches_the_team() -> None:
    """By any identifier of the person."""
    assert answer("team", held(sms=REAL)).stage == "accepted"


@pytest.mark.parametrize(
    "changes",
    [
        {"recipient": RecipientRef("patient_id", "P2")},
        {"contact": {"sms": "13800009999"}},
        {"recipient": None, "contact": {"sms": "13800009999"}},
    ],
)
def test_a_team_key_reaches_nobody_else(changes: dict[str, Any]) -> None:
    """Neither another person nor an address of the sender's own."""
    event = answer("team", held(), **changes)
    assert (event.stage, event.reason) == ("rejected", "channel_not_granted")
    assert "team" in event.detail


def test_an_application_without_a_team_reaches_nobody_with_a_team_key() -> None:
    """An empty list is no permission."""
    nobody = snapshot(kind(), app=replace(APP_WITH_ALL, team=[]), channels=channels())
    assert answer("team", nobody).reason == "channel_not_granted"
