"""What a bounce says: delivery status notifications, and the plain words of servers that write none.

Called with the body that came to an address of ours (`return_path`), whoever sent it. Whose message it is says the
address alone; addresses and texts in the body are never kept. Bounded: only the beginning of a body is read, a few
parts of it, three levels deep, and no general MIME parser is asked. Pure.
Source: RFC 3464 and 3461 (reports), RFC 3463 (codes), RFC 3834 (automatic answers).
"""

import base64
import binascii
import quopri
import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Final

from msgspec import Struct

from infra.receipts import meanings
from infra.receipts.meanings import Meaning
from infra.receipts.notice import Notice
from schemas.errors import Reason
from schemas.statuses import Status

CODES: Final = meanings.load("email")
LOOKED_AT_BYTES: Final = 262_144
"""The report stands before what is sent back of the mail."""
HEAD_BYTES: Final = 32_768
REPORT_BYTES: Final = 65_536
SUBJECT_CHARS: Final = 1_000
PARTS: Final = 20
DEPTH: Final = 3
RECIPIENTS: Final = 50
FAILED, DELAYED, DELIVERED = "failed", "delayed", "delivered"
WITHOUT_CODE: Final = "bounced"
"""Stands in the book for a bounce that gives no reason."""
REPORTS: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
ACTIONS: Final = frozenset({FAILED, DELAYED, DELIVERED, "relayed", "expanded"})
BY_CLASS: Final = {"2": DELIVERED, "4": DELAYED, "5": FAILED}

_FIELD: Final = re.compile(r"^(Action|Status):[ \t]*([A-Za-z0-9.]+)", re.IGNORECASE | re.MULTILINE)
_STATUS: Final = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_IN_WORDS: Final = re.compile(rb"(?<![0-9.])([45]\.[0-9]\.[0-9]{1,3})(?![0-9]|\.[0-9])")
_REPLY: Final = re.compile(rb"(?:^|[:>] )5[0-9]{2}[ -]", re.MULTILINE)
_COPY: Final = re.compile(
    rb"\n(?:-+ ?(?:Below this line|This is a copy|Original message|Returned message|Message header|Undelivered mess)"
    rb"|Content-Type: *(?:message/rfc822|text/rfc822-headers))",
    re.IGNORECASE,
)
_DAEMON: Final = re.compile(r"(?:^|[<\s\"])(?:mailer-daemon|postmaster)(?:@|[>\s\"]|$)", re.IGNORECASE)
_LATE: Final = re.compile(r"delay|warning|延迟|推迟|暂时", re.IGNORECASE)
_FINAL: Final = re.compile(r"fail|undeliver|return|reject|退信|失败", re.IGNORECASE)


class Said(Struct, frozen=True):
    """What became of the mail (an action of RFC 3464), and the enhanced code, "" for none."""

    action: str
    code: str = ""


def notice_of(body: bytes, sender: str, echo: str) -> Notice | None:
    """The receipt in a mail to the address of `echo`; `sender` is its envelope's. None: it is no bounce."""
    found = said_in(body, sender)
    if found is None:
        return None
    meaning = _meaning(found)
    return Notice(meaning.status, meaning.reason, found.code or found.action, echo)


def _meaning(said: Said) -> Meaning:
    if said.action != FAILED:
        return CODES.of(said.action)
    why = CODES.of(said.code or WITHOUT_CODE)
    return why if why.status == Status.FAILED else Meaning(Status.FAILED, Reason.UNMAPPED)


def said_in(body: bytes, sender: str) -> Said | None:
    """What a mail says about ours; None for an automatic answer, and for what somebody wrote by hand."""
    raw = body[:LOOKED_AT_BYTES].replace(b"\r\n", b"\n")
    head, text = _parted(raw)
    headers = _headers(head)
    report = _report(headers, text, DEPTH)
    if report is not None:
        return _of_report(report) or Said(FAILED)
    is_answer = any(headers.get(name) for name in ("X-Autoreply", "X-Autorespond")) or _is_answer(headers)
    if _is_of_a_server(headers, sender) or (not is_answer and sender in ("", "<>")):
        return _in_words(_subject(headers), b"\n".join(_texts(headers, text, DEPTH)))
    return None


def _is_of_a_server(headers: Message, sender: str) -> bool:
    """Exim and others write in words only, and call themselves so."""
    return bool(headers.get("X-Failed-Recipients")) or any(
        _DAEMON.search(one) for one in (str(headers.get("From", "")), sender)
    )


