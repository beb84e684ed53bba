import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from producers.gateway.call import body_of
from producers.gateway.problems import Refused


class Coming:
    """A body that comes in pieces; without `ends` the last one is waited for for ever."""

    def __init__(self, pieces: Iterable[bytes], *, ends: bool = True) -> None:
        self._pieces = list(pieces)
        self._ends = ends
        self.taken = 0

    async def readany(self) -> bytes:
        """The next piece; nothing at the end."""
        if self._pieces:
            self.taken += 1
            return self._pieces.pop(0)
        if not self._ends:
            await asyncio.get_running_loop().create_future()
        return b""


def request(coming: Coming, headers: dict[str, str] | None = None, kind: str = "application/json") -> Any:
    """As much of a request as is asked for."""
    given = headers or {}
    length = given.get("Content-Length")
    return SimpleNamespace(
        headers=given,
        content_type=kind,
        can_read_body=True,
        content_length=int(length) if length else None,
        content=coming,
    )


async def refused(asked: Any, most_bytes: int = 10, most_s: float = 5.0) -> Refused:
    """How a body is refused."""
    with pytest.raises(Refused) as raised:
        await body_of(asked, most_bytes, most_s)
    return raised.value


async def test_a_body_is_read_whole() -> None:
    """Also in the smallest pieces, up to the last byte that is allowed."""
    assert await body_of(request(Coming([b"1", b"234", b"567890"])), 10, 5.0) == b"1234567890"


async def test_what_is_announced_too_large_is_not_read() -> None:
    """And the connection ends, since the body would follow."""
    coming = Coming([b"x"])
    failed = await refused(request(coming, {"Content-Length": "11"}))
    assert (failed.status, failed.headers["Connection"], coming.taken) == (413, "close", 0)


async def test_what_grows_too_large_is_read_no_further() -> None:
    """Whatever was announced."""
    coming = Coming([b"12345", b"123456", b"never"])
    assert (await refused(request(coming))).status == 413
    assert coming.taken == 2


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """The answer says how long it might have taken."""
    failed = await refused(request(Coming([b"1"], ends=False)), most_s=0.0)
    assert (failed.status, failed.headers["Connection"]) == (408, "close")
    assert "0 s" in failed.problems[0].detail.en


@pytest.mark.parametrize(
    ("headers", "kind"), [({"Content-Encoding": "gzip"}, "application/json"), ({}, "text/xml"), ({}, "")]
)
async def test_only_plain_json_is_read(headers: dict[str, str], kind: str) -> None:
    """What is compressed could be anything once it is not."""
    assert (await refused(request(Coming([b"{}"]), headers, kind))).status == 415


async def test_providers_may_send_what_they_like() -> None:
    """XML too; compressed no more than others."""
    assert await body_of(request(Coming([b"<xml/>"]), {}, "text/xml"), 10, 5.0, is_json=False) == b"<xml/>"
    with pytest.raises(Refused):
        await body_of(request(Coming([]), {"Content-Encoding": "br"}), 10, 5.0, is_json=False)
