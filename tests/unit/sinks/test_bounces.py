"""The listener for bounces: which addresses it takes, what it publishes, when it asks to come again."""

import asyncio
from typing import Any

import pytest
from aiosmtpd.smtp import Envelope
from msgspec import structs

from infra.clock import HandClock
from infra.receipts.echo import Echo
from infra.receipts.notice import attempt_of
from infra.receipts.return_path import return_path
from infra.registry import Snapshot
from schemas.configuration import DISABLED, ChannelConfig, ProviderAccount
from schemas.errors import Permanent, Reason
from schemas.records import NO_KEY, Request
from sinks.bounces import CONNECTIONS, COUNTED, Bounces, Conversation

NOW = 1_760_000_000_000
KEY, BASE = "a-key-of-16-chars", "bounce@hean.example"
ONE = Echo(b"m" * 16, 2, 0, NO_KEY)
ADDRESS = return_path(BASE, KEY, ONE)
REPORT = (
    b"From: MAILER-DAEMON@mx\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: x\r\n\r\n"
    b"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
)
NOBODY: Any = None


class Registered:
    """The registry: an account without a return path, and one with."""

    def __init__(self, **told: Any) -> None:
        second = ProviderAccount("smtp", settings={"return_path": BASE}, secrets=b"sealed")
        config = ChannelConfig("email", "other", others=[structs.replace(second, **told)])
        self.snapshot = Snapshot(1, channels={"email": config})
        self.is_ready = True
        self.opened = 0

    def channel_secrets(self, config: ChannelConfig) -> dict[str, str]:
        """The key of the one; raises for what was sealed with other keys."""
        self.opened += 1
        if config.secrets == b"spoilt":
            raise Permanent(Reason.DECODE_ERROR, "sealed registry: does not belong here")
        return {"bounce_key": KEY} if config.secrets else {}


class Desk:
    """Where requests go."""

    def __init__(self) -> None:
        self.told: list[Request] = []
        self.is_away = False

    async def tell(self, request: Request) -> bool:
        """Whether the broker has it."""
        if not self.is_away:
            self.told.append(request)
        return not self.is_away


@pytest.fixture
def desk() -> Desk:
    """A broker that takes everything."""
    return Desk()


async def come(desk: Desk, body: bytes = REPORT, address: str = ADDRESS, sender: str = "<>", **told: Any) -> list[str]:
    """A mail comes to an address; the answers to RCPT and, where that is taken, DATA."""
    bounces = Bounces(Registered(**told), desk.tell, HandClock(NOW))
    envelope = Envelope()
    envelope.mail_from, envelope.original_content = sender, body
    answers = [await bounces.handle_RCPT(NOBODY, NOBODY, envelope, address, [])]
    return [*answers, await bounces.handle_DATA(NOBODY, NOBODY, envelope)] if envelope.rcpt_tos else answers


async def test_a_bounce_becomes_a_receipt_of_the_attempt(desk: Desk) -> None:
    """In the account's name, with the code and nothing else of the mail."""
    assert await come(desk) == ["250 2.1.5 Ok", "250 2.0.0 Ok"]
    (request,) = desk.told
    assert (request.kind, request.message_id, attempt_of(request)) == ("receipt", ONE.message_id, 2)
    assert (request.channel, request.provider, request.at) == ("email", "smtp", NOW)
    assert (request.status, request.reason) == ("failed", "recipient_invalid")
    assert request.detail == "attempt=2 code=5.1.1"


async def test_the_same_bounce_twice_is_the_same_request(desk: Desk) -> None:
    """Mail servers come again when they did not hear our answer."""
    await come(desk)
    await come(desk)
    assert len({one.request_id for one in desk.told}) == 1


