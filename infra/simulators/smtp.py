"""A mail server, simulated: what it makes of a sender, a recipient and a message. Its socket is `smtp_server`.

Checks the account, the sender, the message's form (RFC 5322) and refuses with reply and enhanced codes. What became of
a mail it writes to the envelope's sender, where that is a return path (`smtp_bounces`). Written from the RFCs, sharing
no code with the channel that calls it. It does not send anything on.
"""

import re
from collections.abc import Mapping, Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import ClassVar, Final
from urllib.parse import quote

from msgspec import Struct

from infra.simulators import smtp_bounces
from infra.simulators.exchange import Action, Call, Inquiry, Letter, Refusal, Reply
from infra.simulators.inbox import Entry
from infra.simulators.reports import Report, Reports

DEMO_USER: Final = "medpost-demo"
DEMO_PASSWORD: Final = "medpost-demo-password"  # noqa: S105 - opens nothing but this simulator
DEMO_SENDER: Final = "notice@hean.example"
DEMO_RETURN_PATH: Final = "bounce@hean.example"
GREYLISTED: Final = "0014"
"""Refused the first time it is named, then taken."""
LINE_BYTES: Final = 998
REPLY_OF: Final = {
    "5.7.8": 535, "5.7.0": 530, "5.1.7": 553, "5.1.3": 501, "5.5.1": 503, "5.7.1": 554, "5.2.2": 552, "5.3.4": 552,
    "5.6.0": 554, "4.3.2": 421, "4.3.0": 451, "4.2.2": 452, "4.3.1": 452,
}  # fmt: skip
"""Replies that go with an enhanced code, where not 450 or 550."""
WORDS: Final = {"greylisted": (450, "4.7.1 Greylisted, please try again in 300 seconds")}
FORGED_TOKEN: Final = "a" * 42
_TAIL: Final = re.compile(r".*?([0-9]{4})")


class Account(Struct, frozen=True):
    """Who may log in, as whom he sends, and where his bounces go: `name@domain`, "" for nowhere."""

    password: str = ""
    sender: str = ""
    return_path: str = ""

    def owns(self, address: str) -> bool:
        """Whether mail may come from there: the sender, or the return path with whatever stands behind a plus sign."""
        local, _, domain = address.rpartition("@")
        base = f"{local.partition('+')[0]}@{domain}"
        return address == self.sender != "" or ("+" in local and base == self.return_path)


