"""What the tests know of each channel: settings for its simulator, a content it carries, addresses that script it.

A channel's own test (`tests/unit/sinks/channels/test_<name>.py`) holds its `SAMPLE`; the conformance suite finds it
there, so a new channel needs no change here.
"""

import importlib
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field, structs

from infra.clock import SystemClock
from infra.snapshot import SIMULATORS, resolved_url
from schemas.configuration import ChannelConfig
from schemas.records import Content, Delivery
from sinks.catalogue import discover
from sinks.channel import Caller, Channel

ACCEPTED_AT = 1_760_000_000_000
HOLD_MS = 30_000


class ChannelSample(Struct, frozen=True):
    """One channel against its simulator: `address` holds `{tail}` where magic digits go.

    `path` follows `simulators:` in a base URL, so one that is not under HTTP begins without a slash. `opening` are the
    bodies by which its vendor, standing on its head otherwise, answers what is asked before the message.
    """

    channel: str
    provider: str
    path: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str]
    wrong_secrets: Mapping[str, str]
    address: str
    bad_address: str
    content: Content
    unknown_code: str
    told: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    opening: tuple[bytes, ...] = ()

    @property
    def is_http(self) -> bool:
        """Whether its provider is called over HTTP."""
        return self.path.startswith("/")

    def base_url(self, simulators_url: str) -> str:
        """Where its simulator listens."""
        return resolved_url(f"{SIMULATORS}{self.path}", simulators_url)

    def content_for(self, tail: str = "0000") -> Content:
        """The content, addressed to a recipient who scripts that outcome."""
        return structs.replace(self.content, address=self.address.format(tail=tail))


def sample_of(name: str) -> ChannelSample:
    """The sample of a channel file, e.g. `sms_aliyun`."""
    found: Any = importlib.import_module(f"tests.unit.sinks.channels.test_{name}")
    sample: ChannelSample = found.SAMPLE
    return sample


def delivery(number: int = 1, channel: str = "sms", attempt: int = 1, **told: Any) -> Delivery:
    """A delivery whose ids all come from `number`."""
    plain: dict[str, Any] = {
        "message_id": number.to_bytes(16, "big"),
        "channel": channel,
        "attempt": attempt,
        "app_id": "his",
        "type": "queue_called",
        "lane": "normal",
        "accepted_at": ACCEPTED_AT,
        "provider_key": (number * 1_000_003).to_bytes(16, "big"),
        "claim_by": ACCEPTED_AT + HOLD_MS,
        "expires_at": ACCEPTED_AT + 3_600_000,
    }
    return Delivery(**{**plain, **told})


def channel_of(
    sample: ChannelSample, base_url: str, caller: Caller | None = None, secrets: Mapping[str, str] | None = None
) -> Channel[Any]:
    """The channel as the catalogue builds it, calling `base_url`."""
    config = ChannelConfig(sample.channel, sample.provider, base_url=base_url, settings=dict(sample.settings))
    calls = caller or Caller(10_000, 10, SystemClock())
    return discover().build(config, sample.secrets if secrets is None else secrets, calls)
