"""Several providers of one channel: who carries what, who is avoided, and what happens when nobody may be called."""

import asyncio
from collections import Counter

from msgspec import structs

from schemas.configuration import DISABLED, ProviderAccount
from schemas.errors import Reason, Transient
from schemas.records import Delivery
from schemas.statuses import Stage
from sinks.channel import Accepted
from sinks.codebook import ProviderTransient
from tests.channel_samples import ACCEPTED_AT
from tests.sink_desk import Desk, parcel

BOLD = ProviderAccount("bold", weight=1.0, base_url="http://b", rate_per_s=100_000, max_in_flight=1_000, timeout_ms=500)


def desk_of_two(**told: object) -> Desk:
    """Two providers with equal weights, the second changed at will."""
    desk = Desk()
    desk.registry.put(others=[structs.replace(BOLD, **told)])
    return desk


def carriers(desk: Desk, stage: str = Stage.OUTCOME) -> Counter[str]:
    """Events of a stage by provider."""
    return Counter(event.provider for event in desk.log.of(stage))


def parcels(count: int, **told: object) -> list[Delivery]:
    """So many deliveries."""
    return [parcel(number, **told) for number in range(1, count + 1)]


async def break_off(desk: Desk, name: str) -> None:
    """The provider refuses until its account is closed."""

    async def call(one: Delivery) -> Accepted:
        raise ProviderTransient(Reason.TRANSIENT, "down", None)

    desk.on_call(call)
    other, first = ("bold", 9_000) if name == "acme" else ("acme", 8_000)
    await desk.work(*(parcel(number, avoid=other) for number in range(first, first + 40)))
    (outlet,) = (outlet for outlet in desk.outlets.current() if outlet.config.provider == name)
    assert outlet.account.may_call(desk.clock.now_ms()).is_closed
    desk.log.events.clear()


async def well(one: Delivery) -> Accepted:
    """The provider takes it."""
    return Accepted(one.message_id.hex())


async def test_both_providers_carry_their_share() -> None:
    """Every delivery is claimed and answered in the name of the provider that was called."""
    desk = desk_of_two()
    await desk.work(*parcels(200))
    found = carriers(desk)
    assert found.total() == 200 == len(desk.calls)
    assert 60 < found["acme"] < 140
    claimed = {event.message_id: event.provider for event in desk.log.of(Stage.SENDING)}
    assert claimed == {event.message_id: event.provider for event in desk.log.of(Stage.OUTCOME)}


async def test_the_provider_that_failed_last_is_avoided() -> None:
    """As long as another one can carry it."""
    desk = desk_of_two()
    await desk.work(*parcels(50, avoid="acme"))
    assert carriers(desk) == {"bold": 50}
    alone = Desk()
    await alone.work(*parcels(5, avoid="acme"))
    assert carriers(alone) == {"acme": 5}


async def test_a_closed_account_carries_nothing() -> None:
    """The other one carries all; when both are closed everything is deferred until the first is tried again."""
    desk = desk_of_two()
    await break_off(desk, "acme")
    desk.on_call(well)
    await desk.work(*parcels(50))
    assert carriers(desk) == {"bold": 50}
    await break_off(desk, "bold")
    await desk.work(parcel(60), parcel(61))
    until = {event.until for event in desk.log.of(Stage.DEFERRED)}
    standings = [outlet.account.may_call(desk.clock.now_ms()) for outlet in desk.outlets.current()]
    assert until == {min(standing.until_ms for standing in standings)}
    assert not desk.log.of(Stage.SENDING)
    assert min(until) > ACCEPTED_AT


async def test_a_probe_is_one_call_and_keeps_nobody_waiting() -> None:
    """The others go over the account that works, while one asks whether the broken one does again."""
    desk = desk_of_two()
    await break_off(desk, "acme")
    desk.clock.advance(61_000)
    answered = asyncio.Event()

    async def hang(one: Delivery) -> Accepted:
        if any(event.message_id == one.message_id and event.provider == "acme" for event in desk.log.of(Stage.SENDING)):
            await answered.wait()
        return await well(one)

    desk.on_call(hang)
    late = [structs.replace(one, claim_by=ACCEPTED_AT + 200_000) for one in parcels(100)]
    work = await desk.begin(desk.group.chunk(late))
    async with asyncio.timeout(5):
        while carriers(desk).total() < 99:  # noqa: ASYNC110 - the log has no event for it
            await asyncio.sleep(0.01)
    assert carriers(desk) == {"bold": 99}
    answered.set()
    await work
    assert carriers(desk)["acme"] == 1


async def test_what_waited_for_an_account_that_closes_goes_over_the_other() -> None:
    """Nothing is deferred while somebody can carry it."""
    desk = desk_of_two()
    desk.registry.put(max_in_flight=10, others=[BOLD])

    async def call(one: Delivery) -> Accepted:
        await asyncio.sleep(0)
        if any(event.message_id == one.message_id and event.provider == "acme" for event in desk.log.of(Stage.SENDING)):
            raise Transient(Reason.TRANSIENT)
        return await well(one)

    desk.on_call(call)
    await desk.work(*parcels(300))
    assert not desk.log.of(Stage.DEFERRED)
    assert carriers(desk).total() == 300
    assert carriers(desk)["acme"] < 60


async def test_one_provider_that_is_off_or_wrong_leaves_the_other() -> None:
    """And a change of one keeps the other's outlet, with what its breaker knows."""
    desk = desk_of_two(status=DISABLED)
    (first,) = desk.outlets.current()
    desk.registry.put(others=[structs.replace(BOLD, settings={"colour": "red"})])
    assert desk.outlets.current() == (first,)
    assert desk.outlets.provider == ""
    desk.registry.put(others=[BOLD])
    kept, second = desk.outlets.current()
    assert kept is first
    assert second.config.provider == "bold"
    await desk.work(*parcels(50))
    assert carriers(desk).keys() == {"acme", "bold"}
