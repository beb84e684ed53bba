import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from producers import http_client
from producers.acknowledgement import NotAcknowledgedError
from producers.http_client import HttpClient
from producers.http_wire import HttpOptions, Outbound
from producers.requests import MessageRequest
from schemas import ids
from schemas.errors import Permanent, Reason, UnavailableError

EXPIRED = json.dumps({"errors": [{"code": "token_expired", "detail": {"en": ""}, "source": {}}]}).encode()
Reply = tuple[int, Mapping[str, str], bytes]


class Gateway:
    """Stands for the gateway: keeps what was posted, answers as told (else 202)."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, Any, Mapping[str, str]]] = []
        self.replies: list[Reply | Exception] = []
        self.tokens = 0

    def post(self, path: str, body: bytes, headers: Mapping[str, str], _sent: Outbound) -> Reply:
        """As `HttpClient._post`."""
        if path == "/v1/token":
            self.tokens += 1
            return 200, {}, json.dumps({"token": f"t{self.tokens}"}).encode()
        self.posted.append((path, json.loads(body), headers))
        reply = self.replies.pop(0) if self.replies else (202, {}, b"")
        if isinstance(reply, Exception):
            raise reply
        return reply


@pytest.fixture
def gateway() -> Gateway:
    """One that takes everything."""
    return Gateway()


@pytest.fixture
def client_of(monkeypatch: pytest.MonkeyPatch, gateway: Gateway) -> Callable[..., HttpClient]:
    """Clients of it that never wait long."""
    monkeypatch.setattr(http_client, "wait_s", lambda _attempt, _failure: 0.001)

    def made(**options: Any) -> HttpClient:
        client = HttpClient("http://gateway.invalid", "lis", "s" * 32, HttpOptions(**options))
        monkeypatch.setattr(client, "_post", gateway.post)
        return client

    return made


def test_a_message_is_sent_under_its_token(gateway: Gateway, client_of: Callable[..., HttpClient]) -> None:
    """One token for many messages; the id is the reference's."""
    with client_of() as client:
        sent = [client.send(type="lab_report", recipient=("patient_id", "P1"), reference=f"r{n}") for n in range(3)]
    assert sent == [ids.show(ids.from_reference("lis", f"r{n}")) for n in range(3)]
    assert [headers["Authorization"] for _, _, headers in gateway.posted] == ["Bearer t1"] * 3


def test_what_was_not_taken_is_tried_again_under_the_same_id(
    gateway: Gateway, client_of: Callable[..., HttpClient]
) -> None:
    """Whether the gateway was busy, silent, or the token ended meanwhile."""
    gateway.replies = [(503, {}, b""), NotAcknowledgedError("silence", "?"), (401, {}, EXPIRED)]
    with client_of() as client:
        message_id = client.send(type="lab_report", recipient=("patient_id", "P1"))
    assert {body["message_id"] for _, body, _ in gateway.posted} == {message_id}
    assert (len(gateway.posted), gateway.tokens) == (4, 2)


def test_a_refusal_is_not_tried_again(gateway: Gateway, client_of: Callable[..., HttpClient]) -> None:
    """The others of many go on."""
    gateway.replies = [(400, {}, b"{}")]
    with client_of(connections=1) as client:
        ended = list(
            client.send_many(MessageRequest(type="x", recipient=("a", "b"), reference=f"r{n}") for n in range(3))
        )
    assert [type(one.error) for one in ended] == [Permanent, type(None), type(None)]
    assert len(gateway.posted) == 3


def test_it_gives_up_by_name(gateway: Gateway, client_of: Callable[..., HttpClient]) -> None:
    """After the delivery timeout, with the id to try again under."""
    gateway.replies = [(503, {}, b"")] * 100_000
    with client_of(delivery_timeout_s=0.05) as client, pytest.raises(NotAcknowledgedError) as raised:
        client.send(type="x", recipient=("a", "b"), reference="r1")
    assert raised.value.message_id == ids.show(ids.from_reference("lis", "r1"))


def test_a_closed_client_says_so(client_of: Callable[..., HttpClient]) -> None:
    """Nothing is queued that nobody would send."""
    client = client_of()
    assert client.close() == ()
    with pytest.raises(UnavailableError, match="closed"):
        client.send(type="x", recipient=("a", "b"))


def test_a_request_s_own_fault_is_told_before_anything_is_sent(
    gateway: Gateway, client_of: Callable[..., HttpClient]
) -> None:
    """As every client of ours does."""
    with client_of() as client, pytest.raises(Permanent) as raised:
        client.send(type="", recipient=("a", "b"))
    assert (raised.value.reason, gateway.posted) == (Reason.PARAM_INVALID, [])
