"""`medpost sample`: the main job from end to end, with a sample hospital (虚构), shown step by step.

Starts what is not up, loads the registry, publishes a day of all its systems, follows every message to its
end, and prints what came of it. Stops again what it started itself, unless told to keep it.
"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from console import words
from console.cli.registry import apply_place, sample_folder
from console.listing import Format, show
from console.provisioning import provision_installation
from console.sample import outcomes, tour
from console.sample.hospital import SampleTotals, publish_sample
from console.sample.phone import Phone, Received
from console.sentences import told as in_words
from infra import queries
from infra import settings as settings_module
from infra.clickhouse import Store
from infra.local import control
from infra.local.installation import load_here
from infra.settings import Settings
from infra.simulators.inbox import masked
from infra.snapshot import Snapshot
from infra.standing import in_order

Keep = Annotated[bool, typer.Option("--keep", help="结束后保持运行")]

SHOWN_MESSAGES: Final = 8
"""Messages of the phone that are printed; `since` finds them all."""
SEARCHED_MESSAGES: Final = 1_000
PLAIN_EVERY_S: Final = 5.0
"""Between two progress lines where there is no terminal."""


def sample(*, keep: Keep = False) -> int:
    """Run the sample hospital's day and show what came of it; exit code 1 when a message has no end."""
    settings, began = load_here(), time.monotonic()
    memory = tour.Memory(settings)
    _head(1, "启动本地 Kafka、存储、模拟供应商与各进程")
    is_ours = tour.start(settings, typer.echo)
    try:
        code = _day(settings, memory)
    finally:
        if is_ours and not keep:
            control.end(settings)
    _head(7, f"完成：用时 {time.monotonic() - began:.0f} 秒，全部进程内存峰值 {memory.peak_mb} MB")
    _next_steps(is_running=keep or not is_ours)
    return code


def _day(settings: Settings, memory: tour.Memory) -> int:
    _head(2, "登记示例医院")
    provision_installation(settings)
    version, _ = apply_place(settings, sample_folder(), author="sample")
    phone = Phone(tour.simulators_of(settings))
    snapshot = tour.snapshot_of(settings)
    approved = phone.approve_templates(snapshot)
    typer.echo(f"  ✓ {len(snapshot.apps)} 个系统、{len(snapshot.types)} 种消息、{len(snapshot.channels)} 个渠道")
    typer.echo(f"  ✓ 登记版本 {version}；{approved} 个短信与微信模板已在模拟供应商处报备")
    tour.start_roles(settings)
    tour.wait_ready(settings, typer.echo, memory)
    since_ms = time.time_ns() // 1_000_000
    _head(3, "各系统发布一天的事件：HIS、检验、影像、收费、病历、手术、产科、药房、护理等")
    totals = publish_sample(settings, f"{since_ms:x}", lambda line: typer.echo(f"  {line}"))
    _published(totals)
    _head(4, "等待每条消息得到最终状态")
    finished = _follow(settings, since_ms, totals.awaited, memory)
    with Store(settings_module.endpoints(settings).clickhouse) as store:
        _outcomes(store, since_ms, snapshot)
        _timeline(store, since_ms)
    _head(6, "手机与工作站收到了什么")
    _phone(list(phone.received(since_ms)))
    if finished < totals.awaited:
        typer.secho(f"✗ {totals.awaited - finished} 条消息没有最终状态", fg=typer.colors.RED, err=True)
        return 1
    return 0


def _head(number: int, text: str) -> None:
    typer.secho(f"\n[{number}/7] {text}", bold=True)


def _published(totals: SampleTotals) -> None:
    """The day's input, accounted for: what was read is published, repeated, without a rule, or refused."""
    show(totals.rows(), SampleTotals.HEADINGS, Format.TABLE)
    balance = "相符" if totals.is_reconciled else "不符"
    typer.echo(f"  读入 {totals.read}，已发布 {totals.awaited} 条消息，账目{balance}")


