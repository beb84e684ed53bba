"""Every provider file in `sinks/channels` passes these by existing, against its real simulator on the loopback."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec import structs

from infra.clock import SystemClock
from infra.local.ports import any_port
from infra.simulators.server import serve
from schemas.errors import MedpostError, Permanent, Reason, Transient
from schemas.records import Content
from sinks import codebook
from sinks.channel import Accepted, Caller, Channel, Stamp, UnknownOutcome, channel_files
from tests.channel_samples import ChannelSample, channel_of, delivery, sample_of

NAMES = channel_files()
HTTP = [name for name in NAMES if sample_of(name).is_http]
CODES = [
    (name, code.replace("*", "99"))
    for name in NAMES
    for code, reason in codebook.load_for(name.split("_")[0], name.split("_")[1]).meanings.items()
    if reason is not None and not code.startswith(("http_", "smtp_"))
]


class Phone:
    """The simulators, and the channel under test that calls them."""

    def __init__(self, sample: ChannelSample, base_url: str) -> None:
        self.sample = sample
        self.base_url = base_url
        self.callers: list[Caller] = []

    def channel(self, timeout_ms: int = 10_000, secrets: Mapping[str, str] | None = None) -> Channel[Any]:
        """The channel, with its own connections."""
        self.callers.append(Caller(timeout_ms, 10, SystemClock()))
        return channel_of(self.sample, self.sample.base_url(self.base_url), self.callers[-1], secrets)

    async def send(self, number: int = 1, content: Content | None = None, timeout_ms: int = 10_000) -> Accepted:
        """Send one delivery."""
        one = delivery(number, self.sample.channel)
        return await self.channel(timeout_ms).send(one, content or self.sample.content_for())

    async def tell(self, kind: str, told: dict[str, Any]) -> None:
        """Tell the simulators something."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.base_url}/sim/{kind}", json=told) as answer,
        ):
            assert answer.status == 200, await answer.text()

    async def script(self, action: str, **told: Any) -> None:
        """Lay a script for this provider."""
        await self.tell("script", {"provider": self.sample.provider, "action": action, **told})

    async def received(self, outcome: str = "all") -> list[dict[str, Any]]:
        """What the simulator received."""
        asked = f"{self.base_url}/sim/messages?provider={self.sample.provider}&outcome={outcome}"
        async with aiohttp.ClientSession() as session, session.get(asked) as answer:
            found: list[dict[str, Any]] = (await answer.json())["messages"]
            return found


@pytest.fixture(params=NAMES)
async def phone(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Phone]:
    """One channel against fresh simulators."""
    async with _phone(request.param, tmp_path) as made:
        yield made


@asynccontextmanager
async def _phone(name: str, folder: Path) -> AsyncIterator[Phone]:
    stopping, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(folder / "journal.jsonl", 0, port.set_result, stopping))
    made = Phone(sample_of(name), f"http://127.0.0.1:{await port}")
    for kind, told in made.sample.told:
        await made.tell(kind, told)
    yield made
    for caller in made.callers:
        await caller.close()
    stopping.set()
    await server


@asynccontextmanager
async def vendor_that_says(raw: bytes, opening: tuple[bytes, ...] = ()) -> AsyncIterator[str]:
    """A server that answers requests with the bodies of an opening, one after the other, then with these bytes."""
    said = [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body) for body in opening
    ] + [raw]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said.pop(0) if len(said) > 1 else raw)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def heard(sample: ChannelSample, raw: bytes) -> Accepted:
    """What a channel makes of raw bytes."""
    caller = Caller(2_000, 1, SystemClock())
    async with vendor_that_says(raw, sample.opening) as base_url:
        try:
            one = delivery(channel=sample.channel)
            return await channel_of(sample, sample.base_url(base_url), caller).send(one, sample.content_for())
        finally:
            await caller.close()


@pytest.fixture(params=NAMES)
def sample(request: pytest.FixtureRequest) -> ChannelSample:
    """What the tests know of one channel."""
    return sample_of(request.param)


