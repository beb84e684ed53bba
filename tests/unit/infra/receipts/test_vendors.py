"""What each vendor's receipts say, pushed and pulled."""

import json

import pytest

from infra.receipts import aliyun, standard, tencent
from infra.receipts.echo import Echo, read_echo
from infra.receipts.notice import Notice
from schemas import ids
from schemas.errors import Permanent, Reason
from schemas.statuses import Status

ALIYUN = {
    "phone_number": "13800130000", "send_time": "2026-01-01 00:00:00", "report_time": "2026-01-01 00:00:03",
    "success": True, "err_code": "DELIVERED", "err_msg": "用户接收成功", "sms_size": "1", "biz_id": "9006^0",
    "out_id": "o",
}  # fmt: skip
TENCENT = {
    "user_receive_time": "2026-01-02 08:03:04", "nationcode": "86", "mobile": "13800130000", "report_status": "SUCCESS",
    "errmsg": "DELIVRD", "description": "用户短信送达成功", "sid": "5000:1",
}  # fmt: skip
DETAIL = {"PhoneNum": "13800130000", "OutId": "o", "SendStatus": 3, "ErrCode": "DELIVERED"}
PULLED = {"SerialNo": "5000:1", "ReportStatus": "SUCCESS", "Description": "DELIVRD", "SessionContext": "o"}


@pytest.mark.parametrize(
    ("change", "notice"),
    [
        ({}, Notice(Status.DELIVERED, "", "DELIVERED", "o", "9006^0")),
        ({"success": False, "err_code": "MK:0001"}, Notice("failed", "recipient_invalid", "MK:0001", "o", "9006^0")),
        ({"success": False}, Notice("failed", "unmapped", "DELIVERED", "o", "9006^0")),
        ({"success": "true", "err_code": "X"}, Notice("failed", "unmapped", "X", "o", "9006^0")),
        ({"out_id": None}, Notice(Status.DELIVERED, "", "DELIVERED", "", "9006^0")),
    ],
)
def test_aliyun_pushes(change: dict[str, object], notice: Notice) -> None:
    """`success` decides, the code gives the reason; a code of success does not make a failure one."""
    assert aliyun.read_push(json.dumps([{**ALIYUN, **change}]).encode()) == [notice]


@pytest.mark.parametrize(
    ("change", "notice"),
    [
        ({}, Notice(Status.DELIVERED, "", "DELIVERED", "o", "b")),
        ({"SendStatus": 1, "ErrCode": ""}, Notice(Status.ACCEPTED, "", "", "o", "b")),
        ({"SendStatus": 2, "ErrCode": "UNDELIV"}, Notice("failed", "recipient_unreachable", "UNDELIV", "o", "b")),
    ],
)
def test_aliyun_is_asked(change: dict[str, object], notice: Notice) -> None:
    """Waiting is acceptance; rows without our name are somebody else's."""
    rows = [{**DETAIL, **change}, {**DETAIL, "OutId": ""}]
    assert aliyun.read_details({"Code": "OK", "SmsSendDetailDTOs": {"SmsSendDetailDTO": rows}}, "b") == [notice]


@pytest.mark.parametrize(
    ("change", "notice"),
    [
        ({}, Notice(Status.DELIVERED, "", "DELIVRD", "", "5000:1")),
        ({"report_status": "FAIL", "errmsg": "REJECTD"}, Notice("failed", "content_rejected", "REJECTD", "", "5000:1")),
        ({"report_status": "FAIL", "errmsg": "DELIVRD"}, Notice("failed", "unmapped", "DELIVRD", "", "5000:1")),
    ],
)
def test_tencent_pushes(change: dict[str, object], notice: Notice) -> None:
    """Named by the vendor's id only."""
    assert tencent.read_push(json.dumps([{**TENCENT, **change}]).encode()) == [notice]


def test_tencent_is_pulled() -> None:
    """With our session context, where the vendor gives it."""
    rows = [PULLED, {**PULLED, "ReportStatus": "FAIL", "Description": "UNDELIV", "SessionContext": ""}]
    assert tencent.read_pulled({"Response": {"PullSmsSendStatusSet": rows}}) == [
        Notice(Status.DELIVERED, "", "DELIVRD", "o", "5000:1"),
        Notice("failed", "recipient_unreachable", "UNDELIV", "", "5000:1"),
    ]


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'["x"]', b"\xff"])
def test_what_is_no_receipt_is_refused(body: bytes) -> None:
    """As a whole: the vendor sends it again, and somebody sees that it does."""
    for vendor in (aliyun, tencent):
        with pytest.raises(Permanent) as caught:
            vendor.read_push(body)
        assert caught.value.reason is Reason.PARAM_INVALID


@pytest.mark.parametrize("said", [None, {}, [], {"SmsSendDetailDTOs": None}, {"Response": {"Error": {}}}])
def test_what_is_no_answer_is_refused(said: object) -> None:
    """Nothing is concluded from it."""
    for read in (aliyun.read_details, tencent.read_pulled):
        with pytest.raises(Permanent):
            read(said)


def test_our_own_systems_say_who_read_it() -> None:
    """By the message's id, with a level that nothing else could prove."""
    message_id = bytes(range(16))
    told = {"message_id": ids.show(message_id), "status": "read", "replay_id": 4}
    (notice,) = standard.read_push(json.dumps({"type": "message.receipt", "data": told}).encode())
    assert (notice.status, notice.reason, read_echo(notice.echo)) == ("read", "", Echo(message_id, 0, 4, bytes(16)))


@pytest.mark.parametrize(
    "said",
    [
        [],
        {"type": "message.created", "data": {"message_id": ids.show(bytes(16)), "status": "read"}},
        {"type": "message.receipt", "data": {"message_id": "x", "status": "read"}},
        {"type": "message.receipt", "data": {"message_id": ids.show(bytes(16)), "status": "cancelled"}},
        {"type": "message.receipt", "data": {"message_id": ids.show(bytes(16)), "status": "read", "replay_id": -1}},
    ],
)
def test_our_own_systems_must_say_it_right(said: object) -> None:
    """Another status than a level or failed means nothing here."""
    with pytest.raises(Permanent, match="param_invalid"):
        standard.read_push(json.dumps(said).encode())
