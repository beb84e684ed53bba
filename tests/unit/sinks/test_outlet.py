"""The way out: made anew when the registry says so, closed while it cannot be used, within its account's limits."""

import pytest

from schemas.errors import Permanent, UnavailableError
from tests.sink_desk import Desk, parcel


async def test_the_same_configuration_is_the_same_outlet() -> None:
    """A new snapshot with equal members changes nothing."""
    desk = Desk()
    (first,) = desk.outlets.current()
    desk.registry.put()
    (second,) = desk.outlets.current()
    assert second is first


async def test_a_change_takes_effect_with_the_next_look() -> None:
    """The old outlet's connections stay until its last call has ended."""
    desk = Desk()
    (first,) = desk.outlets.current()
    desk.registry.put(base_url="http://y")
    (second,) = desk.outlets.current()
    assert second is not first
    assert second.channel.settings.base_url == "http://y"


@pytest.mark.parametrize(
    "told", [{"status": "disabled"}, {"base_url": "nonsense"}, {"provider": "nobody"}, {"settings": {"colour": "red"}}]
)
async def test_closed_while_it_cannot_be_used(told: dict[str, object]) -> None:
    """And open again as soon as it can."""
    desk = Desk()
    desk.registry.put(**told)
    assert desk.outlets.current() == ()
    desk.registry.put()
    assert desk.outlets.current()
    desk.registry.remove()
    assert (desk.outlets.current(), desk.outlets.provider) == ((), "")


async def test_an_unread_registry_is_waited_for() -> None:
    """Unlike a channel that is not in it."""
    desk = Desk()
    desk.registry.is_ready = False
    with pytest.raises(UnavailableError):
        desk.outlets.current()


async def test_limits_are_the_registrys_under_the_providers() -> None:
    """And this process's part of its lane's share: half of the partitions of 35 per cent."""
    desk = Desk()
    desk.outlets.resize(0.5)
    desk.registry.put(max_in_flight=100)
    (outlet,) = desk.outlets.current()
    assert await outlet.account.limiter.admit(1_000, 2**60, lambda: True) == 17
    desk.outlets.resize(1.0)
    assert await outlet.account.limiter.admit(1_000, 2**60, lambda: True) == 35 - 17
    desk.registry.put(max_in_flight=10_000)
    (wide,) = desk.outlets.current()
    assert await wide.account.limiter.admit(100_000, 2**60, lambda: True) == 350


async def test_opens_only_what_belongs_to_the_delivery() -> None:
    """A part of another message, or of another channel, stays shut."""
    desk = Desk()
    (outlet,) = desk.outlets.current()
    with pytest.raises(Permanent, match="decode_error"):
        await outlet.send(parcel(1, sealed=parcel(2).sealed))
    with pytest.raises(Permanent, match="decode_error"):
        await outlet.send(parcel(1, channel="other"))
    assert (await outlet.send(parcel(1))).provider_message_id
