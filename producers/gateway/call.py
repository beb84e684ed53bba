"""One request and its answer, as the operations see them; and reading a body within its bounds.

Made by `conduct` for every request. A body is refused as soon as it is too large, too slow, or of a kind we do
not read.
"""

import asyncio
from typing import Any, Final

from aiohttp import web
from msgspec import Struct, field

from producers.gateway.keys import Caller
from producers.gateway.problems import Refused, refused
from schemas.errors import Reason

JSON: Final = "application/json"


class Call(Struct, frozen=True):
    """One request; `sender` is nobody where no token is asked for."""

    request: web.Request
    sender: Caller
    now_ms: int


class Answer(Struct, frozen=True):
    """What is answered: a body of one of the documented shapes, or bytes as they are."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON


async def body_of(request: web.Request, most_bytes: int, most_s: float, *, is_json: bool = True) -> bytes:
    """The whole body, of whatever kind unless it `is_json`; raises Refused (413, 415, 408)."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise refused("media_type", "不接受压缩的内容", "no content encoding is read")
    if is_json and request.content_type != JSON and request.can_read_body:
        raise refused("media_type", "Content-Type 应为 application/json", "Content-Type has to be application/json")
    if (request.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    try:
        async with asyncio.timeout(most_s):
            return await _read(request, most_bytes)
    except TimeoutError:
        told = (f"请求体须在 {most_s:.0f} 秒内发完", f"a body has to come within {most_s:.0f} s")
        raise refused("slow_client", *told, headers={"Connection": "close"}) from None


async def _read(request: web.Request, most_bytes: int) -> bytes:
    taken = bytearray()
    while piece := await request.content.readany():
        taken += piece
        if len(taken) > most_bytes:
            raise _too_large(most_bytes)
    return bytes(taken)


def _too_large(most_bytes: int) -> Refused:
    told = (f"请求体最多 {most_bytes} 字节", f"a body has at most {most_bytes} bytes")
    return refused(Reason.TOO_LARGE, *told, headers={"Connection": "close"})
