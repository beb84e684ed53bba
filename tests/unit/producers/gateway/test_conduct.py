import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from infra.clock import HandClock
from producers.gateway.call import Answer, Call
from producers.gateway.conduct import CORRELATION, answer_to, conducted, correlation_of, response
from producers.gateway.keys import Caller
from producers.gateway.operations import OPERATIONS
from producers.gateway.problems import refused
from producers.gateway.quota import Quota
from schemas.configuration import AppConfig
from schemas.errors import Permanent, Reason, Transient, UnavailableError


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (refused("not_found"), 404, "not_found"),
        (UnavailableError("the store does not answer"), 503, "transient"),
        (Transient(Reason.TRANSIENT), 503, "transient"),
        (Permanent(Reason.TOO_LARGE, "9 bytes"), 413, "too_large"),
        (Permanent(Reason.NO_CHANNEL, "none"), 400, "param_invalid"),
        (web.RequestPayloadError(), 400, "decode_error"),
        (ConnectionResetError(), 400, "decode_error"),
        (ZeroDivisionError("Mr X's number"), 500, "internal"),
    ],
)
def test_every_failure_has_its_answer(failure: Exception, status: int, code: str) -> None:
    """And none of them says what only we may know."""
    answer = answer_to(failure, "message")
    assert (answer.status, answer.body.errors[0].code) == (status, code)
    assert "Mr X" not in str(answer.body)
    assert "store" not in str(answer.body)
    assert ("Retry-After" in answer.headers) == (status == 503)


def answered(given: str) -> tuple[web.Response, Any]:
    """A response to a request with that correlation id."""
    made = response(
        Answer(200, {"a": 1}), make_mocked_request("GET", "/", {CORRELATION: given}), {"RateLimit-Limit": "4"}
    )
    assert isinstance(made.body, bytes)
    return made, json.loads(made.body)


def test_a_plain_correlation_id_comes_back_and_nothing_else_does() -> None:
    """What could break a header or a log is replaced."""
    made, body = answered("his-7:a.b_C")
    assert (made.headers[CORRELATION], made.headers["RateLimit-Limit"], body) == ("his-7:a.b_C", "4", {"a": 1})
    for bad in ("", "a b", "x" * 129, "<script>"):
        assert len(correlation_of(make_mocked_request("GET", "/", {CORRELATION: bad}))) == 36


def test_a_refusal_that_ends_the_connection_ends_it() -> None:
    """A body that was not read to its end cannot be followed by another request."""
    failed = answer_to(refused("slow_client", headers={"Connection": "close"}), "message")
    assert response(failed, make_mocked_request("GET", "/"), {}).keep_alive is False


async def test_a_request_counts_against_the_caller_s_own_rate() -> None:
    """As the registry has it; the headers say so, and so does the 429."""
    app = AppConfig("his", http_requests_per_s=0.5)
    caller = SimpleNamespace(caller=lambda *_: Caller(app, b""))
    counter: Any = SimpleNamespace(clock=HandClock(), gatekeeper=caller, quota=Quota(1_000, 1))
    operation = next(one for one in OPERATIONS if one.wants_token)

    async def act(_counter: Any, _call: Call) -> Answer:
        return Answer(200, {})

    async def ask() -> web.StreamResponse:
        return await conducted(operation, act, counter)(make_mocked_request("GET", "/", {"Authorization": "x"}))

    first, second = await ask(), await ask()
    assert (first.status, first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == (200, "1", "0")
    assert (second.status, second.headers["Retry-After"]) == (429, "2")
