"""`medpost accounts`: how the account of every provider stands now: open, broken, paused, used up; its rate and quota.

Reads what the sink processes tell each other once a second. It never calls a provider.
"""

from collections.abc import Iterable
from typing import Final

import typer

from console import words
from console.listing import Format, FormatOption, show
from infra import settings as settings_module
from infra.clock import SystemClock
from infra.holds import Scope, read
from infra.kafka import LogReader
from infra.settings import Settings
from schemas import topics
from schemas.errors import Permanent
from schemas.records import AccountUse
from schemas.statuses import LANE_RANK, Lane
from sinks.breaker import State
from sinks.exchange import QUIET_S, USE
from sinks.quota import day_of

STATES: Final[dict[str, str]] = {
    State.OPEN: "可用",
    State.PROBING: "试探中",
    State.BROKEN: "熔断",
    State.PAUSED: "限速等待",
    State.USED_UP: "当日额度用尽",
    "held": "人工暂停",
}
HEADINGS: Final = {
    "channel": "渠道",
    "provider": "渠道商",
    "lane": "通道",
    "state": "状态",
    "until": "至",
    "used_per_s": "每秒",
    "wanted_per_s": "所需每秒",
    "used_slots": "进行中",
    "calls": "今日",
    "per_day": "日额度",
}
NOBODY: Final = "空闲"
ALIVE_MS: Final = round(3 * QUIET_S * 1000)
"""Who has told nothing for so long does not use the account, or is gone (`medpost status` tells); its calls of today
are counted."""


def accounts(form: FormatOption = Format.TABLE) -> int:
    """Print one row per account and lane; exit code 1 when one is not open."""
    settings = settings_module.load()
    held = {(each.scope, each.name) for each in read(settings)}
    found = rows(uses(settings), held, SystemClock().now_ms())
    if not found and form is Format.TABLE:
        typer.echo("还没有发送进程报告过：medpost status 查看进程。", err=True)
        return 1
    show(found, HEADINGS, form)
    return 0 if all(row["state"] == NOBODY or str(row["state"]).endswith(State.OPEN) for row in found) else 1


def rows(uses: Iterable[AccountUse], held: set[tuple[str, str]], now_ms: int) -> list[dict[str, object]]:
    """One row per account and lane that is served, or was today: the worst state, and the sum of all processes."""
    groups: dict[tuple[str, str, int], list[AccountUse]] = {}
    for use in uses:
        groups.setdefault((use.channel, use.provider, LANE_RANK[Lane(use.lane)]), []).append(use)
    found = [_row(groups[place], held, now_ms) for place in sorted(groups)]
    return [row for row in found if row["state"] != NOBODY or row["calls"]]


def _row(uses: list[AccountUse], held: set[tuple[str, str]], now_ms: int) -> dict[str, object]:
    alive = [use for use in uses if use.at >= now_ms - ALIVE_MS]
    worst = max(alive, key=lambda use: [*State].index(State(use.state)), default=uses[0])
    is_held = {(Scope.CHANNEL, worst.channel), (Scope.PROVIDER, worst.provider)} & held
    state = "held" if is_held else worst.state if alive else ""
    return {
        "channel": worst.channel,
        "provider": worst.provider,
        "lane": words.of_lane(worst.lane),
        "state": f"{STATES[state]} {state}" if state else NOBODY,
        "until": words.moment(worst.until) if worst.until > now_ms and not is_held else "",
        "used_per_s": round(sum(use.used_per_s for use in alive), 1),
        "wanted_per_s": round(sum(use.wanted_per_s for use in alive), 1),
        "used_slots": sum(use.used_slots for use in alive),
        "calls": sum(use.calls for use in uses if use.day == day_of(now_ms)),
        "per_day": worst.per_day or "",
    }


def uses(settings: Settings) -> list[AccountUse]:
    """What every process told last, of days that are still kept; raises UnavailableError."""
    latest: dict[bytes, AccountUse] = {}
    with LogReader(settings_module.kafka_endpoint(settings)) as reader:
        for record in reader.read_all(topics.ACCOUNTS.named(settings.namespace)):
            latest.pop(record.key or b"", None)
            if record.value is not None:
                try:
                    latest[record.key or b""] = USE.decode(record.value)
                except Permanent:
                    continue  # a later release's
    return [*latest.values()]


def register(main: typer.Typer) -> None:
    """Add `medpost accounts`."""
    main.command("accounts", help="各渠道商账户的状态：可用、熔断、限速、额度。")(accounts)
