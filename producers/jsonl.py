"""JSON lines: one request for a message a line, checked before anything is published.

Called by `medpost publish jsonl` and the sample hospital. A line's own fault is that line's refusal. The members are
those of `POST /v1/messages`, with `app_id` beside them; times are ISO 8601 with zone, or UTC milliseconds.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct, field, structs

from producers import requests
from producers.refusals import Refused
from producers.requests import MessageRequest
from schemas.errors import Permanent, Reason
from schemas.records import ContentPart, Source

LINE_BYTES: Final = 1_000_000
"""As much as a record may have."""

_MARK: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n"
_DESTROYED: Final = re.compile(rb"\xef\xbf\xbd|\\u[fF]{3}[dD]")
"""U+FFFD, as itself or escaped: characters were destroyed before the line came here."""


class _Recipient(Struct, frozen=True, forbid_unknown_fields=True):
    id_type: str
    id_value: str


class _Line(Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    app_id: str = ""
    recipient: _Recipient | None = None
    personalisation: dict[str, str] = field(default_factory=dict)
    reference: str = ""
    contact: dict[str, str] = field(default_factory=dict)
    content: list[ContentPart] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    priority: str = ""
    send_at: datetime | int | None = None
    expires_at: datetime | int | None = None
    supersedes: str = ""
    source: Source = Source()
    message_id: str = ""


class LineReading(Struct, frozen=True):
    """What became of one line: the application and its request, or `refused`. `number` counts lines from 1."""

    number: int
    app_id: str = ""
    request: MessageRequest | None = None
    refused: Refused | None = None


def read(lines: Iterable[bytes], app_id: str = "", run_id: str = "") -> Iterator[LineReading]:
    """One reading for each line that is not blank. Raises only what `lines` raises.

    `app_id` is for lines that name none; `run_id` is put before every reference.
    """
    decoder = msgspec.json.Decoder(_Line)
    for number, line in enumerate(lines, start=1):
        if line.removeprefix(_MARK).strip(_BLANK):
            yield _reading(decoder, number, line, app_id, run_id)


def _reading(decoder: msgspec.json.Decoder[_Line], number: int, line: bytes, app_id: str, run_id: str) -> LineReading:
    try:
        parsed = _parsed(decoder, line.removeprefix(_MARK))
        request = _request(parsed, run_id)
    except Refused as refused:
        return LineReading(number, refused=refused)
    if not (parsed.app_id or app_id):
        return LineReading(
            number, refused=Refused(Reason.APP_UNKNOWN, "app_id: which application sends this?", "add app_id, or --app")
        )
    return LineReading(number, parsed.app_id or app_id, request)


def _parsed(decoder: msgspec.json.Decoder[_Line], line: bytes) -> _Line:
    if len(line) > LINE_BYTES:
        raise Refused(Reason.TOO_LARGE, f"a line of more than {LINE_BYTES} bytes", "send shorter texts")
    if _DESTROYED.search(line):
        raise Refused(
            Reason.DECODE_ERROR, "the text holds U+FFFD: characters were destroyed before", "mend the sending system"
        )
    try:
        line.decode()
        return decoder.decode(line)
    except UnicodeDecodeError:
        raise Refused(Reason.DECODE_ERROR, "not UTF-8", "write JSON lines in UTF-8") from None
    except msgspec.ValidationError as problem:
        raise Refused(Reason.PARAM_INVALID, str(problem), "correct the member that is named") from None
    except (msgspec.DecodeError, RecursionError):
        raise Refused(Reason.DECODE_ERROR, "not a JSON object on one line", "write one JSON object a line") from None


def _request(parsed: _Line, run_id: str) -> MessageRequest:
    reference = f"{run_id}/{parsed.reference}" if run_id and parsed.reference else parsed.reference
    values = structs.asdict(parsed) | {
        "recipient": (parsed.recipient.id_type, parsed.recipient.id_value) if parsed.recipient else ("", ""),
        "reference": reference,
    }
    del values["app_id"]
    request = MessageRequest(**values)
    try:
        requests.check(request)
    except Permanent as problem:
        raise Refused(problem.reason, problem.detail, "correct the member that is named") from None
    return request