@pytest.fixture(params=HTTP)
def web_sample(request: pytest.FixtureRequest) -> ChannelSample:
    """What the tests know of one channel that is called over HTTP."""
    return sample_of(request.param)


async def conversed(sample: ChannelSample, replies: list[bytes], timeout_ms: int = 2_000) -> Accepted:
    """What a channel over SMTP makes of a server that says these lines, one a command, and then hangs up.

    After `354` the message is read to its end; an empty reply says nothing, and waits.
    """
    caller, ended = Caller(timeout_ms, 1, SystemClock()), asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for reply in replies:
                if not reply:
                    while await reader.read(1 << 20):
                        pass  # until the other side hangs up
                    break
                writer.write(reply + b"\r\n")
                await reader.readuntil(b"\r\n.\r\n" if reply.startswith(b"354") else b"\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # hung up on
        finally:
            writer.close()
            ended.set()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, limit=1 << 20)
    async with server:
        try:
            url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            return await channel_of(sample, url, caller).send(delivery(channel=sample.channel), sample.content_for())
        finally:
            await caller.close()
            await ended.wait()


async def test_what_is_sent_is_what_arrives(phone: Phone) -> None:
    """Success carries the provider's id and a level it can prove, and the recipient can read the text."""
    accepted = await phone.send()
    assert accepted.provider_message_id
    assert accepted.level in phone.channel().capability.levels
    (message,) = await phone.received("taken")
    assert message["text"] == phone.sample.content.text
    assert message["message_id"] == delivery().message_id.hex()
    assert len(message["key"]) < 256


@pytest.mark.parametrize(("name", "code"), CODES)
async def test_every_code_in_its_book_means_what_the_book_says(name: str, code: str, tmp_path: Path) -> None:
    """A refusal comes back as its reason, as Transient only where trying again may help."""
    async with _phone(name, tmp_path) as phone:
        await phone.script("code", code=code)
        book = phone.channel().codebook
        reason = book.reason_of(code)
        if reason is Reason.DUPLICATE:
            assert isinstance(await phone.send(), Accepted)
            return
        with pytest.raises(Permanent if book.hint_of(code).retry == "never" else Transient) as caught:
            await phone.send()
        assert caught.value.reason is reason
        assert getattr(caught.value, "provider_code", "") == code
        assert getattr(caught.value, "hint", None) == book.hint_of(code)


async def test_a_code_that_nobody_knows_is_unmapped(phone: Phone) -> None:
    """It ends the attempt, with the vendor's word kept."""
    await phone.script("code", code=phone.sample.unknown_code)
    with pytest.raises(Permanent) as caught:
        await phone.send()
    assert caught.value.reason is Reason.UNMAPPED
    assert getattr(caught.value, "provider_code", "") == phone.sample.unknown_code


async def test_throttling_is_transient(phone: Phone) -> None:
    """One call too many may be made again later."""
    await phone.script("throttle")
    with pytest.raises(Transient) as caught:
        await phone.send()
    assert caught.value.reason is Reason.RATE_LIMITED


async def test_429_tells_how_long_to_wait(web_sample: ChannelSample) -> None:
    """Retry-After of a gateway in between counts too."""
    with pytest.raises(Transient) as caught:
        await heard(web_sample, b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
    assert (caught.value.reason, caught.value.retry_after_s) == (Reason.RATE_LIMITED, 7.0)


async def test_4xx_without_a_word_is_a_definite_failure(web_sample: ChannelSample) -> None:
    """The request was refused: nothing was sent."""
    with pytest.raises((Permanent, Transient)):
        await heard(web_sample, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


async def test_a_redirect_is_not_followed(web_sample: ChannelSample) -> None:
    """Another host never gets what was meant for this one."""
    raw = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(Permanent) as caught:
        await heard(web_sample, raw)
    assert caught.value.reason is Reason.CONFIG_MISSING


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
    ],
    ids=["5xx without a body", "closed", "not HTTP", "cut in the body"],
)
async def test_no_answer_to_be_trusted_is_an_unknown_outcome(web_sample: ChannelSample, raw: bytes) -> None:
    """The request left us: nobody may claim that it was not carried out."""
    with pytest.raises(UnknownOutcome):
        await heard(web_sample, raw)