def _is_answer(headers: Message) -> bool:
    """Somebody is on leave, or has read it; neither says that it did not arrive."""
    automatic = str(headers.get("Auto-Submitted", "")).lower().startswith("auto-replied")
    quiet = str(headers.get("Precedence", "")).strip().lower() in ("bulk", "junk", "auto_reply")
    return automatic or quiet or str(headers.get_param("report-type", "")).lower() == "disposition-notification"


# -- reports


def _report(headers: Message, text: bytes, depth: int) -> str | None:
    """The first delivery-status of a mail; None where there is none."""
    if headers.get_content_type() in REPORTS:
        return _decoded(headers, text)[:REPORT_BYTES].decode("utf-8", "replace")
    found = (_report(*part, depth - 1) for part in _parts_of(headers, text, depth))
    return next((report for report in found if report is not None), None)


def _parts_of(headers: Message, text: bytes, depth: int) -> Iterator[tuple[Message, bytes]]:
    """Heads and bodies of the parts of a multipart; none of anything else, nor below DEPTH."""
    boundary = headers.get_boundary() if headers.get_content_maintype() == "multipart" and depth else None
    for part in _parts(text, boundary) if boundary else ():
        head, inner = _parted(part)
        yield _headers(head), inner


def _parts(text: bytes, boundary: str) -> list[bytes]:
    line = re.compile(rb"\n--" + re.escape(boundary[:100].encode("utf-8", "replace")) + rb"(?:--)?[ \t]*(?=\n|\Z)")
    return [part.removeprefix(b"\n") for part in line.split(b"\n" + text, PARTS)[1:]]


def _of_report(report: str) -> Said | None:
    """One word for all recipients that a report names: ours was one, others come of an alias of theirs."""
    found = [one for one in map(_of_recipient, re.split(r"\n[ \t]*\n", report, maxsplit=RECIPIENTS)) if one]
    for action in (DELIVERED, FAILED):
        best = next((one for one in found if one.action == action), None)
        if best is not None:
            return best
    return found[0] if found else None


def _of_recipient(group: str) -> Said | None:
    fields = {name.lower(): value for name, value in _FIELD.findall(group.replace("\r", ""))}
    status = fields.get("status", "") if _STATUS.fullmatch(fields.get("status", "")) else ""
    action = fields.get("action", "").lower()
    if action not in ACTIONS:
        action = BY_CLASS.get(status[:1], "")
    return Said(action, status) if action else None


# -- words


def _in_words(subject: str, text: bytes) -> Said:
    """A bounce without a report: failed, unless it says no more than that it takes long."""
    ours = _COPY.split(text, 1)[0]
    codes = [one.decode() for one in _IN_WORDS.findall(ours)]
    of_now = next((one for one in codes if one[0] == "4"), "")
    if _LATE.search(subject) and not _FINAL.search(subject):
        return Said(DELAYED, of_now)
    final = next((one for one in codes if one[0] == "5"), "")
    if final or not of_now or _REPLY.search(ours):
        return Said(FAILED, final)
    return Said(FAILED if _FINAL.search(subject) else DELAYED, of_now)


def _texts(headers: Message, text: bytes, depth: int) -> Iterator[bytes]:
    """The words of a mail; none of what is sent back of ours."""
    if headers.get_content_maintype() == "text":
        yield _decoded(headers, text)
    for part in _parts_of(headers, text, depth):
        yield from _texts(*part, depth - 1)


def _subject(headers: Message) -> str:
    """The subject as people read it; as it stands where that cannot be told."""
    raw = str(headers.get("Subject", ""))[:SUBJECT_CHARS]
    try:
        return str(make_header(decode_header(raw)))
    except (LookupError, ValueError, HeaderParseError):
        return raw


# -- the form of a mail


def _parted(raw: bytes) -> tuple[bytes, bytes]:
    """Head and body; a part may have no head."""
    if raw.startswith(b"\n"):
        return b"", raw[1:]
    head, _, body = raw.partition(b"\n\n")
    return head[:HEAD_BYTES], body


def _headers(head: bytes) -> Message:
    return BytesHeaderParser().parsebytes(head + b"\n\n")


def _decoded(headers: Message, text: bytes) -> bytes:
    """A part's bytes as they were before they were made fit for the wire."""
    coding = str(headers.get("Content-Transfer-Encoding", "")).strip().lower()
    try:
        if coding == "base64":
            return base64.b64decode(text)
    except binascii.Error:
        return text
    return quopri.decodestring(text) if coding == "quoted-printable" else text
