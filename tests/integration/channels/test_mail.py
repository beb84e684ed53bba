"""Mail over real sockets: greylisting, STARTTLS asked of a server without it, connections used again and lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from infra.clock import SystemClock
from infra.simulators.server import serve
from schemas.errors import Permanent, Reason, Transient
from sinks.channel import Accepted, Caller
from tests.channel_samples import channel_of, delivery, sample_of

SAMPLE = sample_of("email_smtp")


@asynccontextmanager
async def mail_server(folder: Path) -> AsyncIterator[str]:
    """The simulators; the mail server's URL."""
    stopping, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(folder / "journal.jsonl", 0, port.set_result, stopping))
    yield SAMPLE.base_url(f"http://127.0.0.1:{await port}")
    stopping.set()
    await server


class Counting:
    """A mail server that takes everything, counts connections, and hangs up after so many mails."""

    def __init__(self, mails_a_connection: int) -> None:
        self.limit = mails_a_connection
        self.connections = 0
        self.mails = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        taken = 0
        writer.write(b"220 x\r\n")
        while taken < self.limit and (line := await reader.readline()):
            verb = line[:4].upper()
            if verb == b"DATA":
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                taken += 1
                self.mails += 1
            writer.write({b"EHLO": b"250-x\r\n250 AUTH PLAIN\r\n", b"AUTH": b"235 in\r\n"}.get(verb, b"250 ok\r\n"))
            await writer.drain()
        writer.close()


async def test_a_greylisted_recipient_is_told_to_wait_and_then_taken(tmp_path: Path) -> None:
    """The first try is refused at the recipient's name, for five minutes; the second is taken."""
    caller = Caller(5_000, 5, SystemClock())
    async with mail_server(tmp_path) as url:
        channel, content = channel_of(SAMPLE, url, caller), SAMPLE.content_for("0014")
        with pytest.raises(Transient) as caught:
            await channel.send(delivery(1, "email"), content)
        assert (caught.value.reason, caught.value.retry_after_s) == (Reason.TRANSIENT, 300.0)
        assert isinstance(await channel.send(delivery(1, "email", attempt=2), content), Accepted)
        await caller.close()


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        ("0002", Reason.RECIPIENT_UNREACHABLE),
        ("0003", Reason.CONTENT_REJECTED),
        ("0015", Reason.TRANSIENT),
        ("0016", Reason.RECIPIENT_UNREACHABLE),
    ],
)
async def test_the_mail_servers_own_magic(tmp_path: Path, tail: str, reason: Reason) -> None:
    """Disabled, blocked, out of space, mailbox full."""
    caller = Caller(5_000, 5, SystemClock())
    async with mail_server(tmp_path) as url:
        with pytest.raises((Transient, Permanent)) as caught:
            await channel_of(SAMPLE, url, caller).send(delivery(1, "email"), SAMPLE.content_for(tail))
        await caller.close()
    assert caught.value.reason is reason


async def test_a_server_without_starttls_gets_no_password(tmp_path: Path) -> None:
    """What was to be said under TLS is not said without."""
    caller = Caller(5_000, 5, SystemClock())
    asked = structs.replace(SAMPLE, settings={**SAMPLE.settings, "tls": "starttls"})
    async with mail_server(tmp_path) as url:
        with pytest.raises(Permanent) as caught:
            await channel_of(asked, url, caller).send(delivery(1, "email"), SAMPLE.content_for())
        await caller.close()
    assert caught.value.reason is Reason.AUTH_CONFIG


@pytest.mark.parametrize(("mails_a_connection", "connections"), [(100, 1), (1, 3)])
async def test_connections_are_used_again_and_replaced_when_lost(mails_a_connection: int, connections: int) -> None:
    """Three mails, each once, whatever the server does with idle connections."""
    counting, caller = Counting(mails_a_connection), Caller(5_000, 5, SystemClock())
    server = await asyncio.start_server(counting.converse, "127.0.0.1", 0)
    async with server:
        channel = channel_of(SAMPLE, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", caller)
        for number in (1, 2, 3):
            assert isinstance(await channel.send(delivery(number, "email"), SAMPLE.content_for()), Accepted)
        await caller.close()
        await asyncio.sleep(0.05)
    assert (counting.mails, counting.connections) == (3, connections)
