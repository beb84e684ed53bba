"""`medpost dlq list | show | redrive | drop`: records that could not be handled, and what to do with them.

A letter is called by its origin, `topic/partition/offset`. Contents are sealed and are shown on demand only. Exit
codes: 1 when nothing matches or something could not be put back, 2 for wrong use, 3 when the broker is not there.
"""

import getpass
import socket
import time
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from console import words
from console.cli.messages import since_ms
from console.dead_rows import COUNT_HEADINGS, LIST_HEADINGS, ONE_HEADINGS, STANDINGS, counted, row, time_of, told_of
from console.listing import Format, FormatOption, say_nothing_found, show, show_one
from console.phrasebook import chinese
from console.progress import meter
from console.redriving import Desk, Told, mark, redrive
from infra import dead_letters
from infra import settings as settings_module
from infra.clock import SystemClock
from infra.crypto import Ring, load_keyring
from infra.dead_letters import DROPPED, REDRIVEN, WAITING, Case, Selection
from infra.kafka import Publisher
from infra.settings import Settings
from schemas.errors import Permanent, Reason

app = typer.Typer(help="死信：无法处理的记录，查看、重投、放弃。", no_args_is_help=True)

HOPELESS: Final = frozenset({Reason.DECODE_ERROR, Reason.TOO_LARGE})
"""What the same bytes cannot outgrow, unless the platform was mended."""
ASK_ABOVE: Final = 100
"""More than so many are put back or dropped only after a question."""

Origins = Annotated[list[str] | None, typer.Argument(metavar="ORIGIN...", help="主题/分区/位移，见 dlq list")]
ByReason = Annotated[str, typer.Option("--reason", help="原因，例如 decode_error")]
ByTopic = Annotated[str, typer.Option("--topic", help="来源主题，或其开头，例如 messages.")]
Since = Annotated[str, typer.Option("--since", help="30m | 24h | 7d | 2026-11-01")]
Everything = Annotated[bool, typer.Option("--all", help="全部尚未处理的")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000)]
Yes = Annotated[bool, typer.Option("--yes", help="不再询问")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="只说明会做什么")]


@app.command("list")
def list_(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    reason: ByReason = "",
    topic: ByTopic = "",
    since: Since = "90d",
    standing: Annotated[str, typer.Option("--standing", help="waiting | redriven | dropped | all")] = WAITING,
    count: Annotated[bool, typer.Option("--count", help="只按原因和来源计数")] = False,
    limit: Limit = 50,
    form: FormatOption = Format.TABLE,
) -> None:
    """清单：默认列出尚未处理的，最近的在后."""
    if standing not in (*STANDINGS, "all"):
        raise typer.BadParameter("可用：waiting、redriven、dropped、all", param_hint="--standing")
    _check_reason(reason)
    settings = settings_module.load()
    by = Selection(
        reason=reason,
        topic=topic,
        since_ms=since_ms(since, SystemClock().now_ms()),
        standing="" if standing == "all" else standing,
    )
    found = dead_letters.chosen(dead_letters.read(settings), by, settings)
    if count:
        show(counted(found, settings, form), COUNT_HEADINGS, form)
        return
    show([row(case, form) for case in found[-limit:]], LIST_HEADINGS, form)
    say_nothing_found(found, form)
    if len(found) > limit:
        typer.secho(f"共 {len(found):,} 件，只列出最近 {limit} 件（--limit、--count）", err=True)


