"""The simulated mail server's socket: real SMTP on the loopback, on the port after the simulators' own.

Started by the server with it. What a sender, a recipient and a message are worth is `infra.simulators.smtp`'s and the
house's to say; this carries it. It can hang or cut the socket after the message, as scripts or magic recipients say.
"""

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from infra.local.ports import LOOPBACK
from infra.simulators.exchange import Action, Call, Reply
from infra.simulators.house import House
from infra.simulators.smtp import Smtp

PATH: Final = "smtp"
HANG_S: Final = 30.0
SIZE_BYTES: Final = 10_485_760
GARBAGE: Final = "\x00<html>{not a reply"

_OF_MAIL: Final = re.compile(r" (?:RET|ENVID)=\S*", re.IGNORECASE)
_OF_RCPT: Final = re.compile(r" (?:NOTIFY|ORCPT)=\S*", re.IGNORECASE)
_NOTIFY: Final = re.compile(r" NOTIFY=([A-Za-z,]+)", re.IGNORECASE)

logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # it would log addresses


class Mailroom:
    """The conversations of all connections."""

    def __init__(self, house: House, server: Smtp) -> None:
        self._house = house
        self._server = server

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: object
    ) -> AuthResult:
        """Whether a login is an account's."""
        del server, session, envelope, mechanism
        if isinstance(login, LoginPassword):
            name, password = login.login.decode("utf-8", "replace"), login.password.decode("utf-8", "replace")
            if self._server.is_known(name, password):
                return AuthResult(success=True, auth_data=name)
        return AuthResult(success=False, handled=False)

    async def handle_EHLO(  # noqa: N802 - the library's name and arguments
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """One extension more."""
        del server, envelope
        session.host_name = hostname
        return [*responses[:-1], "250-DSN", responses[-1]]

    async def handle_MAIL(  # noqa: N802 - the library's name and arguments
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only an account may send, and only as itself."""
        del server
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        if not self._server.may_send(str(session.auth_data), address):
            return "553 5.7.1 Not your address"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802 - as above
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """One recipient a mail: so that outcomes are kept apart."""
        del server, session
        if envelope.rcpt_tos:
            return "452 4.5.3 One recipient at a time"
        reply = self._house.receive(PATH, _call("RCPT", {"rcpt-to": address})).reply
        if reply.status == 250:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return _line(reply)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """The fate of one mail."""
        del session
        told = {
            "mail-from": str(envelope.mail_from),
            "rcpt-to": envelope.rcpt_tos[0],
            "notify": str(getattr(server, "notify", "")),
        }
        body = envelope.original_content or b""
        fate = self._house.receive(PATH, _call("DATA", told, body))
        await _play(server, fate.action)
        return GARBAGE if fate.action.kind == "garbage" else _line(fate.reply)


class Notifying(SMTP):
    """The library's server with the extension that it lacks: reports are asked for with every mail (RFC 3461)."""

    notify = ""

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - the library's name
        """Without RET and ENVID, which change nothing here."""
        self.notify = ""
        await super().smtp_MAIL(_OF_MAIL.sub("", arg) if arg else arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - the library's name
        """Keeps what is to be reported."""
        found = _NOTIFY.search(arg or "")
        self.notify = found[1].upper() if found is not None else self.notify
        await super().smtp_RCPT(_OF_RCPT.sub("", arg) if arg else arg)


async def _play(server: SMTP, action: Action) -> None:
    """Hang, be slow, or cut the line."""
    if action.kind in ("hang", "slow"):
        await asyncio.sleep(action.ms / 1000 if action.ms else HANG_S)
    if action.kind in ("hang", "cut") and isinstance(server.transport, asyncio.WriteTransport):
        server.transport.abort()


def _call(method: str, told: Mapping[str, str], body: bytes = b"") -> Call:
    return Call(method, "", "", told, body, time.time_ns() // 1_000_000)


def _line(reply: Reply) -> str:
    return f"{reply.status} {reply.body.decode()}"


async def listen(house: House, port: int) -> asyncio.Server:
    """Listen on 127.0.0.1; raises OSError when the port is taken."""
    loop: Any = asyncio.get_running_loop()
    mailroom = Mailroom(house, house.mail_server)

    def conversation() -> SMTP:
        return Notifying(
            mailroom,
            hostname="mail.hean.example",
            ident="simulated mail server",
            data_size_limit=SIZE_BYTES,
            enable_SMTPUTF8=True,
            auth_require_tls=False,
            authenticator=mailroom.authenticate,
            loop=loop,
        )

    server: asyncio.Server = await loop.create_server(conversation, LOOPBACK, port)
    return server
