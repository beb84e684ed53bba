"""How one HTTP call ends, told as what it leaves behind; nothing leaves the process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from infra.clock import HandClock
from schemas.errors import Permanent, Reason, Transient
from sinks.calls import Request, UnknownOutcome
from sinks.http_caller import ANSWER_LIMIT_BYTES, CONNECT_SHARE, HttpCaller

KEY = ConnectionKey("h", 1, False, True, None, None, None)  # noqa: FBT003 - the library's own record
REQUEST = Request("POST", "http://h/p?a=%2F", {"x-a": "b"}, b"body", "k")


class Response:
    """An answer whose body comes in pieces."""

    def __init__(self, pieces: list[bytes], headers: Mapping[str, str], failure: BaseException | None = None) -> None:
        self.status = 202
        self.headers = headers
        self.content = self
        self.taken = 0
        self._pieces = pieces
        self._failure = failure

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to let go."""

    async def iter_any(self) -> AsyncIterator[bytes]:
        """The pieces, then the failure, if there is to be one."""
        for piece in self._pieces:
            self.taken += 1
            yield piece
        if self._failure is not None:
            raise self._failure


class Session:
    """Stands for the connections: answers so, or fails before an answer."""

    def __init__(self, response: Response | None = None, failure: BaseException | None = None) -> None:
        self.response = response or Response([b"ok"], {})
        self.failure = failure
        self.asked: list[tuple[Any, ...]] = []
        self.closed = 0

    def request(self, method: str, url: object, **told: Any) -> Response:
        """As aiohttp's, which fails before or while it answers."""
        self.asked.append((method, str(url), told))
        if self.failure is not None:
            raise self.failure
        return self.response

    async def close(self) -> None:
        """As aiohttp's."""
        self.closed += 1


def caller(session: Session) -> HttpCaller:
    """One whose connections are the session's."""
    made = HttpCaller(10_000, 4, HandClock(17))
    stand_in: Any = session
    made._session = stand_in
    return made


async def test_a_call_is_made_as_it_was_built() -> None:
    """The URL is not encoded again, redirects are not followed, header names come back in lower case."""
    session = Session(Response([b"a", b"b"], {"Retry-After": "7"}))
    answer = await caller(session).call(REQUEST)
    assert (answer.status, answer.headers, answer.body, answer.at_ms) == (202, {"retry-after": "7"}, b"ab", 17)
    ((method, url, told),) = session.asked
    assert (method, url, told["data"], told["headers"]) == ("POST", REQUEST.url, b"body", {"x-a": "b"})
    assert told["allow_redirects"] is False


async def test_a_long_answer_is_cut() -> None:
    """And not read to its end."""
    response = Response([b"x" * ANSWER_LIMIT_BYTES] * 5, {})
    answer = await caller(Session(response)).call(REQUEST)
    assert len(answer.body) == ANSWER_LIMIT_BYTES
    assert response.taken == 2


@pytest.mark.parametrize(
    "failure", [aiohttp.ClientConnectorError(KEY, OSError("refused")), aiohttp.ConnectionTimeoutError()]
)
async def test_no_connection_proves_that_nothing_was_sent(failure: Exception) -> None:
    """It may be tried again; the text names the kind, never an address."""
    with pytest.raises(Transient) as told:
        await caller(Session(failure=failure)).call(REQUEST)
    assert told.value.detail == f"connecting: {type(failure).__name__}"


@pytest.mark.parametrize(
    ("failure", "how"),
    [
        (aiohttp.ServerDisconnectedError(), "connection_cut"),
        (aiohttp.ClientOSError(104, "reset"), "connection_cut"),
        (ConnectionResetError(), "connection_cut"),
        (asyncio.IncompleteReadError(b"", 3), "connection_cut"),
        (TimeoutError(), "timeout"),
        (aiohttp.ServerTimeoutError(), "timeout"),
        (aiohttp.ClientResponseError(Any, (), status=400, message="bad"), "not_http"),  # type: ignore[arg-type]  # unread
    ],
)
@pytest.mark.parametrize("is_late", [False, True])
async def test_a_call_that_breaks_off_is_an_unknown_outcome(failure: Exception, how: str, *, is_late: bool) -> None:
    """Before the answer or within it: it may have been taken."""
    session = Session(Response([b"a"], {}, failure)) if is_late else Session(failure=failure)
    with pytest.raises(UnknownOutcome) as told:
        await caller(session).call(REQUEST)
    assert told.value.provider_code == how


async def test_a_url_that_cannot_be_called_is_a_wrong_setting() -> None:
    """Nothing was sent, and trying again is vain."""
    with pytest.raises(Permanent) as told:
        await caller(Session(failure=aiohttp.InvalidURL("x"))).call(REQUEST)
    assert told.value.reason is Reason.CONFIG_MISSING
    assert "x" not in told.value.detail.split()


async def test_connections_are_bounded_and_closed() -> None:
    """As many as were asked for; connecting may take a part of the timeout; closing twice or unopened is nothing."""
    made = HttpCaller(10_000, 4, HandClock())
    await made.close()
    session = made._opened()
    assert made._opened() is session
    assert session.connector is not None
    assert session.connector.limit == 4
    assert (session.timeout.total, session.timeout.connect) == (10.0, 10.0 * CONNECT_SHARE)
    await made.close()
    assert session.closed
