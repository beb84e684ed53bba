from types import SimpleNamespace
from typing import Any

import pytest

from infra.clock import HandClock
from infra.snapshot import Snapshot
from producers.gateway.counter import Counter, Parts
from producers.gateway.problems import Refused
from schemas.configuration import AppConfig, ChannelConfig, MessageType
from schemas.errors import UnavailableError

SETTINGS: Any = SimpleNamespace(gateway_rate_per_s=1.0, gateway_messages_per_day=10, namespace="ns")


class Registered:
    """The registry, read or not yet."""

    def __init__(self) -> None:
        self.is_ready = True
        self.snapshot = Snapshot(1, apps={"his": AppConfig("his")}, types={"note": MessageType("note")})

    def channel_secrets(self, account: ChannelConfig) -> dict[str, str]:
        """An account's own."""
        return {"secret": account.channel}


def counter(registry: Registered) -> Counter:
    """One over that registry."""
    nothing: Any = None
    stand_in: Any = registry
    return Counter(Parts(SETTINGS, stand_in, lambda *_: b"", nothing, nothing, HandClock(), nothing))


def test_before_the_registry_is_read_nobody_is_judged() -> None:
    """503, rather than 401 for everybody."""
    registry = Registered()
    registry.is_ready = False
    made = counter(registry)
    assert not made.is_ready()
    for ask in (lambda: made.gatekeeper, lambda: made.desk, lambda: made.snapshot):
        with pytest.raises(UnavailableError):
            ask()
    registry.is_ready = True
    assert made.gatekeeper.knows("his")


def test_what_follows_from_the_registry_is_made_anew_when_that_changes() -> None:
    """And only then."""
    registry = Registered()
    made = counter(registry)
    keeper, desk = made.gatekeeper, made.desk
    assert (made.gatekeeper, made.desk) == (keeper, desk)
    registry.snapshot = Snapshot(2, apps={"lis": AppConfig("lis")})
    assert made.gatekeeper is not keeper
    assert made.desk is not desk
    assert (made.gatekeeper.knows("lis"), made.gatekeeper.knows("his")) == (True, False)
    assert made.snapshot.version == 2


def test_counts_outlive_a_change_of_the_registry() -> None:
    """Applying a folder gives nobody a new day."""
    registry = Registered()
    made = counter(registry)
    made.quota.messages("his", 10, 0, 0.0)
    registry.snapshot = Snapshot(2)
    assert made.snapshot.version == 2
    with pytest.raises(Refused):
        made.quota.messages("his", 1, 0, 0.0)


def test_secrets_are_those_of_the_account() -> None:
    """As the registry opens them."""
    assert counter(Registered()).secrets_of(ChannelConfig("sms")) == {"secret": "sms"}
