"""One keeper fetches tokens, once for all, before they end; and what happens when a token is refused."""

import asyncio
from typing import ClassVar

import pytest

from schemas.errors import Permanent, Reason, Transient
from schemas.records import Content, Delivery
from schemas.statuses import Status
from sinks.calls import Answer, Mail, Request, Stamp, UnknownOutcome
from sinks.channel import Accepted, Capability, Channel, ProviderSettings
from sinks.codebook import ProviderTransient, parse
from sinks.tokens import Keeper, Keyed, Token
from tests.channel_samples import delivery

BOOK = parse("provider: x\nsource: x\naccepted: [OK]\nreasons: {}\n", "x.yaml")


class Vendor:
    """Gives out numbered tokens good for 7200 s, the same until they end or are forced; refuses bad ones."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.number = 1
        self.asked: list[str] = []
        self.sent: list[str] = []
        self.good = "token-1"
        self.problem: Exception | None = None

    async def call(self, request: Request | Mail) -> Answer:
        """Token or message, by URL."""
        await asyncio.sleep(0)
        if request.url.startswith("ask"):
            self.asked.append(request.url)
            if self.problem is not None:
                raise self.problem
            if request.url == "ask?forced":
                self.number += 1
                self.good = f"token-{self.number}"
            return Answer(200, {}, f"token-{self.number}".encode(), self.now_ms)
        self.sent.append(request.url)
        return Answer(200 if request.url == self.good else 401, {}, b"", self.now_ms)

    def stamp(self) -> Stamp:
        """The moment by hand."""
        return Stamp(self.now_ms, "0" * 32)


class Keeping(Channel[ProviderSettings], Keyed):
    """A channel whose URL is the token."""

    settings_type: ClassVar = ProviderSettings
    capability: ClassVar = Capability(frozenset({"text"}), (Status.ACCEPTED,), None, 1, 1, costs_money=False)

    def build_token_request(self, stamp: Stamp, *, is_forced: bool) -> Request:
        """By URL."""
        return Request("POST", "ask?forced" if is_forced else "ask", {}, b"", "")

    def read_token(self, answer: Answer) -> Token:
        """The body."""
        return Token(answer.body.decode(), 7200.0)

    def build_request(self, delivery: Delivery, content: Content, stamp: Stamp) -> Request:
        """The token, and nothing else."""
        return Request("POST", stamp.token, {}, b"", "k")

    def classify_response(self, answer: Answer) -> Accepted:
        """200 or a bad token."""
        if answer.status == 401:
            raise ProviderTransient(Reason.AUTH_EXPIRED, "401")
        return Accepted("m")


def channel(vendor: Vendor) -> Keeping:
    """The channel at that vendor."""
    return Keeping(ProviderSettings(base_url="http://x"), BOOK, vendor)


async def send(made: Keeping) -> Accepted:
    """One delivery."""
    return await made.send(delivery(), Content(kind="text", text="hi"))


async def test_a_hundred_deliveries_ask_once() -> None:
    """Single flight: who comes second waits for the first."""
    vendor = Vendor()
    made = channel(vendor)
    await asyncio.gather(*(send(made) for _ in range(100)))
    assert (vendor.asked, len(vendor.sent)) == (["ask"], 100)


async def test_a_token_is_fetched_anew_before_it_ends() -> None:
    """Five minutes early, when the old one is good still."""
    vendor = Vendor()
    keeper = Keeper(channel(vendor), vendor)
    await keeper.token()
    vendor.now_ms = 6_899_000
    await keeper.token()
    assert len(vendor.asked) == 1
    vendor.now_ms = 6_900_000
    await keeper.token()
    assert len(vendor.asked) == 2


async def test_a_failed_renewal_uses_the_old_one_while_it_is_good() -> None:
    """And is tried again after ten seconds; at its end there is none."""
    vendor = Vendor()
    keeper = Keeper(channel(vendor), vendor)
    await keeper.token()
    vendor.problem, vendor.now_ms = Transient(Reason.TRANSIENT, "down"), 6_900_000
    assert [await keeper.token(), await keeper.token()] == ["token-1", "token-1"]
    assert len(vendor.asked) == 2
    vendor.now_ms = 7_200_000
    with pytest.raises(Transient):
        await keeper.token()


@pytest.mark.parametrize("problem", [UnknownOutcome("timeout"), Transient(Reason.TRANSIENT, "x")])
async def test_without_a_token_nothing_was_sent(problem: Exception) -> None:
    """However the asking ended, it is never an unknown outcome of the message."""
    vendor = Vendor()
    vendor.problem = problem
    with pytest.raises(Transient):
        await send(channel(vendor))
    assert vendor.sent == []


async def test_a_token_made_meanwhile_replaces_the_refused_one() -> None:
    """Somebody else had it renewed: asking is enough, nothing is forced, and the message goes out once more."""
    vendor = Vendor()
    made = channel(vendor)
    await send(made)
    vendor.number, vendor.good = 2, "token-2"
    assert await send(made) == Accepted("m")
    assert vendor.asked == ["ask", "ask"]
    assert vendor.sent == ["token-1", "token-1", "token-2"]


async def test_a_token_that_stays_bad_is_forced_once_a_minute() -> None:
    """The provider gives what it refuses: another is made; and if that does not help, the attempt ends."""
    vendor = Vendor()
    made = channel(vendor)
    vendor.good = "nothing"
    assert await send(made) == Accepted("m")
    assert vendor.asked == ["ask", "ask", "ask?forced"]
    vendor.good = "nothing"
    with pytest.raises(Transient) as caught:
        await send(made)
    assert caught.value.reason is Reason.AUTH_EXPIRED
    assert vendor.asked[3:] == ["ask"]


async def test_a_second_refusal_is_final() -> None:
    """Once, not for ever."""
    vendor = Vendor()
    made = channel(vendor)
    await send(made)
    vendor.number, vendor.good = 5, "nothing"
    with pytest.raises(Transient):
        await send(made)
    assert vendor.sent == ["token-1", "token-1", "token-5"]


async def test_a_bad_secret_is_told_as_it_is() -> None:
    """What the provider says of the account reaches the outcome."""
    vendor = Vendor()
    vendor.problem = Permanent(Reason.AUTH_CONFIG, "secret")
    with pytest.raises(Permanent):
        await send(channel(vendor))