HELLO = [b"220 x", b"250-x\r\n250-AUTH PLAIN\r\n250 DSN", b"235 in"]
"""What a mail server says until somebody has logged in."""


@pytest.fixture(params=[name for name in NAMES if name not in HTTP])
def mail_sample(request: pytest.FixtureRequest) -> ChannelSample:
    """What the tests know of one channel that is called over SMTP."""
    return sample_of(request.param)


@pytest.mark.parametrize(
    "replies",
    [
        [],
        [b"SSH-2.0-OpenSSH_9.6"],
        HELLO,
        [*HELLO, b"250 a"],
        [*HELLO, b"250 a", b"nonsense"],
        [*HELLO, b""],
    ],
    ids=["hangs up", "not SMTP", "cut before MAIL", "cut before RCPT", "garbage to RCPT", "silent at MAIL"],
)
async def test_before_the_message_nothing_was_sent(mail_sample: ChannelSample, replies: list[bytes]) -> None:
    """However the conversation broke, it may be begun again."""
    with pytest.raises(Transient):
        await conversed(mail_sample, replies, 500)


@pytest.mark.parametrize(
    ("last", "how"),
    [([], "connection_cut"), ([b""], "timeout"), ([b"\x00<html>"], "not_smtp"), ([b"354 again"], "not_smtp")],
    ids=["cut", "silent", "garbage", "no last word"],
)
async def test_after_the_message_no_answer_is_an_unknown_outcome(
    mail_sample: ChannelSample, last: list[bytes], how: str
) -> None:
    """The final dot was said: the server may have taken it."""
    with pytest.raises(UnknownOutcome) as caught:
        await conversed(mail_sample, [*HELLO, b"250 a", b"250 b", b"354 go", *last], 500)
    assert caught.value.provider_code == how


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ([b"554 5.7.1 go away"], Reason.AUTH_CONFIG),
        ([b"421 4.3.2 busy"], Reason.TRANSIENT),
        ([b"220 x", b"250-x\r\n250 DSN"], Reason.AUTH_CONFIG),
        ([*HELLO[:2], b"535 5.7.8 no"], Reason.AUTH_CONFIG),
        ([*HELLO, b"553 5.1.7 not yours"], Reason.AUTH_CONFIG),
        ([*HELLO, b"250 a", b"550 5.1.1 nobody"], Reason.RECIPIENT_INVALID),
        ([*HELLO, b"250 a", b"450 4.7.1 Greylisted"], Reason.TRANSIENT),
        ([*HELLO, b"250 a", b"250 b", b"452 4.3.1 full"], Reason.TRANSIENT),
        ([*HELLO, b"250 a", b"250 b", b"354 go", b"554 5.7.1 spam"], Reason.CONTENT_REJECTED),
    ],
)
async def test_a_refusal_at_any_step_is_definite(
    mail_sample: ChannelSample, replies: list[bytes], reason: Reason
) -> None:
    """Door, login, sender, recipient, message: each says what it refused."""
    with pytest.raises((Transient, Permanent)) as caught:
        await conversed(mail_sample, replies)
    assert caught.value.reason is reason


async def test_a_provider_that_hangs_is_left_in_time(phone: Phone) -> None:
    """A call ends with its timeout, as unknown."""
    await phone.script("hang", ms=3_000)
    began_s = time.monotonic()
    with pytest.raises(UnknownOutcome) as caught:
        await phone.send(timeout_ms=300)
    assert time.monotonic() - began_s < 2.0
    assert caught.value.provider_code == "timeout"


async def test_a_cut_socket_is_not_tried_again(phone: Phone) -> None:
    """The provider read it and hung up: one call, unknown."""
    await phone.send(1)
    await phone.script("cut")
    with pytest.raises(UnknownOutcome) as caught:
        await phone.send(2)
    assert caught.value.provider_code == "connection_cut"
    assert [call["action"] for call in await phone.received()] == ["ok", "cut"]


