from collections.abc import Iterable
from concurrent.futures import Future

import pytest

from producers.acknowledgement import NotAcknowledgedError, UnacknowledgedError
from producers.requests import MessageRequest
from producers.sending import Sender
from schemas.errors import Permanent, Reason


def request(reference: str) -> MessageRequest:
    """One of many."""
    return MessageRequest(type="t", recipient=("patient_id", "P1"), reference=reference)


class Way(Sender):
    """A way that answers the first message with the third, the others at once; `bad` ones are refused."""

    def __init__(self, bad: Iterable[str] = (), left: tuple[str, ...] = ()) -> None:
        self.bad = set(bad)
        self.left = left
        self.open: dict[str, Future[str]] = {}
        self.asked: list[str] = []
        self.closed = 0

    def submit(self, request: MessageRequest) -> "Future[str]":
        """One more; the first stays open for a while."""
        self.asked.append(request.reference)
        if request.reference in self.bad:
            raise Permanent(Reason.PARAM_INVALID, "bad")
        answer = self.open[request.reference] = Future()
        if len(self.asked) >= 3:
            for reference, one in self.open.items():
                if not one.done():
                    one.set_result(f"id-{reference}")
        return answer

    def id_of(self, request: MessageRequest) -> str:
        """From the reference."""
        return f"id-{request.reference}"

    def close(self, timeout_s: float | None = None) -> tuple[str, ...]:
        """What is left."""
        self.closed += 1
        return self.left


def test_many_end_in_order_and_a_refused_one_stops_nobody() -> None:
    """Its error says why; its id is the one that it would have had."""
    way = Way(bad=["b"])
    ended = list(way.send_many([request(name) for name in "abcd"], in_flight=3))
    assert [(one.request.reference, one.message_id) for one in ended] == [(name, f"id-{name}") for name in "abcd"]
    assert [one.error is not None for one in ended] == [False, True, False, False]


def test_no_more_are_taken_than_may_be_open() -> None:
    """The source is read as far as there is room."""
    way, read = Way(), iter([request(name) for name in "abcdef"])
    endings = way.send_many(read, in_flight=3)
    assert next(endings).request.reference == "a"
    assert way.asked == ["a", "b", "c"]
    assert len([*endings]) == 5


def test_the_id_to_try_again_under_is_the_error_s_own() -> None:
    """What was not acknowledged names it, also where there is no reference."""

    class Silent(Way):
        def submit(self, request: MessageRequest) -> "Future[str]":
            raise NotAcknowledgedError("silence", "minted", request.reference)

    (ended,) = Silent().send_many([request("")])
    assert ended.message_id == "minted"


def test_leaving_raises_only_when_nothing_else_went_wrong() -> None:
    """An error inside the block is the one to be seen."""
    way = Way(left=("m1",))
    with pytest.raises(UnacknowledgedError, match="1 messages"), way:
        pass
    with pytest.raises(KeyError), way:
        raise KeyError
    assert way.closed == 2