@app.command("show")
def show_(
    origin: Annotated[str, typer.Argument(metavar="ORIGIN")],
    reveal: Annotated[bool, typer.Option("--reveal", help="显示内容（可能含个人信息）")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """一件：原因、来源、处理经过；加 --reveal 才显示内容."""
    settings = settings_module.load()
    case = _chosen(settings, Selection(origins=(origin,)))[0]
    shown = row(case, form) | {"first_appended_at": time_of(case.letter.origin_timestamp, form)}
    if case.mark.at:
        shown |= {"decided_by": case.mark.by, "decided_at": time_of(case.mark.at, form), "note": case.mark.note}
    try:
        shown |= told_of(dead_letters.content_of(case, _ring(settings), settings), reveal=reveal)
    except Permanent as problem:
        shown["content"] = f"（{chinese(problem.detail) if form is Format.TABLE else problem.detail}）"
    show_one(shown, ONE_HEADINGS, form)


@app.command("redrive")
def redrive_(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    origins: Origins = None,
    reason: ByReason = "",
    topic: ByTopic = "",
    since: Since = "90d",
    everything: Everything = False,
    limit: Limit = 1_000_000,
    rate: Annotated[float, typer.Option("--rate", min=0.1, max=10_000, help="每秒至多")] = 50.0,
    note: Annotated[str, typer.Option("--note", help="备注，记入处理经过")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    """重投：原样写回来源主题，按最初写入的时刻判断，各一次."""
    settings = settings_module.load()
    chosen = _selected(settings, origins, (reason, topic, since), everything=everything)[:limit]
    hopeless = sum(case.letter.reason in HOPELESS for case in chosen)
    if hopeless:
        typer.secho(f"! 其中 {hopeless:,} 件的内容本身无法解析，重投后会再次成为死信（dlq drop）", err=True)
    if dry_run:
        show(counted(chosen, settings, Format.TABLE), COUNT_HEADINGS, Format.TABLE)
        typer.echo(f"会重投 {len(chosen):,} 件，约需 {len(chosen) / rate:,.0f} s；去掉 --dry-run 执行")
        return 0
    _ask(f"重投 {len(chosen):,} 件？", len(chosen), yes=yes)
    ended = _redriven(settings, chosen, rate, note)
    return 0 if ended[REDRIVEN] == len(chosen) else 1


def _redriven(settings: Settings, chosen: Sequence[Case], rate_per_s: float, note: str) -> Counter[str]:
    publisher = Publisher(settings_module.kafka_endpoint(settings))
    desk = Desk(settings, _ring(settings), publisher, SystemClock(), _who(), note)
    done = 0
    try:
        with meter(0) as progress:

            def told(one: Told) -> None:
                nonlocal done
                done += 1
                progress.show(done, f"共 {len(chosen):,} 件")
                if one.problem is not None:
                    why = chinese(one.problem.detail) or words.of_reason(one.problem.reason)
                    typer.secho(f"✗ {one.case.origin}：{why}", fg=typer.colors.RED, err=True)

            ended = redrive(desk, chosen, rate_per_s, time.sleep, told)
    finally:
        publisher.close(5.0)
    kept = len(chosen) - ended[REDRIVEN]
    typer.echo(f"已重投 {ended[REDRIVEN]:,} 件" + (f"，{kept:,} 件未能重投，仍为待处理" if kept else ""))
    return ended


@app.command("drop")
def drop(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    note: Annotated[str, typer.Option("--note", help="为什么放弃（必填，记入处理经过）")],
    origins: Origins = None,
    reason: ByReason = "",
    topic: ByTopic = "",
    since: Since = "90d",
    everything: Everything = False,
    yes: Yes = False,
) -> int:
    """放弃：不再处理；内容保留到期满，仍可查看."""
    settings = settings_module.load()
    chosen = _selected(settings, origins, (reason, topic, since), everything=everything)
    _ask(f"放弃 {len(chosen):,} 件？", len(chosen), yes=yes)
    publisher = Publisher(settings_module.kafka_endpoint(settings))
    try:
        mark(Desk(settings, _ring(settings), publisher, SystemClock(), _who(), note), chosen, DROPPED)
    finally:
        publisher.close(5.0)
    typer.echo(f"已放弃 {len(chosen):,} 件")
    return 0


def register(root: typer.Typer) -> None:
    """Add `medpost dlq`."""
    root.add_typer(app, name="dlq")


# -- which


def _selected(
    settings: Settings, origins: Sequence[str] | None, by: tuple[str, str, str], *, everything: bool
) -> list[Case]:
    """Waiting cases by origin, or by (reason, topic, since); something has to be named."""
    reason, topic, since = by
    _check_reason(reason)
    if not (origins or reason or topic or everything):
        raise typer.BadParameter("给出 ORIGIN，或者 --reason、--topic、--all")
    at_ms = since_ms(since, SystemClock().now_ms())
    found = _chosen(settings, Selection(tuple(origins or ()), reason, topic, 0 if origins else at_ms))
    waiting = [case for case in found if case.standing == WAITING]
    for case in found if origins else ():
        if case.standing != WAITING:
            typer.secho(f"跳过 {case.origin}：{STANDINGS[case.standing]}（{case.mark.by}）", err=True)
    if not waiting:
        raise _nothing("没有待处理的死信符合条件")
    return waiting


def _check_reason(reason: str) -> None:
    if reason and reason not in {*Reason}:
        raise typer.BadParameter(f"没有原因 {reason}；有：{'、'.join(sorted(Reason))}", param_hint="--reason")


def _chosen(settings: Settings, by: Selection) -> list[Case]:
    found = dead_letters.chosen(dead_letters.read(settings), by, settings)
    missing = sorted({*by.origins} - {case.origin for case in found})
    if missing:
        raise _nothing(f"没有这件死信：{'、'.join(missing[:3])}")
    return found


def _nothing(text: str) -> Exception:
    typer.secho(f"✗ {text}", fg=typer.colors.RED, err=True)
    typer.secho("  → 用 `medpost dlq list` 查看，`--standing all` 包括已处理的", err=True)
    return typer.Exit(1)


def _ask(question: str, count: int, *, yes: bool) -> None:
    if count > ASK_ABOVE and not yes:
        typer.confirm(question, abort=True, err=True)


def _ring(settings: Settings) -> Ring:
    return load_keyring(settings).ring("dead")


def _who() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"