@pytest.mark.parametrize(
    "address",
    [BASE, "notice@hean.example", "bounce+" + "a" * 40 + "@hean.example", ADDRESS.replace("hean", "other"), "<>"],
)
async def test_addresses_that_we_never_wrote_are_refused(desk: Desk, address: str) -> None:
    """At their name, and counted; a receipt cannot be made up."""
    before = COUNTED.labels("not_ours")._value.get()
    assert await come(desk, address=address) == ["550 5.1.1 No such address"]
    assert desk.told == []
    assert COUNTED.labels("not_ours")._value.get() == before + 1


async def test_one_recipient_a_mail(desk: Desk) -> None:
    """The answer is one for all of them."""
    bounces, envelope = Bounces(Registered(), desk.tell, HandClock(NOW)), Envelope()
    answers = [await bounces.handle_RCPT(NOBODY, NOBODY, envelope, ADDRESS, []) for _ in range(2)]
    assert [one[:3] for one in answers] == ["250", "452"]


async def test_what_is_no_bounce_is_taken_and_left(desk: Desk) -> None:
    """The sender has done nothing wrong."""
    assert await come(desk, b"Subject: Re: report\r\n\r\nThank you!", sender="a@b.example") == [
        "250 2.1.5 Ok",
        "250 2.0.0 Ok",
    ]
    assert desk.told == []


async def test_without_the_broker_it_comes_again(desk: Desk) -> None:
    """No bounce is lost by us."""
    desk.is_away = True
    assert (await come(desk))[1].startswith("451")


async def test_before_the_registry_is_read_nobody_is_turned_away(desk: Desk) -> None:
    """For good."""
    registry, envelope = Registered(), Envelope()
    registry.is_ready = False
    bounces = Bounces(registry, desk.tell, HandClock(NOW))
    assert (await bounces.handle_RCPT(NOBODY, NOBODY, envelope, ADDRESS, [])).startswith("451")
    registry.is_ready = True
    assert (await bounces.handle_RCPT(NOBODY, NOBODY, envelope, ADDRESS, [])).startswith("250")
    await bounces.handle_RCPT(NOBODY, NOBODY, Envelope(), ADDRESS, [])
    assert registry.opened == 1  # once a version, not once a mail
    registry.snapshot = Snapshot(2)
    assert (await bounces.handle_DATA(NOBODY, NOBODY, envelope)).startswith("451")


async def test_an_account_that_is_off_still_hears_of_what_it_sent(desk: Desk) -> None:
    """One whose key cannot be opened, or that has none, takes nothing."""
    assert len(await come(desk, status=DISABLED)) == 2
    assert (await come(desk, secrets=b"spoilt"))[0].startswith("550")
    assert (await come(desk, secrets=b""))[0].startswith("550")


async def test_a_fault_of_ours_loses_no_bounce(desk: Desk) -> None:
    """The library would answer 500, and the mail server would give up."""
    bounces = Bounces(Registered(), desk.tell, HandClock(NOW))
    assert (await bounces.handle_exception(ValueError("zhang.san@mail.example"))).startswith("451")


class Link(asyncio.Transport):
    """Stands for a connection: keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written += piece

    def close(self) -> None:
        """Hang up."""
        self.is_closed = True


async def test_one_connection_too_many_is_told_to_come_again(desk: Desk) -> None:
    """And makes room again when it is gone."""
    bounces, link = Bounces(Registered(), desk.tell, HandClock(NOW)), Link()
    bounces.connections = CONNECTIONS
    one = Conversation(bounces, asyncio.get_running_loop())
    one.connection_made(link)
    assert (link.written[:3], link.is_closed) == (b"421", True)
    one.connection_lost(None)
    assert bounces.connections == CONNECTIONS


async def test_bounces_are_expected_where_mail_has_a_return_path(desk: Desk) -> None:
    """Of an account whose key is there."""
    cases: list[tuple[dict[str, Any], bool]] = [({}, True), ({"secrets": b""}, False), ({"settings": {}}, False)]
    for told, wanted in cases:
        assert Bounces(Registered(**told), desk.tell, HandClock(NOW)).are_expected() is wanted
