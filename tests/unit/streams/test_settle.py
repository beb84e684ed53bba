"""The shell: windows from the registry's rates, owners by partition, garbage told and stepped over."""

import asyncio
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from infra.clock import HandClock
from infra.registry import Snapshot
from infra.settings import Settings
from infra.worker import TP, Chunk
from schemas.codec import BACKLOG, EVENT
from schemas.configuration import DISABLED, ChannelConfig, ProviderAccount
from schemas.errors import Permanent, Reason, UnavailableError
from schemas.records import Backlog, BacklogApp, BacklogLine, Event
from schemas.statuses import Lane
from streams import settle as settle_module
from streams.consequences import Author
from streams.message_state import Place
from streams.outbox import Outbox
from streams.owner import Ground, Reading
from streams.rules import Rules
from streams.settle import OLDEST, OPEN, WAITING, Settle, rate_of, registry_window, window_of
from tests.factories import T0, accepted, message_id, plan

if TYPE_CHECKING:
    from infra.registry import Registry
    from infra.state import Store
    from infra.worker import Worker
    from streams.request_feed import Feed

ID = message_id(1)
PLACE = TP("events.normal", 2)


@pytest.mark.parametrize(
    ("rate_per_s", "lane", "partitions", "hold_ms", "window"),
    [
        (1_000.0, Lane.URGENT, 4, 5_000, 125),
        (2.0, Lane.URGENT, 4, 30_000, 1),
        (0.1, Lane.NORMAL, 12, 5_000, 1),
        (200.0, Lane.URGENT, 1, 2_000, 50),
        (200.0, Lane.NORMAL, 4, 30_000, 17),
        (200.0, Lane.BULK, 4, 30_000, 25),
        (200.0, Lane.BULK, 1, 2_000, 15),
    ],
)
def test_window(rate_per_s: float, lane: Lane, partitions: int, hold_ms: int, window: int) -> None:
    """A second of the share, for bulk half a second of the whole; shared by the partitions, never none."""
    assert window_of(rate_per_s, lane, partitions, hold_ms) == window


def test_a_channels_rate_is_that_of_all_its_providers() -> None:
    """Those that are on."""
    others = [ProviderAccount("b", rate_per_s=30), ProviderAccount("c", status=DISABLED, rate_per_s=500)]
    assert rate_of(ChannelConfig("sms", "a", rate_per_s=10, others=others)) == 40
    assert rate_of(None) == 500


def test_windows_follow_the_registry() -> None:
    """A new rate counts at the next question; a channel that nobody knows has a modest one."""
    registry = SimpleNamespace(snapshot=Snapshot())
    window = registry_window(cast("Registry", registry), 4, Lane.URGENT)
    assert window("sms") == 62
    config = ChannelConfig(channel="sms", rate_per_s=40.0)
    registry.snapshot = Snapshot(channels=MappingProxyType({"sms": config}))
    assert window("sms") == 5


def test_a_lane_with_a_small_share_can_use_what_is_lent() -> None:
    """And enough to use what is lent: what its sinks may not send in time would lapse and be issued again."""
    registry = cast("Registry", SimpleNamespace(snapshot=Snapshot()))
    assert registry_window(registry, 4, Lane.BULK)("sms") == 62


def test_a_spent_budget_is_logged_once_a_type_and_hour(capsys: pytest.CaptureFixture[str]) -> None:
    """However many partitions tell it; the metric counts them all."""
    told = settle_module.SpentBudgets("normal")
    for kind, hour_ms in (("a", 1), ("a", 1), ("b", 1), ("a", 2)):
        told.tell(kind, hour_ms)
    assert capsys.readouterr().out.count("budget of fallbacks") == 3
    assert settle_module.SPENT.labels("normal", "a")._value.get() == 3


class Watched:
    """An owner that notes what it is told."""

    def __init__(self, _ground: object, _keys: object, partition: int) -> None:
        self.partition = partition
        self.calls: list[str] = []
        self.readings: list[Reading] = []

    async def begin(self) -> None:
        """Take over."""
        self.calls.append("begin")

    def drop(self) -> None:
        """Give up."""
        self.calls.append("drop")

    def tick(self) -> None:
        """Look at the clock."""
        self.calls.append("tick")

    def decode(self, record: SimpleNamespace) -> Event:
        """The event."""
        return cast("Event", EVENT.decode(record.value))

    def take(self, readings: list[Reading]) -> "asyncio.Future[None]":
        """Keep them."""
        self.readings += readings
        return asyncio.get_running_loop().create_future()

    def seen(self) -> Backlog:
        """Three wait per partition, the first for 2 s."""
        line = BacklogLine("sms", "his", 3, oldest_at=T0 - 2_000)
        return Backlog(at=T0, open=[BacklogApp("his", 5)], lines=[line])

    def may_tell(self) -> bool:
        """One of them is behind."""
        return self.partition == PLACE.partition


