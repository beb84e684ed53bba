"""Where bounces of our mail come in: an SMTP listener on loopback, behind the hospital's mail server.

Part of the receipts role, because that finds out what became of messages already, publishes to `requests`, and needs no
gateway's caller: the mail server is not one. Only addresses that we wrote are taken. A mail is answered 250 once the
broker has what it says, else 451, and the mail server comes again. Keeps nothing, and logs no address and no text.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session
from msgspec import Struct
from prometheus_client import Counter

from infra.clock import Clock
from infra.receipts.bounce import notice_of
from infra.receipts.echo import echo_text
from infra.receipts.notice import Source as Sender
from infra.receipts.notice import request_of
from infra.receipts.return_path import attempt_at
from infra.snapshot import accounts_of
from schemas.configuration import ChannelConfig
from schemas.errors import Permanent
from schemas.records import Request
from sinks.outlet import Source

LOOPBACK: Final = "127.0.0.1"
MAIL_BYTES: Final = 12_582_912
"""Some servers send the whole mail back, of which ours has 10 MiB at most; only its beginning is read."""
LINE_BYTES: Final = 65_536
CONNECTIONS: Final = 8
SILENCE_S: Final = 60.0
RECIPIENTS: Final = 1
"""Of a mail: the answer is one for all of them."""
LATER, TAKEN = "451 4.3.0 Not now, try again", "250 2.0.0 Ok"
_BUSY: Final = b"421 4.3.2 Too many connections, try again\r\n"

COUNTED: Final = Counter("medpost_bounces_total", "Mails to the return path", ["result"])
"""taken, no_bounce (an automatic answer, somebody's own words), not_ours, not_now."""

logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # it would log addresses
log = structlog.get_logger("bounces")

Tell = Callable[[Request], Awaitable[bool]]
"""Publish a request; whether the broker has it."""


class Account(Struct, frozen=True):
    """One account whose bounces we take."""

    config: ChannelConfig
    return_path: str
    keys: str


class Bounces:
    """The conversations of all connections."""

    def __init__(self, registry: Source, tell: Tell, clock: Clock) -> None:
        self._registry = registry
        self._tell = tell
        self._clock = clock
        self._snapshot: object = None
        self._accounts: list[Account] = []
        self.connections = 0

    async def open(self, port: int) -> asyncio.Server:
        """Begin to listen on loopback; port 0 takes a free one. Raises OSError when it is taken."""
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Conversation(self, loop), LOOPBACK, port)

    def are_expected(self) -> bool:
        """Whether mail of any account asks for them."""
        return bool(self._known())

    async def handle_RCPT(  # noqa: N802 - the library's name and arguments
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only an address that we wrote, and one a mail."""
        del server, session, options
        if not self._registry.is_ready:
            return LATER
        if len(envelope.rcpt_tos) >= RECIPIENTS:
            return "452 4.5.3 One recipient at a time"
        if self._whose(address) is None:
            COUNTED.labels("not_ours").inc()
            return "550 5.1.1 No such address"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """What it says becomes a request; what says nothing about a message is taken, and left."""
        del server, session
        whose = self._whose(envelope.rcpt_tos[0])
        if whose is None:  # the account was changed since the address was taken
            return LATER
        account, echo = whose
        notice = notice_of(envelope.original_content or b"", envelope.mail_from or "", echo)
        source = Sender(account.config.channel, account.config.provider, self._clock.now_ms())
        request = request_of(notice, source) if notice is not None else None
        is_taken = request is None or await self._tell(request)
        COUNTED.labels("no_bounce" if request is None else "taken" if is_taken else "not_now").inc()
        return TAKEN if is_taken else LATER

    async def handle_exception(self, error: Exception) -> str:
        """A fault of ours must not lose a bounce: a 5xx would."""
        log.error("bounce not read", error=type(error).__name__)
        return LATER

    def _whose(self, address: str) -> tuple[Account, str] | None:
        """The account that wrote an address, and the attempt that it names."""
        for account in self._known():
            attempt = attempt_at(address, account.return_path, account.keys)
            if attempt is not None:
                return account, echo_text(attempt)
        return None

    def _known(self) -> list[Account]:
        channels = self._registry.snapshot.channels
        if channels is not self._snapshot:
            self._snapshot = channels
            configs = (account for config in channels.values() for account in accounts_of(config))
            self._accounts = list(self._taking(config for config in configs if config.settings.get("return_path")))
        return self._accounts

    def _taking(self, configs: Iterator[ChannelConfig]) -> Iterator[Account]:
        """Those whose key can be opened; one that is disabled still hears of what it sent."""
        for config in configs:
            try:
                keys = self._registry.channel_secrets(config).get("bounce_key", "")
            except Permanent as problem:
                log.error("bounces cannot be told ours", provider=config.provider, detail=problem.detail)  # noqa: TRY400 - one clear line
                continue
            if keys:
                yield Account(config, config.settings["return_path"], keys)


class Conversation(SMTP):
    """One connection: bounded in time, in size, and in how many there are."""

    line_length_limit = LINE_BYTES

    def __init__(self, bounces: Bounces, loop: asyncio.AbstractEventLoop) -> None:
        told: Any = {"loop": loop, "timeout": SILENCE_S}
        super().__init__(bounces, hostname="medpost", ident="bounces", data_size_limit=MAIL_BYTES, **told)
        self._bounces = bounces

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """One too many is told to come again."""
        self._bounces.connections += 1
        if self._bounces.connections > CONNECTIONS and isinstance(transport, asyncio.WriteTransport):
            transport.write(_BUSY)
            transport.close()
            return
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Room for the next one."""
        self._bounces.connections -= 1
        if self.transport is not None:
            super().connection_lost(error)