class Smtp:
    """One server with some accounts, each with the address that it may send as."""

    name = "smtp"
    channel = "email"
    is_idempotent = False
    magic: ClassVar[Mapping[str, Action]] = {
        "0001": Action("code", "5.1.1"),
        "0002": Action("code", "5.2.1"),
        "0003": Action("code", "5.7.1"),
        "0006": Action("code", "4.3.0"),
        "0007": Action("throttle"),
        "0008": Action("cut"),
        "0009": Action("code", "5.7.1"),
        "0015": Action("code", "4.3.1"),
        "0016": Action("code", "5.2.2"),
        "0017": Action("hang"),
    }
    """Said after the message, but for 0001 and 0014 (greylisting), which are said to the recipient's name.

    Taken, and later told of to the return path: 0004 bounces with a report, 0018 in words only, 0019 is late, 0012 is
    delivered and bounces all the same, 0013 gets a forged report; 0005 nobody hears of; others as in `reports`.
    """

    def __init__(self) -> None:
        self._accounts = {DEMO_USER: Account(DEMO_PASSWORD, DEMO_SENDER, DEMO_RETURN_PATH)}
        self._greylisted: set[str] = set()

    def configure(self, kind: str, told: Mapping[str, str]) -> None:
        """`accounts` {username, password, sender, return_path ("": none)}."""
        if kind != "accounts" or not all(told.get(name) for name in ("username", "password", "sender")):
            raise ValueError(f"{self.name} knows accounts with username, password and sender, and nothing else")
        self._accounts[told["username"]] = Account(told["password"], told["sender"], told.get("return_path", ""))

    def magic_tail(self, recipient: str) -> str:
        """The last four digits before the @."""
        match = _TAIL.fullmatch(recipient.partition("@")[0])
        return match[1] if match is not None else ""

    def is_known(self, username: str, password: str) -> bool:
        """Whether that is an account."""
        return self._accounts.get(username, Account()).password == password != ""

    def may_send(self, username: str, sender: str) -> bool:
        """Whether that account may send as that address."""
        return self._accounts.get(username, Account()).owns(sender)

    def _author_of(self, sender: str) -> str:
        """The address that has to stand in From: that of the account that a sender belongs to."""
        return next((one.sender for one in self._accounts.values() if one.owns(sender)), sender)

    def examine(self, call: Call) -> Letter | Refusal | Inquiry:
        """RCPT: whether the recipient is known. DATA: whether the message is one, and whose."""
        recipient = call.headers.get("rcpt-to", "")
        if self.magic_tail(recipient) == "0001":
            return Refusal("5.1.1", recipient)
        if call.method == "RCPT":
            return Inquiry("RCPT", {"recipient": recipient}, call.at_ms)
        if call.method != "DATA":
            return Refusal("5.5.1")
        message, sender = message_from_bytes(call.body, policy=policy.default), call.headers.get("mail-from", "")
        complaint = _complaint(message, call, self._author_of(sender))
        key = str(message["Message-ID"] or "").strip("<>").rpartition("@")[0]
        if complaint:
            return Refusal(complaint, recipient, key)
        text = message.get_body(("plain",))
        return Letter(
            recipient=recipient,
            key=key,
            message_id=key.partition(".")[0],
            title=str(message["Subject"]),
            text=text.get_content().replace("\r\n", "\n").strip() if text is not None else "",
            return_path=sender if "+" in sender else "",
            notify=call.headers.get("notify", ""),
        )

    def accept(self, letter: Letter, receipt: int) -> Reply:
        """Taken over for delivery."""
        del letter
        return _reply(250, f"2.0.0 Ok: queued as {receipt:010X}", "data")

    def refuse(self, code: str) -> Reply:
        """An enhanced code with the reply that goes with it, a bare reply, or words."""
        if code in WORDS:
            return _reply(*WORDS[code], "data")
        if code.isdecimal():
            return _reply(int(code), "refused", "data")
        return _reply(REPLY_OF.get(code, 550 if code.startswith("5") else 450), f"{code} refused", "data")

    def throttle(self) -> Reply:
        """Too many mails."""
        return _reply(450, "4.7.0 Too many mails, slow down", "data")

    def answer(self, inquiry: Inquiry, reports: Reports) -> Reply:
        """Whether mail for this recipient is taken now."""
        del reports
        recipient = str(inquiry.asked["recipient"])
        if self.magic_tail(recipient) == GREYLISTED and recipient not in self._greylisted:
            self._greylisted.add(recipient)
            return self.refuse("greylisted")
        return _reply(250, "2.1.5 Ok", "rcpt")

    # -- what became of it

    def push_of(self, found: Sequence[tuple[Entry, Report]]) -> bytes:
        """The report on the first of them."""
        entry, report = found[0]
        return smtp_bounces.bounce(entry, report, self._code_of(entry, report))

    def posts(self, url: str, found: Sequence[tuple[Entry, Report]], at_ms: int) -> list[tuple[str, bytes]]:
        """To each mail's own return path, at the server that `url` names; forged ones under a token of their own."""
        del at_ms
        return [
            (f"{url.rstrip('x/')}/{quote(_target(one[0], is_forged=url.endswith('x')))}", self.push_of([one]))
            for one in found
            if one[0].return_path and self._is_wanted(*one)
        ]

    def _code_of(self, entry: Entry, report: Report) -> str:
        tail = self.magic_tail(entry.recipient)
        if tail == smtp_bounces.WORDS_ONLY:
            return tail
        return "LATE" if tail == smtp_bounces.LATE else report.code

    def _is_wanted(self, entry: Entry, report: Report) -> bool:
        """Delivery is reported to those who asked for it; words only tell of failures."""
        is_failure = not report.is_delivered or self._code_of(entry, report) in (smtp_bounces.WORDS_ONLY, "LATE")
        return is_failure or "SUCCESS" in entry.notify


def _target(entry: Entry, *, is_forged: bool) -> str:
    name, _, domain = entry.return_path.rpartition("@")
    return f"{name.partition('+')[0]}+{FORGED_TOKEN}@{domain}" if is_forged else entry.return_path


def _reply(status: int, text: str, command: str) -> Reply:
    return Reply(status, text.encode(), {"smtp-command": command})


def _complaint(message: EmailMessage, call: Call, author: str) -> str:
    """The enhanced code of what is wrong with a message; empty when nothing is."""
    names = [name.lower() for name in message.keys()]  # noqa: SIM118 - a message's keys are not those of a dict
    once = ("from", "to", "subject", "date", "message-id")
    checks = {
        "5.6.0": any(names.count(name) != 1 for name in once) or not call.body.isascii() or bool(message.defects),
        "5.6.7": any(len(line) > LINE_BYTES for line in call.body.split(b"\r\n")),
        "5.7.1": author not in str(message["From"]),
    }
    return next((code for code, is_wrong in checks.items() if is_wrong), "")