class Delivered(list[SimpleNamespace]):
    """A chunk of the group."""

    tp = PLACE
    is_stale = False


def chunk(*values: bytes) -> Chunk:
    """Records with these values."""
    return cast(
        "Chunk", Delivered(SimpleNamespace(offset=at, timestamp=at, value=value) for at, value in enumerate(values))
    )


@pytest.fixture
async def settle(monkeypatch: pytest.MonkeyPatch) -> Settle:
    """Two partitions, with owners that note what they are told."""
    monkeypatch.setattr(settle_module, "Owner", Watched)
    told: list[tuple[str, Backlog, bytes]] = []
    publisher = SimpleNamespace(
        publish=lambda topic, value, key: told.append((topic, BACKLOG.decode(value), key)), told=told
    )
    worker = SimpleNamespace(task=asyncio.ensure_future, publisher=publisher)
    rules = Rules(Author("normal", "test"), 30_000, lambda _: 1)
    outbox = Outbox(Settings(home=Path("/nowhere")), "normal")
    ground = Ground(cast("Worker", worker), HandClock(T0), cast("Store", None), outbox, rules, cast("Feed", None), 4)
    made = Settle(ground, Lane.NORMAL)
    made.assigned(frozenset({PLACE, TP("events.normal", 3)}))
    await asyncio.sleep(0)
    return made


def owner(settle: Settle, partition: int = 2) -> Watched:
    """The owner of that partition."""
    return cast("Watched", settle._owners[partition])


async def test_an_assignment_begins_owners_and_the_next_drops_them(settle: Settle) -> None:
    """Each beside the group; at a new assignment the old ones write no more."""
    old = owner(settle)
    assert old.calls == ["begin"]
    settle.assigned(frozenset({PLACE}))
    await asyncio.sleep(0)
    assert old.calls == ["begin", "drop"]
    assert (owner(settle).calls, list(settle._owners)) == (["begin"], [2])
    settle.revoked(frozenset({PLACE}))
    assert settle._owners == {}


async def test_a_chunk_goes_to_its_owner(settle: Settle) -> None:
    """As places and events; the answer is what the worker waits for."""
    event = accepted(ID, plan())
    done = await settle.settle(chunk(EVENT.encode(event), EVENT.encode(event)), None)
    assert done is not None
    assert owner(settle).readings == [(Place(0, 0), event), (Place(1, 1), event)]


async def test_garbage_is_told_before_anything_happens(settle: Settle) -> None:
    """In a chunk of many nobody is touched; alone it is stepped over, so that timers do not wait for it for ever."""
    good = EVENT.encode(accepted(ID, plan()))
    with pytest.raises(Permanent) as told:
        await settle.settle(chunk(good, b"garbage"), None)
    assert told.value.reason == Reason.DECODE_ERROR
    assert owner(settle).readings == []
    with pytest.raises(Permanent):
        await settle.settle(chunk(b"garbage"), None)
    assert owner(settle).readings == [(Place(0, 0), None)]


async def test_records_of_a_partition_given_up_are_left_alone(settle: Settle) -> None:
    """The next owner reads them."""
    settle.revoked(frozenset({PLACE}))
    assert await settle.settle(chunk(b"garbage"), None) is None


async def test_time_and_backlog(settle: Settle) -> None:
    """Every owner looks at the clock; the backlog is the sum, and goes back to nothing."""
    settle.tick()
    assert [owner(settle, number).calls[-1] for number in (2, 3)] == ["tick", "tick"]
    gauges = [
        WAITING.labels("normal", "sms", "his"),
        OLDEST.labels("normal", "sms", "his"),
        OPEN.labels("normal", "his"),
    ]
    settle.show()
    assert [gauge._value.get() for gauge in gauges] == [6, 2, 10]
    settle.revoked(frozenset({PLACE}))
    settle.show()
    assert [gauge._value.get() for gauge in gauges] == [0, 0, 0]


async def test_the_backlog_is_told_by_who_knows_it(settle: Settle) -> None:
    """Of the partition that is not caught up nothing is said; a broker that takes nothing changes nothing."""
    publisher = cast("Any", settle)._ground.worker.publisher
    settle.show()
    (told,) = publisher.told
    assert (told[0], told[2]) == ("stats.backlog", b"normal/2")
    assert (told[1].lane, told[1].partition, told[1].worker, told[1].lines[0].waiting) == ("normal", 2, "test", 3)
    owner(settle).partition, owner(settle, 3).partition = 3, 2

    def refuse(*_: object) -> None:
        raise UnavailableError("queue full", "wait")

    publisher.publish = refuse
    settle.show()
