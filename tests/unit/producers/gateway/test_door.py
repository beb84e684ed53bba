import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from producers.gateway.door import Door, Gate, _Full

NOTHING: Any = None


class Link:
    """Stands for a transport: keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, piece: bytes) -> None:
        """Keep it."""
        self.written += piece

    def close(self) -> None:
        """Hang up."""
        self.is_closed = True


def test_a_connection_too_many_is_told_so_and_hung_up() -> None:
    """In words that every client reads, with when to come back."""
    link: Any = Link()
    _Full().connection_made(link)
    head, _, body = link.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert link.is_closed


def held(connections: int) -> Door:
    """A door for two with so many connections."""
    door = Door(web.Application(), 2, 15.0)
    door._runner = SimpleNamespace(server=SimpleNamespace(connections=[None] * connections))  # type: ignore[assignment]  # as much as is asked
    return door


def test_the_door_counts() -> None:
    """As many as it is for, and not one more."""
    assert isinstance(held(2)._protocol(), _Full)
    assert isinstance(held(3)._protocol(), _Full)


@pytest.mark.parametrize(("status", "code"), [(400, "decode_error"), (431, "decode_error"), (500, "internal")])
def test_what_is_no_http_is_answered_in_our_words(status: int, code: str) -> None:
    """Nothing of the request comes back, and the connection ends."""
    request = make_mocked_request("GET", "/secret-path")
    made = Gate.handle_error(NOTHING, request, status, ValueError("patient 42"), "patient 42")
    assert isinstance(made, web.Response)
    assert isinstance(made.body, bytes)
    (found,) = json.loads(made.body)["errors"]
    assert (found["code"], made.status) == (code, 500 if status == 500 else 400)
    assert b"42" not in made.body
    assert not made.keep_alive


async def test_a_door_that_was_never_opened_can_be_closed() -> None:
    """The process may end before it listens."""
    await Door(web.Application(), 2, 15.0).close(0.1)
