import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from producers import async_http_client
from producers.acknowledgement import NotAcknowledgedError
from producers.async_http_client import AsyncHttpClient
from producers.http_wire import HttpOptions, Outbound
from producers.requests import MessageRequest
from schemas import ids
from schemas.errors import Permanent, UnavailableError

EXPIRED = json.dumps({"errors": [{"code": "token_expired", "detail": {"en": ""}, "source": {}}]}).encode()
Reply = tuple[int, Mapping[str, str], bytes]


class Gateway:
    """Stands for the gateway: keeps what was posted, answers as told (else 202)."""

    def __init__(self) -> None:
        self.posted: list[Any] = []
        self.replies: list[Reply | Exception] = []
        self.tokens = 0

    async def post(self, path: str, body: Any, _headers: Mapping[str, str], _sent: Outbound) -> Reply:
        """As `AsyncHttpClient._post`."""
        if path == "/v1/token":
            self.tokens += 1
            return 200, {}, json.dumps({"token": f"t{self.tokens}"}).encode()
        self.posted.append(json.loads(body))
        reply = self.replies.pop(0) if self.replies else (202, {}, b"")
        if isinstance(reply, Exception):
            raise reply
        return reply


@pytest.fixture
def gateway() -> Gateway:
    """One that takes everything."""
    return Gateway()


@pytest.fixture
def client_of(monkeypatch: pytest.MonkeyPatch, gateway: Gateway) -> Callable[..., AsyncHttpClient]:
    """Clients of it that never wait long."""
    monkeypatch.setattr(async_http_client, "wait_s", lambda _attempt, _failure: 0.001)

    def made(**options: Any) -> AsyncHttpClient:
        client = AsyncHttpClient("http://gateway.invalid", "lis", "s" * 32, HttpOptions(**options))
        monkeypatch.setattr(client, "_post", gateway.post)
        return client

    return made


async def test_what_was_not_taken_is_tried_again_under_the_same_id(
    gateway: Gateway, client_of: Callable[..., AsyncHttpClient]
) -> None:
    """Whether the gateway was busy, silent, or the token ended meanwhile."""
    gateway.replies = [(503, {}, b""), NotAcknowledgedError("silence", "?"), (401, {}, EXPIRED)]
    async with client_of() as client:
        message_id = await client.send(type="lab_report", recipient=("patient_id", "P1"))
    assert {body["message_id"] for body in gateway.posted} == {message_id}
    assert (len(gateway.posted), gateway.tokens) == (4, 2)


async def test_many_end_in_order_and_a_refusal_stops_nobody(
    gateway: Gateway, client_of: Callable[..., AsyncHttpClient]
) -> None:
    """The faulty one is told before it is sent, the refused one after."""
    gateway.replies = [(400, {}, b"{}")]
    many = [MessageRequest(type="x" * (n != 1), recipient=("a", "b"), reference=f"r{n}") for n in range(4)]
    async with client_of(connections=1) as client:
        ended = [sent async for sent in client.send_many(many, in_flight=2)]
    assert [type(one.error) for one in ended] == [Permanent, Permanent, type(None), type(None)]
    assert [one.message_id for one in ended] == [ids.show(ids.from_reference("lis", f"r{n}")) for n in range(4)]


async def test_it_gives_up_by_name(gateway: Gateway, client_of: Callable[..., AsyncHttpClient]) -> None:
    """After the delivery timeout, with the id to try again under."""
    gateway.replies = [(503, {}, b"")] * 100_000
    async with client_of(delivery_timeout_s=0.05) as client:
        with pytest.raises(NotAcknowledgedError) as raised:
            await client.send(type="x", recipient=("a", "b"), reference="r1")
    assert raised.value.message_id == ids.show(ids.from_reference("lis", "r1"))


async def test_closing_early_names_what_is_left(gateway: Gateway, client_of: Callable[..., AsyncHttpClient]) -> None:
    """And nothing more is taken."""
    gateway.replies = [(503, {}, b"")] * 100_000
    client = client_of()
    answer = await client.submit(MessageRequest(type="x", recipient=("a", "b"), reference="r1"))
    assert await client.close(0.02) == (ids.show(ids.from_reference("lis", "r1")),)
    assert answer.cancelled() or answer.cancelling()  # type: ignore[attr-defined]  # a task, for callers a future
    with pytest.raises(UnavailableError, match="closed"):
        await client.submit(MessageRequest(type="x", recipient=("a", "b")))
