"""The port: what a channel is, and the one door through which channels call their providers.

A provider is one file `sinks/channels/<channel>_<provider>.py` with one subclass of `Channel`; its name is its
registration. The catalogue builds channels from the registry, the sink agent calls `send`. A channel never retries,
sleeps, or logs an address, and knows nothing of Kafka.
"""

import asyncio
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Generic, Protocol, TypeVar
from uuid import uuid4

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, StringConstraints

from infra.clock import Clock
from schemas.errors import MedpostError, Permanent, Reason, Transient
from schemas.records import Content, Delivery
from schemas.statuses import Status
from sinks.codebook import Codebook

if TYPE_CHECKING:
    import aiohttp

CHANNELS_FOLDER: Final = Path(__file__).with_name("channels")
_FILE_NAME: Final = re.compile(r"[a-z0-9]+_[a-z0-9]+")
ANSWER_LIMIT_BYTES: Final = 65_536
"""Longest answer that is read; no provider's answer to one message is near it."""
KEEP_ALIVE_S: Final = 10.0
"""Shorter than servers keep idle connections (nginx: 75 s, vendors: from 15 s), so that we seldom use a dying one."""
CONNECT_SHARE: Final = 0.5
"""Part of a call's timeout that connecting may take: running out of it proves that nothing was sent."""


class Capability(Struct, frozen=True):
    """What a provider can do; `idempotency_window_s` None: the same key twice is two messages.

    `levels` are the levels of success that it can prove; `rate_per_s` and `max_in_flight` the provider's own ceilings
    for one account, under which the registry sets what ours may use.
    """

    kinds: frozenset[str]
    levels: tuple[Status, ...]
    idempotency_window_s: int | None
    rate_per_s: float
    max_in_flight: int
    costs_money: bool


class Stamp(Struct, frozen=True):
    """What differs between two calls for the same delivery: the moment (UTC ms) and a nonce of 32 hex digits."""

    now_ms: int
    nonce: str


class Request(Struct, frozen=True):
    """One HTTP call, ready to be made: the URL is encoded already; `idempotency_key` is what the provider sees."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    idempotency_key: str


class Answer(Struct, frozen=True):
    """What the provider said; header names in lower case; `at_ms` is when, in UTC ms."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at_ms: int


class Accepted(Struct, frozen=True):
    """The provider took it, and proved so much; `provider_message_id` is how receipts will name it."""

    provider_message_id: str
    level: Status = Status.ACCEPTED
    provider_code: str = ""


class UnknownOutcome(MedpostError):  # noqa: N818 - the field's word; says what is known, not that it is an error
    """The request left us and no answer came that can be trusted; `provider_code` says how it ended."""

    def __init__(self, provider_code: str) -> None:
        super().__init__(Reason.UNKNOWN_OUTCOME, provider_code)
        self.provider_code = provider_code


class ProviderSettings(BaseModel):
    """Base of every channel's settings: unknown members are refused, secrets print as stars."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    base_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+[^\s?#]*$")]
    """Where the provider listens, without query."""


class Calls(Protocol):
    """Whoever makes the call: the caller below, or a test."""

    async def call(self, request: Request) -> Answer:
        """The provider's answer; raises Transient when nothing was sent, UnknownOutcome when no answer came."""
        ...

    def stamp(self) -> Stamp:
        """A fresh stamp."""
        ...


S = TypeVar("S", bound=ProviderSettings)


