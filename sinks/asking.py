"""What a provider offers to those who ask what became of a message: one at a time, or all that is new.

A channel's class is also one of these where its vendor has such an API. Called by the receipts role. Building and
reading are pure, like the rest of a channel; what is read are notices, which become requests.
"""

from abc import ABC, abstractmethod
from ipaddress import ip_network
from typing import Annotated, Final, Literal

from msgspec import Struct
from pydantic import AfterValidator, Field, SecretStr

from infra.receipts.notice import Notice
from schemas.statuses import Status
from sinks.channel import Answer, ProviderSettings, Request, Stamp

ON: Final = "on"


def _networks(text: str) -> str:
    for one in text.split(",") if text else ():
        ip_network(one.strip())
    return text


class ReceiptSettings(ProviderSettings):
    """How receipts of an account come: pushed to a secret path, pulled, or not at all."""

    receipt_token: Annotated[SecretStr, Field(min_length=16, max_length=128)] | None = None
    """The secret last part of the path that the vendor pushes to; none: nothing pushed is believed."""
    receipt_from: Annotated[str, AfterValidator(_networks)] = ""
    """Networks that the vendor pushes from, with commas between; empty: any."""
    pull: Literal["on", "off"] = "off"
    queries_per_s: Annotated[float, Field(gt=0, le=100)] = 5.0
    """Calls a second that may be spent on asking."""

    @property
    def levels(self) -> tuple[Status, ...]:
        """What is proved that way: acceptance always, delivery where receipts come."""
        has_receipts = self.receipt_token is not None or self.pull == ON
        return (Status.ACCEPTED, Status.DELIVERED) if has_receipts else (Status.ACCEPTED,)


class Question(Struct, frozen=True):
    """One message to ask about: where it went, the provider's id ("" when unknown), when it was sent (UTC ms)."""

    address: str
    provider_message_id: str
    sent_at_ms: int


class Asks(ABC):
    """A provider that can be asked about one message."""

    @abstractmethod
    def build_question(self, question: Question, stamp: Stamp) -> Request:
        """The call; pure."""

    @abstractmethod
    def read_answer(self, answer: Answer, question: Question) -> list[Notice]:
        """What it said, maybe about other messages too. Raises MedpostError when it said nothing."""


class Drains(ABC):
    """A provider that hands out what is new, each receipt once."""

    page: int
    """Receipts that it hands out at once."""

    @abstractmethod
    def build_pull(self, stamp: Stamp) -> Request:
        """The call; pure."""

    @abstractmethod
    def read_pulled(self, answer: Answer) -> list[Notice]:
        """What it handed out. Raises MedpostError when it said nothing."""
