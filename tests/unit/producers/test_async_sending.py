import asyncio
from collections.abc import Iterable

import pytest

from producers.acknowledgement import NotAcknowledgedError, UnacknowledgedError
from producers.async_sending import AsyncSender
from producers.requests import MessageRequest
from schemas.errors import Permanent, Reason


def request(reference: str) -> MessageRequest:
    """One of many."""
    return MessageRequest(type="t", recipient=("patient_id", "P1"), reference=reference)


class Way(AsyncSender):
    """A way that answers the first message with the third, the others at once; `bad` ones are refused."""

    def __init__(self, bad: Iterable[str] = (), left: tuple[str, ...] = ()) -> None:
        self.bad = set(bad)
        self.left = left
        self.open: dict[str, asyncio.Future[str]] = {}
        self.asked: list[str] = []
        self.closed = 0

    async def submit(self, request: MessageRequest) -> "asyncio.Future[str]":
        """One more; the first stays open for a while."""
        self.asked.append(request.reference)
        if request.reference in self.bad:
            raise Permanent(Reason.PARAM_INVALID, "bad")
        answer = self.open[request.reference] = asyncio.get_running_loop().create_future()
        if len(self.asked) >= 3:
            for reference, one in self.open.items():
                if not one.done():
                    one.set_result(f"id-{reference}")
        return answer

    def id_of(self, request: MessageRequest) -> str:
        """From the reference."""
        return f"id-{request.reference}"

    async def close(self, timeout_s: float | None = None) -> tuple[str, ...]:
        """What is left."""
        self.closed += 1
        return self.left


async def test_many_end_in_order_and_a_refused_one_stops_nobody() -> None:
    """Its error says why; its id is the one that it would have had."""
    ended = [one async for one in Way(bad=["b"]).send_many([request(name) for name in "abcd"], in_flight=3)]
    assert [(one.request.reference, one.message_id) for one in ended] == [(name, f"id-{name}") for name in "abcd"]
    assert [one.error is not None for one in ended] == [False, True, False, False]


async def test_no_more_are_taken_than_may_be_open() -> None:
    """The source is read as far as there is room."""
    way = Way()
    endings = way.send_many([request(name) for name in "abcdef"], in_flight=3)
    assert (await anext(aiter(endings))).request.reference == "a"
    assert way.asked == ["a", "b", "c"]
    assert len([one async for one in endings]) == 5


async def test_the_id_to_try_again_under_is_the_error_s_own() -> None:
    """What was not acknowledged names it, also where there is no reference."""

    class Silent(Way):
        async def submit(self, request: MessageRequest) -> "asyncio.Future[str]":
            raise NotAcknowledgedError("silence", "minted", request.reference)

    (ended,) = [one async for one in Silent().send_many([request("")])]
    assert ended.message_id == "minted"


async def test_leaving_raises_only_when_nothing_else_went_wrong() -> None:
    """An error inside the block is the one to be seen."""
    way = Way(left=("m1",))
    with pytest.raises(UnacknowledgedError, match="1 messages"):
        async with way:
            pass
    with pytest.raises(KeyError):
        async with way:
            raise KeyError
    assert way.closed == 2
