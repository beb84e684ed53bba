"""What a simulated mail server writes back: delivery status notifications (RFC 3464), or words only, as some do.

Made for `infra.simulators.smtp` from what was taken and how it ended; posted over SMTP, from nobody, to the envelope's
sender. Written from the RFCs, sharing no code with whoever reads them.
"""

import smtplib
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from infra.simulators.inbox import Entry
from infra.simulators.reports import Report

MAIL_SERVER: Final = "mail.hean.example"
POST_TIMEOUT_S: Final = 5.0
WORDS_ONLY: Final = "0018"
"""The last digits of a recipient whose server writes no report."""
LATE: Final = "0019"
"""...whose server says that it takes long, and then no more."""
STATUSES: Final = {"DELIVRD": ("delivered", "2.1.5"), "UNDELIV": ("failed", "5.1.1"), "LATE": ("delayed", "4.4.1")}
"""Action and status of a report, by the code that other vendors give."""


def bounce(entry: Entry, report: Report, code: str) -> bytes:
    """The mail that tells how it ended; `code` is one of STATUSES, or words only for WORDS_ONLY."""
    head = (
        f"From: Mail Delivery System <MAILER-DAEMON@{MAIL_SERVER}>\r\n"
        f"To: <{entry.return_path}>\r\n"
        f"Date: {format_datetime(datetime.fromtimestamp(report.due_ms // 1000, UTC))}\r\n"
        f"Message-ID: <{entry.seq}.{report.nth}@{MAIL_SERVER}>\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
    )
    return (head + (_words(entry) if code == WORDS_ONLY else _report(entry, code))).encode()


def _words(entry: Entry) -> str:
    return (
        "Subject: failure notice\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
        f"Hi. This is the mail program at {MAIL_SERVER}.\r\n"
        "I'm afraid I wasn't able to deliver your message to the following address.\r\n\r\n"
        f"<{entry.recipient}>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n\r\n"
        "--- Below this line is a copy of the message.\r\n\r\nSubject: (left out)\r\n"
    )


def _report(entry: Entry, code: str) -> str:
    action, status = STATUSES.get(code, STATUSES["UNDELIV"])
    edge = f"report-{entry.seq}"
    return (
        f"Subject: Delivery status: {action}\r\n"
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{edge}"\r\n\r\n'
        f"--{edge}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
        f"This is the mail system at {MAIL_SERVER}.\r\nYour message: {action}.\r\n\r\n"
        f"--{edge}\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; {MAIL_SERVER}\r\n\r\n"
        f"Final-Recipient: rfc822; {entry.recipient}\r\nAction: {action}\r\nStatus: {status}\r\n\r\n"
        f"--{edge}\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: (left out)\r\n\r\n--{edge}--\r\n"
    )


def post(url: str, body: bytes) -> bool:
    """Send a mail from nobody to `smtp://host:port/<recipient>`; whether it was taken. Blocks."""
    target = urlsplit(url)
    with suppress(OSError, smtplib.SMTPException):
        with smtplib.SMTP(target.hostname or "", target.port or 25, MAIL_SERVER, POST_TIMEOUT_S) as link:
            link.sendmail("", [unquote(target.path.lstrip("/"))], body)
        return True
    return False
