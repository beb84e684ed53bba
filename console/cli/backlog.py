"""`medpost backlog`: what waits where, by application, lane and channel: depth, age, rate, time left, and why.

Reads what settle tells within a second of any change; `--check` compares that with the store. Partitions that nobody
speaks for are named. It changes nothing. Exit code 1: a partition is silent, or the check found a difference.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Final

import typer
from msgspec import Struct, structs

from console import words
from console.listing import Format, FormatOption, show
from infra import app_queries, backlog
from infra import settings as settings_module
from infra.app_queries import OpenCount
from infra.backlog import Backlogs, Line, Told
from infra.clickhouse import Store
from infra.clock import SystemClock
from infra.settings import Settings
from schemas.statuses import LANES, Lane
from schemas.topics import DAY_MS

HEADINGS: Final = {
    "app_id": "应用",
    "lane": "优先级",
    "channel": "渠道",
    "waiting": "排队",
    "in_flight": "进行中",
    "age": "最早等候",
    "issued_per_s": "每秒派发",
    "eta": "预计",
    "closed": "停止原因",
}
CHECK_HEADINGS: Final = {
    "app_id": "应用",
    "lane": "优先级",
    "live": "实时未结束",
    "store": "轨迹库未结束",
    "difference": "相差",
}
SPAN_MS: Final = 2_500
"""What was told may be that old: a second until it is told, and the clocks of the processes differ a little."""
CHECKED_MS: Final = 400 * DAY_MS
"""So far ahead a message may be put off."""
PATIENCE_S: Final = 10.0
"""For so long the store may be behind."""
CLEAR: Final = "\033[2J\033[H"
WATCH_S: Final = 1.0
READ_S: Final = 15.0


class Wanted(Struct, frozen=True):
    """What to show; an empty word means any."""

    app_id: str = ""
    lane: str = ""
    channel: str = ""


class Checked(Struct, frozen=True):
    """Open messages of one application and lane by both accounts; `difference` 0 when they agree."""

    app_id: str
    lane: str
    live: int
    store: int
    difference: int


def command(
    app_id: Annotated[str, typer.Option("--app", help="应用，例如 his")] = "",
    lane: Annotated[Lane | None, typer.Option("--lane", help="优先级")] = None,
    channel: Annotated[str, typer.Option("--channel", help="渠道，例如 sms")] = "",
    form: FormatOption = Format.TABLE,
    watch: Annotated[bool, typer.Option("--watch", help="每秒刷新，Ctrl-C 结束")] = False,
    check: Annotated[bool, typer.Option("--check", help="与轨迹库核对")] = False,
) -> int:
    """Print what waits where."""
    settings, wanted = settings_module.load(), Wanted(app_id, lane or "", channel)
    if check:
        return _check(settings, wanted, form)
    if watch:
        return _watch(settings, wanted, form)
    return _print(settings, backlog.read(settings), wanted, form)


def _watch(settings: Settings, wanted: Wanted, form: Format) -> int:
    followed = Backlogs(settings)
    followed.start()
    try:
        followed.wait_ready(READ_S)
        while True:
            if form is Format.TABLE:
                typer.echo(CLEAR, nl=False)
            _print(settings, followed.told, wanted, form)
            time.sleep(WATCH_S)
    finally:
        followed.close()


def _print(settings: Settings, told: Sequence[Told], wanted: Wanted, form: Format) -> int:
    now_ms = SystemClock().now_ms()
    silent = backlog.stale(told, settings.partitions, now_ms, [wanted.lane] if wanted.lane else LANES)
    found = [row(line, now_ms, form) for line in chosen(backlog.lines(told), wanted)]
    if found or form is not Format.TABLE:
        show(found, HEADINGS, form)
    if form is Format.TABLE:
        typer.echo(total(told, wanted))
    for place, last in silent.items():
        said = f"最后报告 {words.moment(last)}，以上按当时的数计" if last else "从未报告"
        typer.echo(f"✗ 分区 {place} 无人负责或正在追赶：{said}", err=True)
    return 1 if silent else 0


def chosen(found: Iterable[Line], wanted: Wanted) -> list[Line]:
    """The lines that are asked for."""
    return [
        line
        for line in found
        if wanted.app_id in ("", line.app_id)
        and wanted.lane in ("", line.lane)
        and wanted.channel in ("", line.channel)
    ]


def row(line: Line, now_ms: int, form: Format) -> dict[str, object]:
    """One line as a row: figures for programs, words for people."""
    figures = structs.asdict(line)
    if form is not Format.TABLE:
        age_s = round(max(0, now_ms - line.oldest_at) / 1000, 1) if line.oldest_at else None
        return {**figures, "oldest_age_s": age_s}
    until = f"，至 {words.moment(line.closed_until)}" if line.closed_until else ""
    return {
        **figures,
        "lane": words.of_lane(line.lane),
        "age": words.span(max(0, now_ms - line.oldest_at)) if line.oldest_at else "",
        "eta": "" if line.eta_s is None else words.span(round(line.eta_s * 1000)),
        "closed": words.of_reason(line.reason) + until,
    }


def total(told: Iterable[Told], wanted: Wanted) -> str:
    """The last line: how many are open, waiting, in flight, at what rate."""
    told = list(told)
    found = chosen(backlog.lines(told), wanted)
    open_ = sum(
        count
        for (app_id, lane), count in backlog.open_messages(told).items()
        if wanted.app_id in ("", app_id) and wanted.lane in ("", lane)
    )
    of_all = "" if wanted.channel else f"未结束 {open_} 条（含定时与待回执）；"
    waiting, flying = sum(line.waiting for line in found), sum(line.in_flight for line in found)
    return f"{of_all}排队 {waiting}，进行中 {flying}，每秒派发 {round(sum(line.issued_per_s for line in found), 1)}"


# ---- against the store


def _check(settings: Settings, wanted: Wanted, form: Format) -> int:
    told = backlog.read(settings)
    now_ms = SystemClock().now_ms()
    silent = backlog.stale(told, settings.partitions, now_ms, [wanted.lane] if wanted.lane else LANES)
    span = (now_ms - SPAN_MS, now_ms)
    with Store(settings_module.store_endpoint(settings)) as store:
        found = reconciled(
            told, lambda: app_queries.open_messages(store, now_ms - CHECKED_MS, span), time.monotonic, time.sleep
        )
    found = [one for one in found if wanted.app_id in ("", one.app_id) and wanted.lane in ("", one.lane)]
    show([structs.asdict(one) for one in found], CHECK_HEADINGS, form)
    wrong = [one for one in found if one.difference]
    if form is Format.TABLE:
        live, stored = sum(one.live for one in found), sum(one.store for one in found)
        typer.echo(f"{'✗ 不一致' if wrong else '✓ 一致'}：实时 {live}，轨迹库 {stored}")
    for place in silent:
        typer.echo(f"✗ 分区 {place} 无人报告，无法核对", err=True)
    return 1 if wrong or silent else 0


def reconciled(
    told: Sequence[Told],
    ask: Callable[[], list[OpenCount]],
    monotonic_s: Callable[[], float],
    sleep: Callable[[float], None],
) -> list[Checked]:
    """Both accounts of the moment of the reading, as soon as they agree, or when the store had time to catch up.

    They agree when the live count lies between what the store shows for the span of time in which it was told.
    """
    live = backlog.open_messages(told)
    until_s = monotonic_s() + PATIENCE_S
    while True:
        stored = {(one.app_id, one.lane): one for one in ask()}
        found = [_checked(place, live[place], stored.get(place)) for place in sorted(live.keys() | stored.keys())]
        if not any(one.difference for one in found) or monotonic_s() >= until_s:
            return [one for one in found if one.live or one.store]
        sleep(WATCH_S)


def _checked(place: tuple[str, str], live: int, stored: OpenCount | None) -> Checked:
    if stored is None:
        return Checked(*place, live, 0, live)
    nearest = min(max(live, stored.at_least), stored.at_most)
    return Checked(*place, live, stored.messages, live - nearest)


def register(main: typer.Typer) -> None:
    """Add `medpost backlog`."""
    main.command("backlog", help="积压：各应用、优先级、渠道在等多少、等了多久、为何停止。")(command)
