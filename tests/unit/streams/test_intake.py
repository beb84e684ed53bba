"""Tests of intake's shell: one event per record, to the topic of its lane, and nobody answered before it is ready."""

from typing import Any, Final

import msgspec
import pytest

from infra.clock import HandClock
from infra.kafka import Batch
from infra.snapshot import Snapshot, key_place
from infra.worker import Chunk
from schemas.codec import EVENT
from schemas.configuration import AppKey
from schemas.errors import Permanent, UnavailableError
from schemas.statuses import LANES, Lane
from streams.intake import ANSWERS, LOWERED, Intake, Sources
from tests.hospital import KEYRING, PATIENT, T0_MS, Incoming, People, incoming, kind, message, snapshot


class Out(Batch):
    """Collects what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes | None, bytes | None]] = []

    def send(self, topic: str, value: bytes | None, key: bytes | None = None, *_: Any, **__: Any) -> None:
        """Remember it."""
        self.sent.append((topic, value, key))


class Handed(Chunk):
    """A chunk without a broker."""

    def __init__(self, *records: Incoming, is_stale: bool = False) -> None:
        list.__init__(self, records)
        self._is_stale = is_stale

    @property
    def is_stale(self) -> bool:
        """Whether the partition is being taken away."""
        return self._is_stale


class Held:
    """A registry that is read by hand."""

    def __init__(self) -> None:
        self.is_ready = False
        self.snapshot = Snapshot()

    def give(self, snapshot: Snapshot) -> None:
        """A version is read to its end."""
        self.snapshot, self.is_ready = snapshot, True


class Folded(People):
    """A directory that is folded by hand."""

    def __init__(self) -> None:
        super().__init__(PATIENT)
        self.is_ready = True
        self.offset = 0


REGISTRY: Final = KEYRING.ring("registry")


def sealed_snapshot(*kinds: Any, **changes: Any) -> Snapshot:
    """A registry whose keys are sealed, as the real one's are."""
    held = snapshot(*kinds)
    app = held.apps["lis"]
    keys = [AppKey(key.key_id, sealed=REGISTRY.seal(key.sealed, key_place("lis", key.key_id))) for key in app.keys]
    return msgspec.structs.replace(held, apps={"lis": msgspec.structs.replace(app, keys=keys)}, **changes)


class Rig:
    """Intake of the urgent lane, with what it reads."""

    def __init__(self) -> None:
        self.registry = Held()
        self.directory = Folded()
        events = {str(lane): f"t.events.{lane}" for lane in LANES}
        sources = Sources(self.registry, self.directory, KEYRING, HandClock(T0_MS + 25))
        self.intake = Intake(Lane.URGENT, "intake@test", events, sources)


@pytest.fixture
def rig() -> Rig:
    """Nothing is read yet."""
    return Rig()


async def test_every_record_becomes_one_event_in_its_own_lane(rig: Rig) -> None:
    """Keyed by the message id, counted by reason."""
    rig.registry.give(sealed_snapshot(kind(), kind("critical", lane="urgent")))
    out = Out()
    before = [ANSWERS.labels("normal", reason)._value.get() for reason in ("accepted", "token_missing")]
    lowered = LOWERED.labels("urgent")._value.get()
    chunk = Handed(incoming(), incoming(message(type="critical")), incoming(headers=()))
    assert await rig.intake.take(chunk, out) is None
    events = [EVENT.decode(value) for _, value, _ in out.sent]
    assert [(topic, event.reason) for (topic, _, _), event in zip(out.sent, events, strict=True)] == [
        ("t.events.normal", ""),
        ("t.events.urgent", ""),
        ("t.events.normal", "token_missing"),
    ]
    assert [key for _, _, key in out.sent] == [event.message_id for event in events]
    assert {event.latency_ms for event in events} == {25}
    after = [ANSWERS.labels("normal", reason)._value.get() for reason in ("accepted", "token_missing")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1]
    assert LOWERED.labels("urgent")._value.get() == lowered + 2


async def test_bytes_that_are_no_message_are_the_workers_business(rig: Rig) -> None:
    """They raise, and the worker buries them."""
    rig.registry.give(sealed_snapshot())
    with pytest.raises(Permanent):
        await rig.intake.take(Handed(incoming(value=b"x")), Out())


async def test_nobody_is_answered_before_the_registry_is_read(rig: Rig) -> None:
    """A chunk that is taken away meanwhile goes back unanswered."""
    chunk = Handed(incoming(), is_stale=True)
    out = Out()
    assert not rig.intake.is_ready()
    with pytest.raises(UnavailableError):
        await rig.intake.take(chunk, out)
    assert out.sent == []


def test_a_version_is_used_once_its_recipients_are_folded(rig: Rig) -> None:
    """Else a new patient would be unknown for a moment."""
    rig.registry.give(sealed_snapshot(recipients_end=5))
    rig.directory.offset = 4
    assert not rig.intake.is_ready()
    rig.directory.offset = 5
    assert rig.intake.is_ready()


def test_the_version_before_serves_until_the_next_can_be_used(rig: Rig) -> None:
    """A swap never stops the lane."""
    rig.registry.give(sealed_snapshot())
    first = rig.intake.desk()
    assert first is rig.intake.desk()
    rig.registry.give(sealed_snapshot(version=8, recipients_end=9))
    rig.directory.offset = 3
    assert rig.intake.desk() is first
    rig.directory.offset = 9
    second = rig.intake.desk()
    assert second is not None
    assert second.snapshot.version == 8


async def test_a_key_that_cannot_be_opened_refuses_nobody(rig: Rig) -> None:
    """It is our fault: the lane waits."""
    held = sealed_snapshot()
    app = msgspec.structs.replace(held.apps["lis"], keys=[AppKey("lis-1", sealed=b"sealed elsewhere")])
    rig.registry.give(msgspec.structs.replace(held, apps={"lis": app}))
    with pytest.raises(UnavailableError):
        await rig.intake.take(Handed(incoming()), Out())