def _follow(settings: Settings, since_ms: int, awaited: int, memory: tour.Memory) -> int:
    """Show how many have ended, as a bar on a terminal and as plain lines elsewhere; returns the last count."""
    console = Console()
    finished, shown = 0, 0.0
    columns = (TextColumn("  最终状态"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=awaited)
        for finished in tour.follow(settings, since_ms, awaited, memory):
            bar.update(task, completed=finished)
            if not console.is_terminal and time.monotonic() - shown > PLAIN_EVERY_S:
                typer.echo(f"  {finished}/{awaited}")
                shown = time.monotonic()
    typer.echo(f"  ✓ {finished}/{awaited}")
    return finished


def _outcomes(store: Store, since_ms: int, snapshot: Snapshot) -> None:
    _head(5, "结果：按类型与渠道；拒绝：按原因")
    found = queries.outcomes_by_type_and_channel(store, since_ms)
    show(outcomes.rows(found, snapshot), outcomes.headings(snapshot), Format.TABLE)
    typer.echo(f"  {outcomes.totals(found)}。{outcomes.TIMED}")
    typer.echo(f"  {outcomes.ONCE}")
    refused = [
        {"reason": words.of_reason(row.reason), "app": row.app_id or "—", "requests": row.requests}
        for row in queries.refusals_by_reason(store, since_ms)
    ]
    typer.echo("")
    show(refused, {"reason": "拒绝原因", "app": "应用", "requests": "条数"}, Format.TABLE)


def _timeline(store: Store, since_ms: int) -> None:
    """One message that needed its fallback, event by event; any finished one where there is none."""
    found = queries.finished(store, queries.Selection(since_ms=since_ms, limit=SEARCHED_MESSAGES))
    if not found:
        return
    chosen = max(found, key=lambda fact: (fact.attempts > 1 and fact.status in outcomes.SUCCEEDED, fact.attempts))
    typer.secho(f"\n一条消息的经过 {chosen.message_id}", bold=True)
    events = in_order(queries.timeline_of(store, chosen.message_id, queries.days_of(store, chosen.message_id)))
    rows = [{"at": words.moment(event.at_ms), "told": in_words(event), "worker": event.worker} for event in events]
    show(rows, {"at": "时间", "told": "经过", "worker": "由"}, Format.TABLE)


def _phone(received: Sequence[Received]) -> None:
    newest: dict[tuple[str, str], Received] = {}
    for message in received:
        newest[message.channel, (message.title or message.text)[:12]] = message
    rows = [
        {
            "at": words.moment(message.at)[11:19],
            "channel": message.channel,
            "to": masked(message.recipient),
            "text": " ".join(f"{message.title} {message.text}".split()),
        }
        for message in by_turns(newest.values())[:SHOWN_MESSAGES]
    ]
    show(rows, {"at": "时间", "channel": "渠道", "to": "收件人", "text": "内容"}, Format.TABLE)
    typer.echo(f"  {counted(received)}")


def counted(received: Iterable[Received]) -> str:
    """How many arrived, in all and by channel, the busiest first."""
    by_channel = Counter(message.channel for message in received)
    listed = "、".join(f"{channel} {count}" for channel, count in by_channel.most_common())
    return f"共收到 {by_channel.total()} 条" + (f"：{listed}" if listed else "")


def by_turns(received: Iterable[Received]) -> list[Received]:
    """One of each channel, then another of each, so that a few show them all."""
    by_channel: dict[str, list[Received]] = {}
    for message in received:
        by_channel.setdefault(message.channel, []).append(message)
    return [message for turn in zip_longest(*by_channel.values()) for message in turn if message is not None]


def _next_steps(*, is_running: bool) -> None:
    typer.echo("接下来可以试：" if is_running else "服务已停止，数据保留。接下来可以试（先 make up）：")
    steps = [
        "medpost messages list --since 1h" if is_running else "make up",
        "medpost phone open（浏览器里看手机收到了什么）",
        "medpost routing explain --type critical_value",
        "medpost messages events ID（上面任何一个编号）" if is_running else "medpost messages list --since 1h",
    ]
    for step in steps:
        typer.echo(f"  {step if step.startswith('make') else '.venv/bin/' + step}")


def register(app: typer.Typer) -> None:
    """Add `medpost sample`."""
    app.command("sample", help="示例医院的一天：从事件到手机，全程可见")(sample)
