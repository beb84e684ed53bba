"""Tests of the snapshot: it never changes, and what is sealed in it opens only where it belongs."""

import pytest

from infra.crypto import fresh_keys, parse_keyring
from infra.snapshot import EMPTY, Snapshot, key_place, open_channel_secrets, resolve_simulators, resolved, secrets_place
from schemas.configuration import ChannelConfig
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


def test_channel_secrets_open_with_the_registry_ring_only_where_they_were_sealed() -> None:
    """A secret moved to another channel does not open."""
    keyring = parse_keyring(fresh_keys())
    sealed = keyring.ring("registry").seal(b'{"key": "v"}', secrets_place("sms"))
    assert open_channel_secrets(keyring, ChannelConfig(channel="sms", secrets=sealed)) == {"key": "v"}
    assert open_channel_secrets(keyring, ChannelConfig(channel="sms")) == {}
    with pytest.raises(Permanent):
        open_channel_secrets(keyring, ChannelConfig(channel="voice", secrets=sealed))
