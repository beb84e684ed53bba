"""One mail over a conversation that ends well, badly or half-way; the server is played, nothing leaves the process."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import aiosmtplib
import pytest
from msgspec import structs

from infra.clock import HandClock
from schemas.errors import MedpostError, Permanent, Reason, Transient
from sinks import smtp_caller
from sinks.calls import SMTP_COMMAND, Mail, UnknownOutcome
from sinks.smtp_caller import KEEP_ALIVE_S, MAILS_A_CONNECTION, SmtpCaller

MAIL = Mail("smtp://h:25", "from@a.example", "to@b.example", b"body", "k", envelope_id="E1")


class Server:
    """Stands for a connection and the server behind it: `failures` by command."""

    def __init__(self, failures: Mapping[str, BaseException] | None = None, *, has_dsn: bool = False) -> None:
        self.failures = failures or {}
        self.has_dsn = has_dsn
        self.is_connected = True
        self.said: list[tuple[str, Any, Any]] = []

    def _hear(self, command: str, of: Any = None, told: Any = None) -> aiosmtplib.SMTPResponse:
        self.said.append((command, of, told))
        if command in self.failures:
            raise self.failures[command]
        return aiosmtplib.SMTPResponse(250, "queued as 7")

    def supports_extension(self, _name: str) -> bool:
        """Whether it writes delivery status notifications."""
        return self.has_dsn

    async def mail(self, sender: str, options: list[str], encoding: str) -> aiosmtplib.SMTPResponse:
        """MAIL FROM."""
        return self._hear("mail", sender, (options, encoding))

    async def rcpt(self, recipient: str, options: list[str], encoding: str) -> aiosmtplib.SMTPResponse:
        """RCPT TO."""
        return self._hear("rcpt", recipient, (options, encoding))

    async def data(self, body: bytes) -> aiosmtplib.SMTPResponse:
        """DATA and the message."""
        return self._hear("data", body)

    async def rset(self) -> aiosmtplib.SMTPResponse:
        """RSET."""
        return self._hear("rset")

    def close(self) -> None:
        """Hang up."""
        self.is_connected = False


Dial = Callable[..., tuple[SmtpCaller, HandClock, list[Server]]]


@pytest.fixture
def dial(monkeypatch: pytest.MonkeyPatch) -> Dial:
    """A caller, its clock, and the connections that it opened; each server is as told, the last one for ever."""

    def made(*servers: Server) -> tuple[SmtpCaller, HandClock, list[Server]]:
        clock, left, opened = HandClock(), list(servers), list[Server]()

        async def open_(_mail: Mail, _timeout_s: float, _progress: object) -> Server:
            opened.append(left.pop(0) if len(left) > 1 else left[0] if left else Server())
            return opened[-1]

        monkeypatch.setattr(smtp_caller, "_opened", open_)
        return SmtpCaller(5_000, clock), clock, opened

    return made


async def test_the_server_s_last_word_is_the_answer(dial: Dial) -> None:
    """With the command that it answers."""
    caller, clock, _ = dial()
    answer = await caller.call(MAIL)
    assert (answer.status, answer.body, answer.headers) == (250, b"queued as 7", {SMTP_COMMAND: "data"})
    assert answer.at_ms == clock.now_ms()


@pytest.mark.parametrize(
    ("failures", "status", "command"),
    [
        ({"mail": aiosmtplib.SMTPSenderRefused(550, "no", "x")}, 550, "mail"),
        ({"rcpt": aiosmtplib.SMTPRecipientRefused(451, "later", "x")}, 451, "rcpt"),
        ({"data": aiosmtplib.SMTPDataError(554, "spam")}, 554, "data"),
    ],
)
async def test_a_refusal_is_an_answer_too(
    dial: Dial, failures: dict[str, BaseException], status: int, command: str
) -> None:
    """The channel judges it; the connection is not used again, since the transaction is unfinished."""
    caller, _, opened = dial(Server(failures), Server())
    answer = await caller.call(MAIL)
    assert (answer.status, answer.headers[SMTP_COMMAND]) == (status, command)
    assert (await caller.call(MAIL)).status == 250
    assert [server.is_connected for server in opened] == [False, True]


@pytest.mark.parametrize("broken", [ConnectionResetError(), TimeoutError(), aiosmtplib.SMTPServerDisconnected("gone")])
@pytest.mark.parametrize(("command", "kind"), [("mail", Transient), ("rcpt", Transient), ("data", UnknownOutcome)])
async def test_only_a_break_within_the_message_leaves_it_open(
    dial: Dial, broken: Exception, command: str, kind: type[MedpostError]
) -> None:
    """Before DATA nothing can have been sent (RFC 5321, 4.2.5)."""
    server = Server({command: broken})
    caller, _, _ = dial(server)
    with pytest.raises(kind):
        await caller.call(MAIL)
    assert not server.is_connected


@pytest.mark.parametrize("code", [-1, 354])
async def test_what_is_no_final_word_on_the_message_is_none(dial: Dial, code: int) -> None:
    """A reply below 400 that was raised, or none of SMTP's."""
    caller, _, _ = dial(Server({"data": aiosmtplib.SMTPResponseException(code, "?")}))
    with pytest.raises(UnknownOutcome) as told:
        await caller.call(MAIL)
    assert told.value.provider_code == "not_smtp"


