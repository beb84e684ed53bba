"""The simulated mail server refuses what mail servers refuse."""

import pytest

from infra.simulators.exchange import Call, Inquiry, Letter, Refusal
from infra.simulators.reports import Reports
from infra.simulators.smtp import Smtp

SENDER = "notice@hean.example"
LINES = (
    "From: Hospital <notice@hean.example>",
    "To: a@mail.example",
    "Subject: =?utf-8?b?6ZqP6K6/?=",
    "Date: Thu, 09 Oct 2025 08:53:20 +0000",
    "Message-ID: <00ab.cd@hean.example>",
)


def data(*headers: str, body: str = "hello", recipient: str = "a@mail.example", sender: str = SENDER) -> Call:
    """A message as it comes in."""
    raw = "\r\n".join((*(headers or LINES), "", body, "")).encode()
    return Call("DATA", "", "", {"mail-from": sender, "rcpt-to": recipient}, raw, 0)


def test_a_good_mail_is_a_letter() -> None:
    """With its subject read, and named by its Message-ID."""
    found = Smtp().examine(data())
    assert found == Letter("a@mail.example", "00ab.cd", "00ab", "随访", "hello")


@pytest.mark.parametrize("left_out", range(len(LINES)))
def test_a_mail_without_a_header_is_refused(left_out: int) -> None:
    """From, To, Subject, Date and Message-ID are each there once."""
    found = Smtp().examine(data(*(line for at, line in enumerate(LINES) if at != left_out)))
    assert isinstance(found, Refusal)
    assert found.code == "5.6.0"


def test_a_header_twice_is_refused() -> None:
    """RFC 5322 allows one of each."""
    found = Smtp().examine(data(*LINES, "Subject: another"))
    assert isinstance(found, Refusal)


@pytest.mark.parametrize(
    ("body", "sender", "code"),
    [("张三", SENDER, "5.6.0"), ("x" * 999, SENDER, "5.6.7"), ("hello", "other@hean.example", "5.7.1")],
)
def test_what_servers_do_not_carry_is_refused(body: str, sender: str, code: str) -> None:
    """Eight bits unannounced, lines too long, somebody else's name."""
    found = Smtp().examine(data(body=body, sender=sender))
    assert isinstance(found, Refusal)
    assert found.code == code


def test_accounts_have_a_password_and_a_sender() -> None:
    """An empty password opens nothing."""
    server = Smtp()
    server.configure("accounts", {"username": "u", "password": "p", "sender": "u@h.example"})
    assert server.is_known("u", "p")
    assert server.may_send("u", "u@h.example")
    assert not any((server.is_known("u", "q"), server.is_known("", ""), server.may_send("u", SENDER)))
    with pytest.raises(ValueError, match="password"):
        server.configure("accounts", {"username": "u"})


def test_greylisting_takes_the_second_try() -> None:
    """...0014 is refused once at its name, and so is nobody else."""
    server, reports = Smtp(), Reports()

    def asked(recipient: str) -> int:
        found = server.examine(Call("RCPT", "", "", {"rcpt-to": recipient}, b"", 0))
        assert isinstance(found, Inquiry)
        return server.answer(found, reports).status

    assert [asked("a0014@m.example"), asked("a0014@m.example"), asked("b@m.example")] == [450, 250, 250]


def test_an_unknown_recipient_is_refused_by_name() -> None:
    """...0001 never gets as far as a message."""
    found = Smtp().examine(Call("RCPT", "", "", {"rcpt-to": "a0001@m.example"}, b"", 0))
    assert isinstance(found, Refusal)
    reply = Smtp().refuse(found.code)
    assert (reply.status, reply.body) == (550, b"5.1.1 refused")


@pytest.mark.parametrize(
    ("code", "line"),
    [("451", (451, b"refused")), ("4.3.1", (452, b"4.3.1 refused")), ("5.4.99", (550, b"5.4.99 refused"))],
)
def test_codes_are_said_with_their_reply(code: str, line: tuple[int, bytes]) -> None:
    """Whatever a script names."""
    reply = Smtp().refuse(code)
    assert (reply.status, reply.body) == line


def test_what_is_no_mail_command_is_refused() -> None:
    """The provider has no other door."""
    assert Smtp().examine(Call("POST", "/smtp", "", {}, b"", 0)) == Refusal("5.5.1")
