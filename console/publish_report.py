"""What a run of `medpost publish` tells: totals that reconcile, and every refusal with what to do about it.

Called by the publish commands and the sample hospital. Shows file names, message numbers, reasons; never a value.
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import typer
from msgspec import Struct, field

from console import words
from console.listing import Format, show
from console.phrasebook import chinese
from console.publishing import Ended, Outcome, Totals
from schemas.errors import UnavailableError

LISTED: Final = 10_000
"""Refusals that are kept to be listed; the others are only counted."""
TABLE_ROWS: Final = 40
PROGRESS_EVERY: Final = 100
OnProgress = Callable[[int, str], None]

MESSAGE_HEADINGS: Final = {"message_id": "消息编号", "type": "类型", "lane": "优先级"}
OUTCOMES: Final = {
    Outcome.PUBLISHED: "已发布",
    Outcome.UNMAPPED: "无映射",
    Outcome.DUPLICATE: "重复",
    Outcome.REFUSED: "已拒绝",
    Outcome.UNACKNOWLEDGED: "未确认",
}
_REFUSED: Final = {
    "source": "文件",
    "number": "第几条",
    "event": "事件",
    "reason_zh": "原因",
    "detail": "说明",
    "remedy": "怎么办",
}


class Report(Struct):
    """All that is told of a run; `stopped` says why it ended before its input did.

    `checked_by`: of a dry run the registry version that it was held against, 0 for none; None: not a dry run.
    """

    totals: Totals = field(default_factory=Totals)
    refused: list[Ended] = field(default_factory=list)
    stopped: UnavailableError | None = None
    files: int = 0
    checked_by: int | None = None


def gathered(endings: Iterable[Ended], on_progress: OnProgress) -> Report:
    """Count and keep the endings as they come."""
    report = Report()
    try:
        for done, ended in enumerate(endings, start=1):
            report.totals.count(ended)
            if ended.outcome in (Outcome.REFUSED, Outcome.UNACKNOWLEDGED) and len(report.refused) < LISTED:
                report.refused.append(ended)
            if done % PROGRESS_EVERY == 0:
                on_progress(done, told(report.totals))
    except UnavailableError as problem:
        report.stopped = problem
    return report


def told(totals: Totals) -> str:
    """The outcomes on one line."""
    return " · ".join(
        f"{name} {totals.outcomes[outcome]:,}" for outcome, name in OUTCOMES.items() if totals.outcomes[outcome]
    )


def print_report(report: Report, form: Format, *, is_dry_run: bool = False) -> int:
    """Print it; returns the exit code. Raises UnavailableError after printing when the run was stopped."""
    if form is Format.TABLE:
        _table(report, is_dry_run=is_dry_run)
    elif form is Format.JSON:
        refused = [row_of(ended) for ended in report.refused]
        typer.echo(msgspec.json.format(msgspec.json.encode({"totals": as_row(report), "refused": refused})).decode())
    else:
        show([*map(row_of, report.refused), {"totals": as_row(report)}], {}, form)
    if report.stopped is not None:
        raise report.stopped
    return 0 if report.totals.is_clean else 1


def as_row(report: Report) -> dict[str, object]:
    """The totals as members: what was read, every outcome, refusals by reason, published by type."""
    totals = report.totals
    return {
        "files": report.files,
        "read": totals.read,
        "split": totals.split,
        **{str(outcome): totals.outcomes[outcome] for outcome in Outcome},
        "refused_by_reason": dict(totals.refused.most_common()),
        "published_by_type": dict(totals.types.most_common()),
        "reconciled": totals.is_reconciled,
        **({} if report.checked_by is None else {"checked_by_registry_version": report.checked_by}),
    }


def row_of(ended: Ended) -> dict[str, object]:
    """One refusal as members."""
    offer = ended.offer
    return {
        "source": offer.source,
        "number": offer.number,
        "event": offer.event,
        "app": offer.app,
        "type": offer.type,
        "outcome": str(ended.outcome),
        "reason": ended.reason,
        "reason_zh": words.of_reason(ended.reason),
        "detail": ended.detail,
        "remedy": ended.remedy,
        "message_id": ended.message_id,
    }


def _readable(ended: Ended) -> dict[str, object]:
    row = row_of(ended)
    return row | {"detail": _in_chinese(ended.detail), "remedy": _in_chinese(ended.remedy)}


def _in_chinese(text: str) -> str:
    """Each line by itself: one request may be refused for several reasons."""
    return "\n".join(map(chinese, text.split("\n")))


def _table(report: Report, *, is_dry_run: bool) -> None:
    if report.refused:
        show([_readable(ended) for ended in report.refused[:TABLE_ROWS]], _REFUSED, Format.TABLE)
        if len(report.refused) > TABLE_ROWS:
            typer.echo(f"…… 另有 {len(report.refused) - TABLE_ROWS} 条，用 --format jsonl 查看全部")
        typer.echo("")
    show(list(_totals(report, is_dry_run=is_dry_run)), {"what": "合计", "count": "条数"}, Format.TABLE)


def _totals(report: Report, *, is_dry_run: bool) -> Iterable[dict[str, object]]:
    totals = report.totals
    if report.files:
        yield {"what": "文件", "count": f"{report.files:,}"}
    yield {"what": "读取", "count": f"{totals.read:,}"}
    if totals.split:
        yield {"what": "一拆为多，增加", "count": f"{totals.split:,}"}
    for outcome, name in OUTCOMES.items():
        shown = "可发布" if is_dry_run and outcome is Outcome.PUBLISHED else name
        yield {
            "what": f"= {shown}" if outcome is Outcome.PUBLISHED else f"+ {shown}",
            "count": f"{totals.outcomes[outcome]:,}",
        }
        rows = {Outcome.PUBLISHED: totals.types, Outcome.REFUSED: totals.refused}.get(outcome)
        for name_of_row, count in rows.most_common() if rows else ():
            told_as = words.of_reason(name_of_row) if outcome is Outcome.REFUSED else name_of_row
            yield {"what": f"    {told_as}", "count": f"{count:,}"}
    yield {"what": "对账", "count": "相符" if totals.is_reconciled else "不符"}
