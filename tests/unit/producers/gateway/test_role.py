import asyncio
from typing import Any

import pytest

from infra.crypto import Keyring, Ring
from infra.settings import Settings
from infra.snapshot import key_place
from producers.gateway import role
from producers.gateway.role import key_opener
from schemas.configuration import AppKey
from schemas.errors import UnavailableError

RING = Ring("registry", {1: b"k" * 32})
SEALED = AppKey("his-1", sealed=RING.seal(b"secret", key_place("his", "his-1")))


def test_an_application_s_key_is_opened_where_it_belongs() -> None:
    """A key that was moved to another application opens nothing."""
    opened = key_opener(Keyring({"registry": RING}))
    assert opened("his", SEALED) == b"secret"
    with pytest.raises(UnavailableError, match="his-1 of lis"):
        opened("lis", SEALED)


def test_a_process_without_the_registry_s_keys_says_so() -> None:
    """503 for the caller, not 401: he has done nothing wrong."""
    other = key_opener(Keyring({"registry": Ring("registry", {1: b"x" * 32})}))
    with pytest.raises(UnavailableError) as raised:
        other("his", SEALED)
    assert "apply again" in raised.value.remedy
    with pytest.raises(UnavailableError):
        key_opener(Keyring({}))


class Taken:
    """A door whose port somebody else has."""

    async def open(self, host: str, port: int) -> int:
        """As the operating system says it."""
        raise OSError(98, f"address {host}:{port} in use")


async def test_a_port_that_is_taken_is_named() -> None:
    """With the setting to change."""
    settings, door = Settings(gateway_port=8_791), Taken()
    stand_in: Any = door
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:8791") as raised:
        await role._open(stand_in, settings)
    assert "MEDPOST_GATEWAY_PORT" in raised.value.remedy


class Beats:
    """Stands for health and outbox: counts, and ends the watch after some beats."""

    def __init__(self, most: int) -> None:
        self.count = 0
        self._most = most

    def tick(self) -> None:
        """One more."""
        self.count += 1
        if self.count == self._most:
            raise asyncio.CancelledError

    def queued(self) -> int:
        """Nothing waits."""
        return 0


async def test_the_loop_says_that_it_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """And how long it did not: the longest pause of the last minute is shown."""
    monkeypatch.setattr(role, "TICK_S", 0.0)
    role.PAUSE.set(-1)
    beats: Any = Beats(120)
    with pytest.raises(asyncio.CancelledError):
        await role._tick(beats, beats)
    assert beats.count == 120
    assert role.PAUSE._value.get() >= 0.0
