"""Tencent Cloud's receipts for SMS: the pushed callback, and the rows of PullSmsSendStatus.

Source: cloud.tencent.com 382/59178 (callback), 382/55977 (PullSmsSendStatus). The callback is not signed, and names the
message by the vendor's own id only (`sid`); the pulled rows carry our `SessionContext` where the vendor has opened
that. A pulled row is handed out once. Pure.
"""

from typing import Any, Final

from infra.receipts import meanings
from infra.receipts.notice import Notice, rows_in, text_of
from schemas.errors import Permanent, Reason
from schemas.statuses import Status

CODES: Final = meanings.load("tencent")
TAKEN: Final = b'{"result":0,"errmsg":"OK"}'
SUCCESS: Final = "SUCCESS"


def read_push(body: bytes) -> list[Notice]:
    """The lines of one callback; raises Permanent(param_invalid) for anything else."""
    return [_notice(row, ("report_status", "errmsg", "sid", "")) for row in rows_in(body)]


def read_pulled(said: Any) -> list[Notice]:
    """The rows of an answer of PullSmsSendStatus."""
    try:
        rows = list(said["Response"]["PullSmsSendStatusSet"])
    except (KeyError, TypeError):
        raise Permanent(Reason.PARAM_INVALID, "not an answer of PullSmsSendStatus") from None
    return [_notice(row, ("ReportStatus", "Description", "SerialNo", "SessionContext")) for row in rows]


def _notice(row: Any, names: tuple[str, str, str, str]) -> Notice:
    status, code, serial_no, session = (text_of(row, name) for name in names)
    meaning = CODES.of(code)
    if status == SUCCESS:
        return Notice(Status.DELIVERED, "", code, session, serial_no)
    if meaning.status != Status.FAILED:
        return Notice(Status.FAILED, Reason.UNMAPPED, code, session, serial_no)
    return Notice(Status.FAILED, meaning.reason, code, session, serial_no)
