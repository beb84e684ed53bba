from typing import Any

from infra.clock import HandClock
from sinks.caller import Caller
from sinks.calls import Answer, Mail, Request

ANSWER = Answer(250, {}, b"", 0)


class Door:
    """Stands for one of the two ways out."""

    def __init__(self) -> None:
        self.called: list[object] = []
        self.closed = 0

    async def call(self, request: object) -> Answer:
        """Any answer."""
        self.called.append(request)
        return ANSWER


class HttpDoor(Door):
    """Is closed by waiting."""

    async def close(self) -> None:
        """Hang up."""
        self.closed += 1


class SmtpDoor(Door):
    """Is closed at once."""

    def close(self) -> None:
        """Hang up."""
        self.closed += 1


async def test_a_call_goes_out_by_its_own_way() -> None:
    """Mail over SMTP, everything else over HTTP; both are closed together."""
    caller, http, smtp = Caller(1_000, 1, HandClock()), HttpDoor(), SmtpDoor()
    doors: Any = (http, smtp)
    caller._http, caller._smtp = doors
    mail, request = Mail("smtp://h:25", "a", "b", b"", "k"), Request("POST", "http://h", {}, b"", "k")
    assert await caller.call(mail) is ANSWER
    assert await caller.call(request) is ANSWER
    assert (http.called, smtp.called) == ([request], [mail])
    await caller.close()
    assert (http.closed, smtp.closed) == (1, 1)


def test_every_stamp_has_a_nonce_of_its_own() -> None:
    """32 hex digits, and the moment of the clock."""
    caller = Caller(1_000, 1, HandClock(17))
    first, second = caller.stamp(), caller.stamp()
    assert (first.now_ms, len(first.nonce)) == (17, 32)
    assert first.nonce != second.nonce
