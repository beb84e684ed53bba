"""The Chinese words that the console shows for the contract's words, and times as people here read them.

Called by the console's commands. The contract's own word stays beside the Chinese one wherever it can be searched for.
Decides nothing.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from infra.clock import SHANGHAI
from schemas.errors import Reason
from schemas.statuses import Lane, Stage, Status

STATUSES: Final[dict[str, str]] = {
    Status.ACCEPTED: "已受理",
    Status.SCHEDULED: "待定时发送",
    Status.HELD: "已暂停",
    Status.SENDING: "发送中",
    Status.SENT: "渠道商已接收",
    Status.DELIVERED: "已送达",
    Status.READ: "已读",
    Status.ACKNOWLEDGED: "已确认",
    Status.FAILED: "失败",
    Status.EXPIRED: "已过期",
    Status.CANCELLED: "已撤回",
    Status.SUPPRESSED: "已抑制",
    Status.REJECTED: "已拒绝",
    Status.WAITING: "排队中",
    Status.ISSUED: "已派发",
    Status.UNKNOWN: "结果未知",
    Status.DEFERRED: "已推迟",
    Status.DROPPED: "未发送",
    Status.RETRYING: "待重试",
    Status.SKIPPED: "已跳过",
}
STAGES: Final[dict[str, str]] = {
    Stage.ACCEPTED: "受理",
    Stage.REJECTED: "拒绝",
    Stage.ISSUED: "派发",
    Stage.SENDING: "提交",
    Stage.OUTCOME: "渠道应答",
    Stage.UNKNOWN: "无应答",
    Stage.DEFERRED: "推迟",
    Stage.DROPPED: "放弃",
    Stage.RECEIPT: "回执",
    Stage.CANCEL_REQUESTED: "请求撤回",
    Stage.RESCHEDULE_REQUESTED: "请求改期",
    Stage.RESEND_REQUESTED: "请求重发",
    Stage.SUPERSEDED: "被取代",
    Stage.LAPSED: "无人领取",
    Stage.TIMED_OUT: "超时",
    Stage.SKIPPED: "跳过",
    Stage.RETRY_SCHEDULED: "安排重试",
    Stage.FALLBACK: "启用备用",
    Stage.HELD: "暂停",
    Stage.COMPLETED: "完成",
}
LANES: Final[dict[str, str]] = {Lane.URGENT: "紧急", Lane.NORMAL: "普通", Lane.BULK: "批量"}
REASONS: Final[dict[str, str]] = {
    Reason.TRANSIENT: "暂时故障",
    Reason.RATE_LIMITED: "渠道限流",
    Reason.RECIPIENT_RATE_LIMITED: "对同一接收人发送过频",
    Reason.QUOTA_EXHAUSTED: "额度用尽",
    Reason.AUTH_EXPIRED: "渠道凭据过期",
    Reason.AUTH_CONFIG: "渠道凭据配置有误",
    Reason.RECIPIENT_UNREACHABLE: "接收人无法到达",
    Reason.RECIPIENT_OPTED_OUT: "接收人已退订",
    Reason.RECIPIENT_INVALID: "接收地址无效",
    Reason.RECIPIENT_BLACKLISTED: "接收人在黑名单中",
    Reason.CONTENT_REJECTED: "内容被渠道拒绝",
    Reason.TEMPLATE_INVALID: "模板无效",
    Reason.PARAM_INVALID: "参数无效",
    Reason.TOO_LARGE: "内容过长",
    Reason.BILLING: "渠道欠费",
    Reason.TIME_WINDOW: "不在允许时段",
    Reason.DUPLICATE: "重复",
    Reason.EXPIRED: "已过有效期",
    Reason.CONFIG_MISSING: "缺少配置",
    Reason.TOKEN_MISSING: "缺少令牌",
    Reason.TOKEN_MALFORMED: "令牌格式有误",
    Reason.TOKEN_SIGNATURE: "令牌签名不符",
    Reason.TOKEN_EXPIRED: "令牌已过期",
    Reason.TOKEN_NOT_YET_VALID: "令牌尚未生效",
    Reason.TOKEN_AUDIENCE: "令牌受众不符",
    Reason.APP_UNKNOWN: "应用未登记",
    Reason.APP_DISABLED: "应用已停用",
    Reason.TYPE_UNKNOWN: "消息类型未登记",
    Reason.TYPE_DISABLED: "消息类型已停用",
    Reason.TYPE_NOT_GRANTED: "应用无权使用该消息类型",
    Reason.CHANNEL_NOT_GRANTED: "应用无权使用该渠道",
    Reason.RECIPIENT_UNKNOWN: "查无此接收人",
    Reason.NO_CHANNEL: "没有可用渠道",
    Reason.MISSING_PARAMETER: "缺少模板参数",
    Reason.DECODE_ERROR: "无法解码",
    Reason.DUPLICATE_REFERENCE: "业务编号重复",
    Reason.REFERENCE_CONFLICT: "同一业务编号内容不一致",
    Reason.SUPERSEDED: "被后续消息取代",
    Reason.CANCELLED_BY_SENDER: "发送方撤回",
    Reason.TOO_LATE: "为时已晚",
    Reason.UNKNOWN_OUTCOME: "结果未知",
    Reason.UNMAPPED: "未归类的错误",
    Reason.FALLBACK_BUDGET: "备用渠道预算用尽",
    Reason.HELD: "已被人工暂停",
    Reason.INTERNAL: "平台内部错误",
}


def of_status(word: str) -> str:
    """A status with its Chinese word in front."""
    return _both(STATUSES, word)


def of_lane(word: str) -> str:
    """A lane with its Chinese word in front."""
    return _both(LANES, word)


def of_reason(word: str) -> str:
    """A reason with its Chinese word in front; empty for none."""
    return _both(REASONS, word)


def of_stage(word: str) -> str:
    """The Chinese word of a stage alone; the stage itself where there is none."""
    return STAGES.get(word, word)


def _both(words: dict[str, str], word: str) -> str:
    return f"{words[word]} {word}" if word in words else word


def moment(at_ms: int) -> str:
    """UTC milliseconds as people here read a time: `2026-11-22 14:59:57.123`."""
    return _local(at_ms).isoformat(" ", "milliseconds")[:-6]


def iso(at_ms: int) -> str:
    """UTC milliseconds as ISO 8601 with the offset of Asia/Shanghai."""
    return _local(at_ms).isoformat("T", "milliseconds")


def read_time(text: str) -> datetime:
    """A date or time as people here write it, `2026-11-01T08:00`: in Asia/Shanghai unless it says otherwise.

    Raises ValueError for anything else.
    """
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=SHANGHAI)


def span(span_ms: float) -> str:
    """A duration as people read it: `38 毫秒`, `1.24 秒`, `3 分 05 秒`, `2 小时 10 分`."""
    if span_ms < 1000:
        return f"{span_ms:.0f} 毫秒"
    if span_ms < 60_000:
        return f"{span_ms / 1000:.2f} 秒"
    minutes, seconds = divmod(int(span_ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} 小时 {minutes:02} 分" if hours else f"{minutes} 分 {seconds:02} 秒"


def _local(at_ms: int) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(SHANGHAI)
