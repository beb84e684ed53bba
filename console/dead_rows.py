"""Dead letters as rows to show: lists, counts, one in full. Contents only when asked for, tokens never.

Called by `medpost dlq`. It never reads anything.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from console import words
from console.listing import Format
from console.phrasebook import chinese
from infra import dead_letters
from infra.dead import Content
from infra.dead_letters import DROPPED, REDRIVEN, WAITING, Case
from infra.redrive import AUTHORIZATION
from infra.settings import Settings
from schemas.codec import EVENT, MESSAGE
from schemas.errors import MedpostError

STANDINGS: Final = {WAITING: "待处理", REDRIVEN: "已重投", DROPPED: "已放弃"}
LIST_HEADINGS: Final = {
    "origin": "来源 (ORIGIN)",
    "at": "时间",
    "reason": "原因",
    "detail": "说明",
    "standing": "处理",
    "worker": "由",
}
COUNT_HEADINGS: Final = {"reason": "原因", "topic": "来源主题", "count": "件数", "oldest": "最早", "newest": "最近"}
ONE_HEADINGS: Final = {
    **LIST_HEADINGS,
    "first_appended_at": "原写入时间",
    "bytes": "字节",
    "headers": "头",
    "app": "应用",
    "type": "类型",
    "decided_by": "处理人",
    "decided_at": "处理时间",
    "note": "备注",
    "content": "内容",
}


def time_of(at_ms: int, form: Format) -> str:
    """A moment for people or for programs."""
    return words.moment(at_ms) if form is Format.TABLE else words.iso(at_ms)


def row(case: Case, form: Format) -> dict[str, Any]:
    """One case of a list."""
    letter, is_table = case.letter, form is Format.TABLE
    return {
        "origin": case.origin,
        "at": time_of(letter.at, form),
        "reason": words.of_reason(letter.reason) if is_table else letter.reason,
        "detail": chinese(letter.detail) if is_table else letter.detail,
        "standing": STANDINGS.get(case.standing, case.standing) if is_table else case.standing,
        "worker": letter.worker,
    }


def counted(found: Sequence[Case], settings: Settings, form: Format) -> list[dict[str, Any]]:
    """One row per reason and topic, most frequent first."""
    groups: dict[tuple[str, str], list[int]] = {}
    for case in found:
        topic = dead_letters.bare_name(case.letter.origin_topic, settings)
        groups.setdefault((case.letter.reason, topic), []).append(case.letter.at)
    return [
        {
            "reason": words.of_reason(reason) if form is Format.TABLE else reason,
            "topic": topic,
            "count": len(times),
            "oldest": time_of(min(times), form),
            "newest": time_of(max(times), form),
        }
        for (reason, topic), times in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]


def told_of(content: Content, *, reveal: bool) -> dict[str, Any]:
    """What may be said of a record: its size and names; its content, without the token, only when asked for."""
    row: dict[str, Any] = {
        "bytes": len(content.value or b""),
        "headers": ", ".join(name for name, _ in content.headers),
    }
    for codec in (MESSAGE, EVENT):
        try:
            record = codec.decode(content.value)
        except MedpostError:
            continue
        row |= {"app": getattr(record, "app_id", ""), "type": getattr(record, "type", "")}
        if reveal:
            row["content"] = msgspec.json.encode(record).decode()
        return row
    if reveal:
        row["content"] = (content.value or b"").hex()
        row["headers"] = ", ".join(
            f"{name}={'…' if name == AUTHORIZATION else value.hex()}" for name, value in content.headers
        )
    return row
