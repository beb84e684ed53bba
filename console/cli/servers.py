"""`medpost up | down | status | doctor`: the embedded servers and the processes beside them.

Prints what `infra.local` reports. Never starts a server itself: the supervisor does.
"""

import json
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from msgspec import structs
from rich.console import Console
from rich.table import Table

from console.phrasebook import chinese
from infra import settings as settings_module
from infra.local import control, doctor
from infra.local.child import WAITS
from infra.local.control import Row
from infra.local.installation import load_here
from infra.settings import Settings

EXIT_NO: Final = 1
EXIT_MISSING: Final = 3
REGISTRY: Final = "registry"
"""Stands in the note of every process that waits for a first `medpost registry apply`."""


class Format(StrEnum):
    """How a listing is printed."""

    TABLE = "table"
    JSON = "json"


_STATE: Final = {
    "waiting": "等待",
    "starting": "启动中",
    "running": "运行",
    "restarting": "重启中",
    "crash loop": "反复崩溃",
    "stopped": "已停止",
    "dead": "已退出",
    "unsupervised": "运行（无监管）",
}


def register(app: typer.Typer) -> None:
    """Adds the four commands."""
    app.command("up", help="启动本地服务与各进程，并一直看管")(up)
    app.command("down", help="停止全部进程，不丢数据")(down)
    app.command("status", help="各进程的状态")(status)
    app.command("doctor", help="检查环境：缺什么、怎么补")(examine)


def up(
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="先清空主题、数据表和状态")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="不再询问")] = False,
    only_servers: Annotated[bool, typer.Option("--only-servers", help="只启动 broker、存储和模拟渠道商")] = False,
) -> None:
    """Starts everything and returns when it answers; says so when it runs already."""
    settings = load_here()
    if fresh:
        _wipe(settings, is_agreed=yes)
    control.prepare_up(settings)
    is_new = control.begin(settings, only_servers=only_servers)
    if not is_new:
        typer.echo(f"✓ 已在运行（{settings.home}）")
    late = _follow(settings, is_quiet=not is_new)
    _print_addresses(settings, has_roles=not only_servers)
    if not late:
        return
    notes = sorted({chinese(note) or "?" for _, note in late})
    names = ", ".join(name for name, _ in late)
    typer.secho(f"! 尚未就绪：{names}：{'；'.join(notes)}（medpost status）", fg=typer.colors.YELLOW)
    if any(REGISTRY in note for _, note in late):
        typer.echo("  → 尚未登记配置时：medpost registry apply --sample（示例医院），或 apply 自己的文件")
    if not all(note.startswith(WAITS) for _, note in late):
        raise typer.Exit(EXIT_NO)


def _wipe(settings: Settings, *, is_agreed: bool) -> None:
    if not is_agreed:
        typer.confirm(f"清空 {settings.home} 的全部数据？", abort=True)
    control.end(settings)
    control.wipe(settings)


def _follow(settings: Settings, *, is_quiet: bool) -> list[tuple[str, str]]:
    """Prints a line when a process becomes ready or loops; name and note of those that are not ready in the end."""
    rows: dict[str, Any] = {}
    told: set[tuple[str, str]] = set()
    for row in control.follow(settings):
        name, state = row["name"], row["state"]
        rows[name] = row
        if not is_quiet and state in ("running", "crash loop") and (name, state) not in told:
            typer.echo(f"  {'✓' if state == 'running' else '✗'} {name} {_STATE[state]} {chinese(row['note'])}".rstrip())
            told.add((name, state))
    return [(name, row["note"]) for name, row in rows.items() if row["state"] != "running"]


def _print_addresses(settings: Settings, *, has_roles: bool) -> None:
    where = settings_module.endpoints(settings)
    # a DSN may carry a password: what stands before the @ is not shown
    store = where.clickhouse.rpartition("@")[2].removeprefix("http://")
    typer.echo(f"Kafka {where.kafka} · ClickHouse http://{store} · 模拟供应商 {where.simulators or '—'}")
    if where.simulators:
        typer.echo(f"模拟手机 {where.simulators}/phone")
    if has_roles:
        typer.echo(f"HTTP 接口 {settings_module.gateway_endpoint(settings)}/v1/docs")


def down() -> None:
    """Stops everything in order: processes, store, broker."""
    settings = load_here()
    stopped = control.end(settings)
    typer.echo(f"✓ 已停止：{'、'.join(stopped)}" if stopped else "没有在运行")


def status(output: Annotated[Format, typer.Option("--format", help="table 表格 | json")] = Format.TABLE) -> None:
    """Lists every process; exit code 1 when one is not running, 3 when nothing is up."""
    rows = control.look(load_here())
    if output is Format.JSON:
        typer.echo(json.dumps([structs.asdict(row) for row in rows], ensure_ascii=False))
    elif rows:
        Console().print(_table(rows))
    if not rows:
        typer.echo("没有在运行（用 medpost up 启动）", err=True)
        raise typer.Exit(EXIT_MISSING)
    if any(row.state != "running" for row in rows):
        raise typer.Exit(EXIT_NO)


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("进程", "PID", "状态", "重启", "运行时长", "内存 MB", "端口", "说明"):
        table.add_column(title, justify="left" if title in ("进程", "状态", "说明") else "right")
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    shown: tuple[Any, ...] = (
        row.name,
        row.pid or "—",
        _STATE.get(row.state, row.state),
        row.restarts,
        duration(row.uptime_s),
        row.memory_mb or "—",
        row.port or "—",
        chinese(row.note),
    )
    return tuple(str(cell) for cell in shown)


def duration(seconds: int) -> str:
    """A duration as people read it: `1d 02:03:04`."""
    days, rest = divmod(seconds, 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}d {clock}" if days else clock


def examine() -> None:
    """One line per thing the platform stands on; exit code 3 when it cannot start, 1 when it is not running."""
    code = 0
    for finding in doctor.examine(load_here()):
        mark = "✓" if finding.is_well else "✗" if finding.code else "!"
        typer.echo(f"{mark} {finding.what:10} {chinese(finding.detail)}")
        if finding.is_well:
            continue
        code = max(code, finding.code)
        if finding.remedy:
            typer.echo(f"             → {chinese(finding.remedy)}")
    if code:
        raise typer.Exit(code)
