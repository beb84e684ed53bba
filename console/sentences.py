"""What an event says, as a Chinese sentence that a nurse or a clerk understands.

Called by `medpost messages events` and the sample run. "The provider took it" is never told as delivered: that word
needs a receipt. It never shows an address or a text, because events hold none.
"""

import re
from typing import Final

from console import words
from console.phrasebook import chinese
from infra.queries import TraceEvent
from infra.remark import place_in
from schemas.statuses import Stage, Status

_BY_STAGE: Final[dict[str, str]] = {
    Stage.ACCEPTED: "平台已受理{which}，发送计划已定{appointed}",
    Stage.REJECTED: "平台拒绝了这次请求：{why}",
    Stage.ISSUED: "派发给渠道 {channel}（第 {attempt} 次）",
    Stage.SENDING: "正在提交给渠道 {channel}",
    Stage.OUTCOME: "渠道商 {who} 应答：{status}{number}",
    Stage.UNKNOWN: "已提交给渠道 {channel}，但没有收到应答",
    Stage.DEFERRED: "渠道 {channel} 推迟发送{until}：{why}",
    Stage.DROPPED: "渠道 {channel} 没有发送：{why}",
    Stage.RECEIPT: "渠道 {channel} 的回执：{status}{because}",
    Stage.CANCEL_REQUESTED: "发送方请求撤回",
    Stage.RESCHEDULE_REQUESTED: "请求改期{appointed}",
    Stage.RESEND_REQUESTED: "请求重发",
    Stage.SUPERSEDED: "被后续消息取代",
    Stage.LAPSED: "渠道 {channel} 未按时领取，将重新派发",
    Stage.TIMED_OUT: "渠道 {channel} 超时无结果",
    Stage.SKIPPED: "跳过渠道 {channel}：{why}",
    Stage.RETRY_SCHEDULED: "安排在渠道 {channel} 重试{until}：{why}",
    Stage.FALLBACK: "启用备用渠道 {channel}",
    Stage.HELD: "渠道 {channel} 暂不发送{until}{because}",
    Stage.COMPLETED: "结束：{status}{by}{because}，历时 {span}",
}
_PLACE: Final = re.compile(r"([1-9][0-9]*)/([1-9][0-9]*)(?: of |$)")
"""Which sending of a message that repeats was accepted."""
_AGAIN: Final = "又收到同一编号的请求：不另发送"
_OUTCOMES: Final[dict[str, str]] = {
    Status.ACCEPTED: "渠道商 {who} 已接收{number}",
    Status.FAILED: "渠道商 {who} 未接收：{why}",
}


def told(event: TraceEvent, *, is_again: bool = False) -> str:
    """What happened, without a full stop; an unknown stage is told by its own word.

    `is_again`: an acceptance that is not the message's first; only a request that says the same ends with it.
    """
    sentence = _AGAIN if is_again else _BY_STAGE.get(event.stage, "{stage}")
    if event.stage == Stage.OUTCOME:
        sentence = _OUTCOMES.get(event.status, sentence)
    again = "（可能重复）" if event.possible_duplicate and event.stage in (Stage.SENDING, Stage.OUTCOME) else ""
    return sentence.format(**_parts(event)) + again


def reason_of(reason: str, cause: str = "") -> str:
    """A reason with its Chinese word in front, or with what it came of where that is known; empty for none."""
    return f"{chinese(cause)} {reason}" if cause else words.of_reason(reason)


def remark(event: TraceEvent) -> str:
    """What an event says besides, in Chinese, as far as its sentence does not say it."""
    if event.stage == Stage.SKIPPED:
        return ""
    return place_in(event.detail) if event.stage == Stage.ACCEPTED else chinese(event.detail)


def _place_of(event: TraceEvent) -> re.Match[str] | None:
    return _PLACE.match(place_in(event.detail)) if event.stage == Stage.ACCEPTED else None


def _parts(event: TraceEvent) -> dict[str, object]:
    code = f"（代码 {event.provider_code}）" if event.provider_code else ""
    cause = event.detail if event.stage == Stage.SKIPPED else ""
    why = reason_of(event.reason, cause) + code
    return {
        "stage": event.stage,
        "channel": event.channel,
        "attempt": event.attempt,
        "status": words.of_status(event.status),
        "who": event.provider or event.channel,
        "why": why or ("已不再需要" if event.stage == Stage.SKIPPED else "未说明原因"),
        "because": f"，{why}" if event.reason else "",
        "by": f"，渠道 {event.channel}" if event.channel else "",
        "number": f"，流水号 {event.provider_message_id}" if event.provider_message_id else "",
        "appointed": f"，定于 {words.moment(event.until_ms)} 发送" if event.until_ms else "",
        "until": f"到 {words.moment(event.until_ms)}" if event.until_ms else "",
        "span": words.span(event.latency_ms),
        "which": f"（共 {place[2]} 次中的第 {place[1]} 次）" if (place := _place_of(event)) else "",
    }
