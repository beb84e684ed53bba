"""The port: what a channel is. A provider takes one call for a delivery: built, made and judged, over HTTP or SMTP.

A provider is one file `sinks/channels/<channel>_<provider>.py` with one subclass of `Channel`; its name is its
registration. The catalogue builds channels from the registry, the sink agent calls `send`. A channel never retries
(but for a token that was refused), sleeps, or logs an address, and knows nothing of Kafka.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, ClassVar, Final, Generic, TypeVar

from msgspec import Struct, structs
from pydantic import BaseModel, ConfigDict, StringConstraints

from schemas.errors import MedpostError, Permanent, Reason, Transient
from schemas.limits import MAX_AHEAD_MS
from schemas.records import Content, Delivery
from schemas.statuses import Status
from sinks.caller import Caller
from sinks.calls import SMTP_COMMAND, Answer, Calls, Mail, Request, Stamp, UnknownOutcome
from sinks.codebook import Codebook
from sinks.tokens import Keeper, Keyed

__all__ = [
    "SMTP_COMMAND", "Accepted", "Answer", "Caller", "Calls", "Capability", "Channel", "Mail", "ProviderSettings",
    "Request", "Stamp", "UnknownOutcome", "channel_files", "channel_names", "code_or_status", "retry_after_s",
]  # fmt: skip

CHANNELS_FOLDER: Final = Path(__file__).with_name("channels")
LONGEST_WAIT_S: Final = MAX_AHEAD_MS / 1000
"""No message lives so long that a provider could be believed more."""
_FILE_NAME: Final = re.compile(r"[a-z0-9]+_[a-z0-9]+")


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


class Accepted(Struct, frozen=True):
    """The provider took it, and proved so much; `provider_message_id` is how receipts will name it."""

    provider_message_id: str
    level: Status = Status.ACCEPTED
    provider_code: str = ""


class ProviderSettings(BaseModel):
    """Base of every channel's settings: unknown members are refused, secrets print as stars."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    base_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+[^\s?#]*$")]
    """Where the provider listens, without query."""


S = TypeVar("S", bound=ProviderSettings)


class Channel(ABC, Generic[S]):
    """One provider of one channel, with one account's settings."""

    capability: ClassVar[Capability]
    settings_type: ClassVar[type[ProviderSettings]]

    def __init__(self, settings: S, codebook: Codebook, calls: Calls) -> None:
        self.settings: Final = settings
        self.codebook: Final = codebook
        self._calls = calls
        self._keeper = Keeper(self, calls) if isinstance(self, Keyed) else None

    @classmethod
    def template_problem(cls, settings: Mapping[str, str], code: str, parameters: Collection[str]) -> str:
        """Why an account with these settings cannot send a template of ours; empty when it can.

        `code` is the template's code, `parameters` the variables that our template fills.
        """
        del settings, code, parameters
        return ""

    @abstractmethod
    def build_request(self, delivery: Delivery, content: Content, stamp: Stamp) -> Request | Mail:
        """The call for this delivery; pure. Raises Permanent for content or an address that cannot be sent."""

    @abstractmethod
    def classify_response(self, answer: Answer) -> Accepted:
        """What the answer means; pure. Raises Transient, Permanent (by the codebook) or UnknownOutcome."""

    async def send(self, delivery: Delivery, content: Content) -> Accepted:
        """Call the provider once. Raises Transient, Permanent or UnknownOutcome, and nothing else but cancellation.

        A token that the provider refuses is replaced once, and the call made again: a refused token sent nothing. A
        fault of the channel's own code is told as what it leaves behind: nothing sent, or an unknown outcome.
        """
        if content.kind not in self.capability.kinds:
            raise Permanent(Reason.PARAM_INVALID, f"{delivery.channel} cannot carry content of kind {content.kind!r}")
        if self._keeper is None:
            return await self._once(delivery, content, self._calls.stamp())
        token = await self._keeper.token()
        try:
            return await self._once(delivery, content, structs.replace(self._calls.stamp(), token=token))
        except Transient as problem:
            if problem.reason is not Reason.AUTH_EXPIRED:
                raise
        token = await self._keeper.another(token)
        return await self._once(delivery, content, structs.replace(self._calls.stamp(), token=token))

    async def _once(self, delivery: Delivery, content: Content, stamp: Stamp) -> Accepted:
        try:
            request = self.build_request(delivery, content, stamp)
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
    """The `Retry-After` header in seconds from now, whether it gives seconds or a date (RFC 9110, 10.2.3).

    0 for a date that is past; at most LONGEST_WAIT_S, or the moment would fit into no event. A date without a zone is
    one of GMT (RFC 9110, 5.6.7). None when there is none, or when it is neither.
    """
    text = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = _timestamp_s(parsedate_to_datetime(text)) - answer.at_ms / 1000
        except ValueError:
            return None
    return min(max(0.0, seconds), LONGEST_WAIT_S) if math.isfinite(seconds) else None


def _timestamp_s(date: datetime) -> float:
    return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()


def code_or_status(code: str, answer: Answer) -> str:
    """A vendor's code, or `http_<status>` where the body holds none and HTTP says that it was refused.

    Raises UnknownOutcome when neither says so: a success or a 5xx without a code leaves open whether it was sent.
    """
    if not code and (answer.status < 300 or answer.status >= 500):
        raise UnknownOutcome(f"http_{answer.status}")
    return code or f"http_{answer.status}"


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
