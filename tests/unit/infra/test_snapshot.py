"""Tests of the snapshot: it never changes, and what is sealed in it opens only where it belongs."""

import pytest
from msgspec import structs

from infra.crypto import Ring, fresh_keys, parse_keyring
from infra.snapshot import (
    EMPTY,
    Snapshot,
    accounts_of,
    key_place,
    open_channel_secrets,
    opened_team,
    resolve_simulators,
    resolved,
    resolved_url,
    sealed_team,
    secrets_place,
)
from schemas.configuration import DISABLED, AppConfig, ChannelConfig, ProviderAccount
from schemas.errors import Permanent


def test_a_snapshot_cannot_be_changed() -> None:
    """It is shared by every thread of a process."""
    snapshot = Snapshot(1)
    with pytest.raises(TypeError):
        snapshot.channels["sms"] = ChannelConfig()  # type: ignore[index]  # the point of the test
    with pytest.raises(AttributeError):
        snapshot.version = 2  # type: ignore[misc]  # the point of the test


def test_places_of_keys_and_secrets_never_coincide() -> None:
    """A secret sealed for one place opens in no other."""
    places = [key_place("a", "b"), key_place("b", "a"), secrets_place("a"), secrets_place("a/b")]
    assert len(set(places)) == len(places)


def test_a_real_address_is_left_alone() -> None:
    """Only `simulators:` stands for something else, and stays while nobody knows them."""
    vendor = ChannelConfig(base_url="https://dysmsapi.aliyuncs.com/")
    assert resolved(vendor, "http://sim:1") == vendor
    ours = ChannelConfig(base_url="simulators:/aliyun/")
    assert resolved(ours, "") == ours
    assert resolve_simulators(EMPTY, "http://sim:1").channels == {}


@pytest.mark.parametrize(("url", "port"), [("http://127.0.0.1:8780", 8781), ("http://sim/", 81)])
def test_the_simulated_mail_server_is_on_the_port_after(url: str, port: int) -> None:
    """One address is enough to find both."""
    assert resolved_url("simulators:smtp", url).endswith(f":{port}")
    assert resolved_url("simulators:smtp", url).startswith("smtp://")


def test_every_provider_of_a_channel_stands_for_itself() -> None:
    """With the channel's levels and its own everything else; a channel that is off turns off all."""
    other = ProviderAccount(
        "tencent", weight=0.3, base_url="simulators:/t", rate_per_s=5, settings={"a": "b"}, per_day=9
    )
    config = ChannelConfig("sms", "aliyun", base_url="simulators:/a", success_levels=["accepted"], others=[other])
    first, second = accounts_of(resolved(config, "http://sim:1/"))
    assert (first.provider, first.base_url, first.others) == ("aliyun", "http://sim:1/a", [])
    assert (second.channel, second.provider, second.base_url) == ("sms", "tencent", "http://sim:1/t")
    assert (second.weight, second.rate_per_s, second.per_day, second.settings) == (0.3, 5, 9, {"a": "b"})
    assert second.success_levels == ["accepted"]
    off = structs.replace(config, status=DISABLED)
    assert [one.status for one in accounts_of(off)] == [DISABLED, DISABLED]


def test_channel_secrets_open_with_the_registry_ring_only_where_they_were_sealed() -> None:
    """A secret moved to another channel does not open."""
    keyring = parse_keyring(fresh_keys())
    sealed = keyring.ring("registry").seal(b'{"key": "v"}', secrets_place("sms"))
    assert open_channel_secrets(keyring, ChannelConfig(channel="sms", secrets=sealed)) == {"key": "v"}
    assert open_channel_secrets(keyring, ChannelConfig(channel="sms")) == {}
    with pytest.raises(Permanent):
        open_channel_secrets(keyring, ChannelConfig(channel="voice", secrets=sealed))


def test_a_team_is_sealed_and_opened_for_its_own_application_alone() -> None:
    """Nobody reads from the topic who is in it, and it cannot be moved to another application."""
    ring = Ring("registry", {1: bytes(range(32))})
    app = AppConfig("his", team=["P0001", "P0002"])
    held = structs.replace(app, team=sealed_team(app, ring))
    assert "P0001" not in str(held)
    assert opened_team(held, ring) == ["P0001", "P0002"]
    with pytest.raises(Permanent):
        opened_team(structs.replace(held, app_id="lis"), ring)
