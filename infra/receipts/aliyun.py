"""Aliyun's receipts for SMS: the pushed `SmsReport`, and the rows of QuerySendDetails.

Source: help.aliyun.com 101867 (SmsReport), 419277 (QuerySendDetails). The push is not signed: the door's secret path
and list of senders are all the proof there is, besides the `OutId` that we gave. It may come twice. Pure.
"""

from typing import Any, Final

from infra.receipts import meanings
from infra.receipts.meanings import Meaning
from infra.receipts.notice import Notice, rows_in, text_of
from schemas.errors import Permanent, Reason
from schemas.statuses import Status

CODES: Final = meanings.load("aliyun")
TAKEN: Final = b'{"code":0,"msg":"ok"}'
"""What the vendor wants to hear; it looks at the number only, and tries again after 1, 5 and 10 minutes without."""
WAITING, FAILED, DELIVERED = "1", "2", "3"


def read_push(body: bytes) -> list[Notice]:
    """The lines of one SmsReport; raises Permanent(param_invalid) for anything else."""
    return [_pushed(row) for row in rows_in(body)]


def _pushed(row: Any) -> Notice:
    code = text_of(row, "err_code")
    meaning = Meaning(Status.DELIVERED) if row.get("success") is True else _failure(code)
    return Notice(meaning.status, meaning.reason, code, text_of(row, "out_id"), text_of(row, "biz_id"))


def _failure(code: str) -> Meaning:
    """What a code means in a receipt that says that it failed."""
    meaning = CODES.of(code)
    return meaning if meaning.status == Status.FAILED else Meaning(Status.FAILED, Reason.UNMAPPED)


def read_details(said: Any, biz_id: str = "") -> list[Notice]:
    """The rows of an answer of QuerySendDetails that are ours; others went to the same number by other systems."""
    try:
        rows = list(said["SmsSendDetailDTOs"]["SmsSendDetailDTO"])
    except (KeyError, TypeError):
        raise Permanent(Reason.PARAM_INVALID, "not an answer of QuerySendDetails") from None
    return [_detail(row, biz_id) for row in rows if text_of(row, "OutId")]


def _detail(row: Any, biz_id: str) -> Notice:
    code, status = text_of(row, "ErrCode"), text_of(row, "SendStatus")
    if status == DELIVERED:
        return Notice(Status.DELIVERED, "", code, text_of(row, "OutId"), biz_id)
    if status == FAILED:
        meaning = _failure(code)
        return Notice(meaning.status, meaning.reason, code, text_of(row, "OutId"), biz_id)
    return Notice(Status.ACCEPTED, "", code, text_of(row, "OutId"), biz_id)
