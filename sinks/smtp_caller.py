"""SMTP for one channel in one lane: connections that carry many mails one after the other, a timeout on every mail.

Used by `sinks.caller`. What the server says to any command is the answer. Until the message itself is on its way
nothing was sent, and a broken connection proves it; from then on a broken connection leaves open what became of it.
Source: RFC 5321 (4.2.5: what a final reply to DATA means), RFC 3461 (delivery status notifications).
"""

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from msgspec import Struct

from infra.clock import Clock
from schemas.errors import Permanent, Reason, Transient
from sinks.calls import SMTP_COMMAND, Answer, Mail, UnknownOutcome

if TYPE_CHECKING:
    import aiosmtplib

KEEP_ALIVE_S: Final = 10.0
"""Servers close idle connections after minutes (RFC 5321, 4.5.3.2); middle-boxes sooner."""
MAILS_A_CONNECTION: Final = 50
"""Mail services want a new connection after some 20 to 100."""
TEXT_LIMIT: Final = 2_000


class _Line(Struct, eq=False):
    """One open connection: whom it belongs to, how many mails it carried, when it was used last."""

    client: "aiosmtplib.SMTP"
    mails: int
    used_at_s: float


class _Progress(Struct):
    """How far a transaction has come."""

    command: str = "connect"


class SmtpCaller:
    """The connections, idle ones by where they lead and who logged in."""

    def __init__(self, timeout_ms: int, clock: Clock) -> None:
        self._timeout_s = timeout_ms / 1000
        self._clock = clock
        self._idle: dict[object, list[_Line]] = {}

    async def call(self, mail: Mail) -> Answer:
        """One mail, never sent twice. Raises as `sinks.calls.Calls` says."""
        import aiosmtplib

        progress = _Progress()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._sent(mail, progress)
        except aiosmtplib.SMTPResponseException as said:
            if said.code < 200 or (progress.command == "data" and said.code < 400):
                raise _left(progress, "not_smtp") from None
            return self._answer(said.code, said.message, progress)
        except TimeoutError:
            raise _left(progress, "timeout") from None
        except OSError as problem:
            raise _left(progress, "connection_cut", type(problem).__name__) from None
        except aiosmtplib.SMTPException:
            raise _unspoken(progress) from None
        except ValueError:
            raise Permanent(Reason.PARAM_INVALID, "the envelope cannot be said in SMTP") from None

    async def _sent(self, mail: Mail, progress: _Progress) -> Answer:
        line = await self._line(mail, progress)
        is_well = False
        try:
            said = await _carried(line.client, mail, progress)
            is_well = True
        finally:
            if is_well:
                self._keep(mail, line)
            else:
                _drop(line)
        return self._answer(said[0], said[1], progress)

    async def _line(self, mail: Mail, progress: _Progress) -> _Line:
        """An idle connection that still answers, else a new one, logged in."""
        idle = self._idle.get(_place(mail), [])
        while idle:
            line = idle.pop()
            now_s = self._clock.monotonic_s()
            if line.client.is_connected and now_s - line.used_at_s < KEEP_ALIVE_S and await _answers(line.client):
                return line
            _drop(line)
        client = await _opened(mail, self._timeout_s, progress)
        return _Line(client, 0, self._clock.monotonic_s())

    def _keep(self, mail: Mail, line: _Line) -> None:
        line.mails += 1
        line.used_at_s = self._clock.monotonic_s()
        if line.mails < MAILS_A_CONNECTION and line.client.is_connected:
            self._idle.setdefault(_place(mail), []).append(line)
        else:
            _drop(line)

    def _answer(self, code: int, text: str, progress: _Progress) -> Answer:
        return Answer(code, {SMTP_COMMAND: progress.command}, text[:TEXT_LIMIT].encode(), self._clock.now_ms())

    def close(self) -> None:
        """Close what is idle."""
        for lines in self._idle.values():
            for line in lines:
                _drop(line)
        self._idle.clear()


def _place(mail: Mail) -> object:
    return (mail.url, mail.login, mail.is_starttls)


async def _opened(mail: Mail, timeout_s: float, progress: _Progress) -> "aiosmtplib.SMTP":
    """A connection that said hello, in TLS where that is asked for, logged in where there is a login."""
    import aiosmtplib

    url = urlsplit(mail.url)
    client = aiosmtplib.SMTP(
        hostname=url.hostname,
        port=url.port,
        local_hostname=mail.sender.rpartition("@")[2],
        timeout=timeout_s,
        use_tls=url.scheme == "smtps",
        start_tls=mail.is_starttls,
    )
    try:
        await client.connect()
        if mail.login is not None:
            progress.command = "auth"
            await client.login(*mail.login)
    except BaseException:
        client.close()
        raise
    return client


async def _answers(client: "aiosmtplib.SMTP") -> bool:
    """Whether an idle connection is alive: RSET costs one round and proves it."""
    import aiosmtplib

    try:
        await client.rset()
    except (aiosmtplib.SMTPException, OSError):
        return False
    return True


async def _carried(client: "aiosmtplib.SMTP", mail: Mail, progress: _Progress) -> tuple[int, str]:
    """The server's last word on one mail; raises SMTPResponseException for a refusal on the way."""
    is_international = not (mail.sender.isascii() and mail.recipient.isascii())
    encoding = "utf-8" if is_international else "ascii"
    has_dsn = bool(mail.envelope_id) and client.supports_extension("dsn")
    options = [
        *(["SMTPUTF8"] if is_international else []),
        *(["BODY=8BITMIME"] if not mail.body.isascii() else []),
        *([f"RET=HDRS ENVID={mail.envelope_id}"] if has_dsn else []),
    ]
    progress.command = "mail"
    await client.mail(mail.sender, options=options, encoding=encoding)
    progress.command = "rcpt"
    await client.rcpt(mail.recipient, options=[f"NOTIFY={mail.notify}"] if has_dsn else [], encoding=encoding)
    progress.command = "data"
    said = await client.data(mail.body)
    return said.code, said.message


def _drop(line: _Line) -> None:
    """Close at once: an unfinished transaction is void then (RFC 5321, 3.9)."""
    line.client.close()


def _unspoken(progress: _Progress) -> Permanent | UnknownOutcome:
    """What is left when the server cannot do what was asked of it."""
    if progress.command in ("connect", "auth"):
        return Permanent(Reason.AUTH_CONFIG, "the server offers no such login, or no TLS")
    if progress.command == "data":
        return UnknownOutcome("not_smtp")
    return Permanent(Reason.RECIPIENT_INVALID, "the server takes no such address")


def _left(progress: _Progress, how: str, what: str = "") -> Transient | UnknownOutcome:
    """What a broken conversation leaves behind."""
    if progress.command == "data":
        return UnknownOutcome(how)
    return Transient(Reason.TRANSIENT, f"{progress.command}: {what or how}")