class Channel(ABC, Generic[S]):
    """One provider of one channel, with one account's settings."""

    capability: ClassVar[Capability]
    settings_type: ClassVar[type[ProviderSettings]]

    def __init__(self, settings: S, codebook: Codebook, calls: Calls) -> None:
        self.settings: Final = settings
        self.codebook: Final = codebook
        self._calls = calls

    @classmethod
    def template_problem(cls, settings: Mapping[str, str], code: str, parameters: Collection[str]) -> str:
        """Why an account with these settings cannot send a template of ours; empty when it can.

        `code` is the template's code, `parameters` the variables that our template fills.
        """
        del settings, code, parameters
        return ""

    @abstractmethod
    def build_request(self, delivery: Delivery, content: Content, stamp: Stamp) -> Request:
        """The call for this delivery; pure. Raises Permanent for content or an address that cannot be sent."""

    @abstractmethod
    def classify_response(self, answer: Answer) -> Accepted:
        """What the answer means; pure. Raises Transient, Permanent (by the codebook) or UnknownOutcome."""

    async def send(self, delivery: Delivery, content: Content) -> Accepted:
        """Call the provider once. Raises Transient, Permanent or UnknownOutcome, and nothing else but cancellation.

        A fault of the channel's own code is told as what it leaves behind: nothing sent, or an unknown outcome.
        """
        if content.kind not in self.capability.kinds:
            raise Permanent(Reason.PARAM_INVALID, f"{delivery.channel} cannot carry content of kind {content.kind!r}")
        try:
            request = self.build_request(delivery, content, self._calls.stamp())
        except MedpostError:
            raise
        except Exception as fault:
            raise Permanent(Reason.PARAM_INVALID, f"building the request: {type(fault).__name__}") from fault
        answer = await self._calls.call(request)
        try:
            return self.classify_response(answer)
        except MedpostError:
            raise
        except Exception as fault:
            raise UnknownOutcome(f"unreadable_{answer.status}") from fault


def retry_after_s(answer: Answer) -> float | None:
    """The `Retry-After` header in seconds from now, whether it gives seconds or a date (RFC 9110, 10.2.3)."""
    text = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - answer.at_ms / 1000
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def channel_files(folder: Path = CHANNELS_FOLDER) -> tuple[str, ...]:
    """Names of all provider files, e.g. `sms_aliyun`; raises ValueError for anything else in their folder."""
    found = [path for path in sorted(folder.iterdir()) if not path.name.startswith("__")]
    for path in found:
        if path.suffix != ".py" or not _FILE_NAME.fullmatch(path.stem):
            raise ValueError(f"{folder.name}/{path.name}: only <channel>_<provider>.py belongs there")
    return tuple(path.stem for path in found)


def channel_names() -> tuple[str, ...]:
    """Every channel that has a provider here, e.g. ("sms", "webhook")."""
    return tuple(sorted({name.partition("_")[0] for name in channel_files()}))


class Caller:
    """HTTP for one channel in one lane: its own connections, a limit of them, a timeout on every call."""

    def __init__(self, timeout_ms: int, max_connections: int, clock: Clock) -> None:
        self._timeout_s = timeout_ms / 1000
        self._clock = clock
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    def stamp(self) -> Stamp:
        """This moment, and a random nonce."""
        return Stamp(self._clock.now_ms(), uuid4().hex)

    def _opened(self) -> "aiohttp.ClientSession":
        if self._session is None:
            import aiohttp

            connect_s = self._timeout_s * CONNECT_SHARE
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=KEEP_ALIVE_S),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s, connect=connect_s, sock_connect=connect_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
                trust_env=False,
            )
        return self._session

    async def call(self, request: Request) -> Answer:
        """One call, never repeated, redirects not followed. See `Calls`."""
        import aiohttp
        from yarl import URL

        try:
            async with self._opened().request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
            ) as response:
                body = await _read(response.content)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, headers, body, self._clock.now_ms())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as problem:
            raise Transient(Reason.TRANSIENT, f"connecting: {type(problem).__name__}") from None
        except aiohttp.InvalidURL:
            raise Permanent(Reason.CONFIG_MISSING, "base_url is not a URL that can be called") from None
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError) as problem:
            raise UnknownOutcome(_how(problem)) from None

    async def close(self) -> None:
        """Close all connections; calls under way are cut."""
        if self._session is not None:
            await self._session.close()


async def _read(stream: Any) -> bytes:
    """The body, at most ANSWER_LIMIT_BYTES of it."""
    body = bytearray()
    async for piece in stream.iter_any():
        body += piece
        if len(body) > ANSWER_LIMIT_BYTES:
            break
    return bytes(body[:ANSWER_LIMIT_BYTES])


def _how(problem: BaseException) -> str:
    """How a call ended without an answer, as a word for the trace."""
    import aiohttp

    if isinstance(problem, TimeoutError):
        return "timeout"
    return "not_http" if isinstance(problem, aiohttp.ClientResponseError) else "connection_cut"