@pytest.mark.parametrize(
    ("command", "kind", "reason"),
    [
        ("rcpt", Permanent, Reason.RECIPIENT_INVALID),
        ("data", UnknownOutcome, Reason.UNKNOWN_OUTCOME),
    ],
)
async def test_what_the_server_cannot_do_is_told_by_the_command(
    dial: Dial, command: str, kind: type[MedpostError], reason: Reason
) -> None:
    """An address that it has no extension for, a message that it does not finish."""
    caller, _, _ = dial(Server({command: aiosmtplib.SMTPNotSupported("smtputf8")}))
    with pytest.raises(kind) as told:
        await caller.call(MAIL)
    assert told.value.reason is reason


async def test_an_envelope_that_cannot_be_said_is_the_message_s_fault(dial: Dial) -> None:
    """A line break in an address must not become a command."""
    caller, _, _ = dial(Server({"mail": ValueError("new line")}))
    with pytest.raises(Permanent) as told:
        await caller.call(MAIL)
    assert told.value.reason is Reason.PARAM_INVALID


async def test_a_mail_that_takes_too_long_is_cut(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the whole call's timeout, however the time was spent."""
    server = Server()

    async def slow(*_: object, **__: object) -> None:
        await asyncio.sleep(0)
        raise TimeoutError

    monkeypatch.setattr(server, "rcpt", slow)
    caller, _, _ = dial(server)
    with pytest.raises(Transient, match="rcpt: timeout"):
        await caller.call(MAIL)


async def test_a_connection_carries_many_mails(dial: Dial) -> None:
    """After a look whether it is alive; so many, and no more."""
    caller, _, opened = dial()
    for _ in range(MAILS_A_CONNECTION):
        await caller.call(MAIL)
    assert len(opened) == 1
    assert [command for command, _, _ in opened[0].said].count("rset") == MAILS_A_CONNECTION - 1
    assert not opened[0].is_connected
    await caller.call(MAIL)
    assert len(opened) == 2


@pytest.mark.parametrize("dies", ["idles", "is deaf", "is another's"])
async def test_another_connection_is_opened_where_the_old_one_does_not_serve(dial: Dial, dies: str) -> None:
    """Idle for too long, dead, or of another login."""
    first = Server({"rset": ConnectionResetError()} if dies == "is deaf" else {})
    caller, clock, opened = dial(first, Server())
    await caller.call(MAIL)
    if dies == "idles":
        clock.advance(int(KEEP_ALIVE_S * 1000))
    await caller.call(structs.replace(MAIL, login=("u", "p")) if dies == "is another's" else MAIL)
    assert len(opened) == 2
    assert first.is_connected is (dies == "is another's")


async def test_bounces_are_asked_for_where_they_are_known(dial: Dial) -> None:
    """By the envelope's id (RFC 3461); elsewhere the server is not troubled with it."""
    for has_dsn in (True, False):
        caller, _, opened = dial(Server(has_dsn=has_dsn))
        await caller.call(MAIL)
        told = {command: said[0] for command, _, said in opened[0].said if said}
        assert told["mail"] == (["RET=HDRS ENVID=E1"] if has_dsn else [])
        assert told["rcpt"] == ([f"NOTIFY={MAIL.notify}"] if has_dsn else [])


async def test_what_is_not_ascii_is_announced(dial: Dial) -> None:
    """An address as SMTPUTF8, a body as 8BITMIME."""
    caller, _, opened = dial(Server())
    await caller.call(structs.replace(MAIL, recipient="王@b.example", body="正文".encode()))
    (options, encoding) = next(said for command, _, said in opened[0].said if command == "mail")
    assert (options, encoding) == (["SMTPUTF8", "BODY=8BITMIME"], "utf-8")


async def test_closing_hangs_up_what_is_idle(dial: Dial) -> None:
    """And a call after it opens anew."""
    caller, _, opened = dial(Server(), Server())
    await caller.call(MAIL)
    caller.close()
    assert not opened[0].is_connected
    await caller.call(MAIL)
    assert len(opened) == 2