async def test_garbage_never_becomes_a_failure(phone: Phone) -> None:
    """A 200 that cannot be read was perhaps a success: never a definite failure, never an exception of ours."""
    await phone.script("garbage")
    outcome = (await asyncio.gather(phone.send(), return_exceptions=True))[0]
    assert isinstance(outcome, Accepted | UnknownOutcome)


async def test_nobody_listening_means_that_nothing_was_sent(sample: ChannelSample) -> None:
    """A connection that is refused is transient, not unknown."""
    caller = Caller(2_000, 1, SystemClock())
    with pytest.raises(Transient) as caught:
        await channel_of(sample, sample.base_url(f"http://127.0.0.1:{any_port(2)}"), caller).send(
            delivery(channel=sample.channel), sample.content_for()
        )
    await caller.close()
    assert caught.value.reason is Reason.TRANSIENT


async def test_a_cancelled_call_stays_cancelled(phone: Phone) -> None:
    """Cancellation is the one thing that a channel lets through untouched."""
    await phone.script("hang", ms=2_000)
    call = asyncio.create_task(phone.send())
    await asyncio.sleep(0.2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_the_same_delivery_twice_is_the_same_message(sample: ChannelSample) -> None:
    """Two calls at different times carry the same bytes and the same idempotency key."""
    channel = channel_of(sample, sample.base_url("http://127.0.0.1:9"))
    one, content = delivery(channel=sample.channel), sample.content_for()
    first = channel.build_request(one, content, Stamp(1_760_000_000_000, "1" * 32))
    second = channel.build_request(one, content, Stamp(1_760_000_009_000, "2" * 32))
    assert (first.url, first.body, first.idempotency_key) == (second.url, second.body, second.idempotency_key)
    again = channel.build_request(one, content, Stamp(1_760_000_000_000, "1" * 32))
    assert first == again


async def test_a_repeat_is_recognised_where_the_capability_says_so(phone: Phone) -> None:
    """With an idempotency window two calls are one message; without one they are two."""
    await phone.send()
    await phone.send()
    messages = await phone.received("taken")
    assert len(messages) == (1 if phone.channel().capability.idempotency_window_s else 2)
    assert len(await phone.received()) == 2


async def test_a_wrong_address_calls_nobody(phone: Phone) -> None:
    """It is the recipient's fault, and the address is not told on."""
    content = structs.replace(phone.sample.content, address=phone.sample.bad_address)
    with pytest.raises(Permanent) as caught:
        await phone.send(content=content)
    assert caught.value.reason is Reason.RECIPIENT_INVALID
    assert phone.sample.bad_address not in str(caught.value)
    assert await phone.received() == []


async def test_content_of_another_kind_calls_nobody(phone: Phone) -> None:
    """What the capability does not name is refused before any call."""
    with pytest.raises(Permanent) as caught:
        await phone.send(content=structs.replace(phone.sample.content_for(), kind="hologram"))
    assert caught.value.reason is Reason.PARAM_INVALID
    assert await phone.received() == []


async def test_a_wrong_secret_is_told_as_configuration(phone: Phone) -> None:
    """The simulator checks signatures as the vendor does."""
    channel = phone.channel(secrets=phone.sample.wrong_secrets)
    with pytest.raises(Permanent) as caught:
        await channel.send(delivery(channel=phone.sample.channel), phone.sample.content_for())
    assert caught.value.reason is Reason.AUTH_CONFIG
    assert await phone.received("taken") == []


@pytest.mark.parametrize(
    ("tail", "kind"),
    [("0001", Permanent), ("0006", Transient), ("0007", Transient), ("0008", UnknownOutcome), ("0009", Permanent)],
)
async def test_magic_recipients_script_themselves(phone: Phone, tail: str, kind: type[MedpostError]) -> None:
    """The same last digits mean the same on every channel."""
    with pytest.raises(kind):
        await phone.send(content=phone.sample.content_for(tail))


async def test_a_transient_recipient_is_taken_the_third_time(phone: Phone) -> None:
    """...0006 refuses twice."""
    for number in (1, 2):
        with pytest.raises(Transient):
            await phone.send(number, phone.sample.content_for("0006"))
    assert isinstance(await phone.send(3, phone.sample.content_for("0006")), Accepted)
