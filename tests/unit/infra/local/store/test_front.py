"""The line before the engine's handles; the engine itself is played."""

import asyncio
from typing import Any

import pytest

from infra.local.store.front import HANDLES, READONLY, WAITING, Line
from infra.local.store.guard import RefusedError


def line_of(*handles: object) -> Line:
    """A line for these."""
    stand_ins: Any = list(handles)
    return Line(stand_ins)


async def test_a_handle_serves_one_request_at_a_time() -> None:
    """Who comes second waits until it is free again, also when the first one failed."""
    line, served = line_of("a"), list[str]()

    async def second() -> None:
        async with line.one() as handle:
            served.append(str(handle))

    async def first() -> None:
        async with line.one():
            await asyncio.sleep(0)
            assert served == []
            raise KeyError

    ended = await asyncio.gather(first(), second(), return_exceptions=True)
    assert [type(one) for one in ended] == [KeyError, type(None)]
    assert served == ["a"]


async def test_the_line_is_bounded() -> None:
    """Whoever finds it full is told so at once, in the server's words; the others are served."""
    line = line_of("a")

    async def one() -> None:
        async with line.one():
            await asyncio.sleep(0)

    async with line.one():
        waiting = [asyncio.create_task(one()) for _ in range(WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(RefusedError) as refused:
            async with line.one():
                pass
        assert refused.value.code == 202
    await asyncio.gather(*waiting)
    await one()


async def test_a_client_that_gives_up_leaves_its_place() -> None:
    """And takes no handle with it."""
    line = line_of("a")
    async with line.one():
        leaving = asyncio.create_task(line.one().__aenter__())
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
    async with asyncio.timeout(1), line.one() as handle:
        assert str(handle) == "a"


def test_only_our_own_programs_may_write() -> None:
    """Every kind of client has handles; all but one read."""
    assert set(HANDLES) == set(READONLY)
    assert [kind for kind, readonly in READONLY.items() if readonly == 0] == ["full"]
