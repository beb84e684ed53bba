"""What every request goes through: token, rate limit, the operation, the answer; and every failure's answer.

The one place of this package that catches broadly. No text of a request and no traceback is ever answered or logged.
"""

import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog
from aiohttp import web
from prometheus_client import Counter as Metric
from prometheus_client import Histogram

from producers.gateway.call import Answer, Call
from producers.gateway.counter import Counter
from producers.gateway.keys import NOBODY
from producers.gateway.operations import Operation
from producers.gateway.problems import TITLES, Refused, problem, refused
from producers.gateway.translated import chinese_for
from schemas.errors import Permanent, Reason, Transient, UnavailableError

log = structlog.get_logger("gateway")

Act = Callable[[Counter, Call], Awaitable[Answer]]
Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]

CORRELATION: Final = "X-Correlation-ID"
RETRY_AFTER_S: Final = "2"
_SAFE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_JSON: Final = msgspec.json.Encoder()
_BY_STATUS: Final = {404: "not_found", 405: "method_not_allowed", 413: Reason.TOO_LARGE, 415: "media_type"}

ANSWERS: Final = Metric("medpost_gateway_answers_total", "requests answered", ["operation", "status"])
LATENCY: Final = Histogram(
    "medpost_gateway_answer_seconds",
    "from the request's headers to its answer",
    ["operation"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


def conducted(operation: Operation, act: Act, counter: Counter) -> Handle:
    """The operation as aiohttp calls it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        began_s, limits = time.monotonic(), dict[str, str]()
        try:
            call = _call(operation, request, counter, limits)
            answer = await act(counter, call)
        except Exception as failure:  # noqa: BLE001 - the edge: everything becomes an answer
            answer = answer_to(failure, operation.name)
        ANSWERS.labels(operation.name, answer.status).inc()
        LATENCY.labels(operation.name).observe(time.monotonic() - began_s)
        return response(answer, request, limits)

    return handle


def _call(operation: Operation, request: web.Request, counter: Counter, limits: dict[str, str]) -> Call:
    """The request with its proven caller; counts it against the caller's rate."""
    now_ms = counter.clock.now_ms()
    caller = NOBODY
    if operation.wants_token:
        header = request.headers.getall("Authorization", [""])
        if len(header) > 1:
            raise refused(
                Reason.TOKEN_MALFORMED, "请求头 Authorization 出现多次", "header Authorization is given twice"
            )
        caller = counter.gatekeeper.caller(header[0], now_ms, int(operation.margin_s * 1000))
        app = caller.app
        limits |= counter.quota.request(app.app_id, counter.clock.monotonic_s(), app.http_requests_per_s)
    return Call(request, caller, now_ms)


def answer_to(failure: Exception, name: str) -> Answer:
    """What is answered to a failure of whatever kind."""
    found = _refused(failure, name)
    return Answer(found.status, found.body(), found.headers)


def _refused(failure: Exception, name: str) -> Refused:
    if isinstance(failure, Refused):
        return failure
    if isinstance(failure, UnavailableError | Transient):
        log.warning("not available", operation=name, detail=failure.detail)
        return Refused([problem(Reason.TRANSIENT)], {"Retry-After": RETRY_AFTER_S})
    if isinstance(failure, Permanent):
        code = failure.reason if failure.reason in TITLES else Reason.PARAM_INVALID
        return Refused([problem(code, (chinese_for(failure.detail, TITLES[code][1]), failure.detail))])
    if isinstance(failure, ConnectionError | web.RequestPayloadError):
        return refused(Reason.DECODE_ERROR, "请求体不完整", "the body ended too early", headers={"Connection": "close"})
    log.error("operation failed", operation=name, exc_info=failure)
    return refused(Reason.INTERNAL)


@web.middleware
async def strays(request: web.Request, handler: Handle) -> web.StreamResponse:
    """Answers what no operation answers: unknown paths and methods."""
    try:
        return await handler(request)
    except web.HTTPException as stray:
        code = _BY_STATUS.get(stray.status, "not_found" if stray.status < 500 else Reason.INTERNAL)
        headers = {"Allow": stray.headers["Allow"]} if "Allow" in stray.headers else {}
        ANSWERS.labels("none", TITLES[code][0]).inc()
        return response(answer_to(refused(code, headers=headers), "none"), request, {})


def response(answer: Answer, request: web.BaseRequest, limits: dict[str, str]) -> web.Response:
    """The answer as bytes, with its headers."""
    body = answer.body if isinstance(answer.body, bytes) else _JSON.encode(answer.body)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **limits, **answer.headers}
    headers[CORRELATION] = correlation_of(request)
    made = web.Response(body=body, status=answer.status, headers=headers, content_type=answer.content_type)
    if headers.get("Connection") == "close":
        made.force_close()
    return made


def correlation_of(request: web.BaseRequest) -> str:
    """The caller's own correlation id when it is a plain word, else a fresh one."""
    given = request.headers.get(CORRELATION, "")
    return given if _SAFE.fullmatch(given) else str(uuid.uuid4())
