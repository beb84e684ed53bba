"""`medpost messages get | events | list`: where a message is, what happened to it, which messages there are.

Asks the store, and of an open message the holds that stand in its way. Exit codes: 1 when the store knows no such
message, 2 for an id, an application or a type that is none, 3 when the store is not there.
"""

import contextlib
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Final

import msgspec
import typer

from console import holding, registered, words
from console.listing import Format, FormatOption, say_nothing_found, show, show_one
from console.sentences import remark, told
from infra import holds, queries
from infra import settings as settings_module
from infra.clickhouse import Store
from infra.clock import SystemClock
from infra.queries import Selection, TraceEvent
from infra.settings import Settings
from infra.standing import Standing, in_order, standing
from schemas import ids
from schemas.configuration import Hold
from schemas.errors import Permanent, UnavailableError
from schemas.statuses import FINAL_RANK, Stage, Status

app = typer.Typer(help="消息：现状、经过、清单", no_args_is_help=True)

Id = Annotated[str | None, typer.Argument(metavar="ID", help="消息编号 (UUID)")]
Reference = Annotated[str, typer.Option(metavar="APP/REF", help="用业务编号代替消息编号，例如 his/R20260801-17")]

PATIENCE_S: Final = 10
"""Somebody waits at a terminal: a store that does not answer by then is said to be away."""
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_MEMBERS: Final = {
    "message_id": "消息编号",
    "status": "状态",
    "reason": "原因",
    "held_by": "暂停",
    "app": "应用",
    "type": "类型",
    "lane": "优先级",
    "channel": "渠道",
    "attempts": "提交次数",
    "accepted_at": "受理时间",
    "finished_at": "结束时间",
    "latency": "历时",
    "possible_duplicate": "可能重复",
    "replay_id": "重放",
    "recipient_key": "接收人代号",
    "template_version": "模板版本",
    "config_version": "配置版本",
    "text_hash": "正文指纹",
    "address_hash": "地址指纹",
}
_EVENT_HEADINGS: Final = {
    "at": "时间",
    "after": "受理后",
    "stage_zh": "环节",
    "told": "经过",
    "detail": "备注",
    "worker": "由",
}
_LIST_HEADINGS: Final = {
    "accepted_at": "受理时间",
    "message_id": "消息编号",
    "app": "应用",
    "type": "类型",
    "lane": "优先级",
    "channel": "渠道",
    "status": "状态",
    "reason": "原因",
    "latency": "历时",
}


@app.command()
def get(message_id: Id = None, reference: Reference = "", form: FormatOption = Format.TABLE) -> None:
    """现状：状态、渠道、提交次数、历时、原因."""
    wanted = wanted_id(message_id, reference)
    settings = settings_module.load()
    with store_of(settings) as store:
        facts, events = queries.known_of(store, wanted)
    found = standing(facts, events)
    if found is None:
        raise _unknown(wanted)
    held = [] if found.is_final else _holds_on(settings, found, events)
    if form is Format.TABLE:
        show_one(_readable(found) | {"held_by": "\n".join(map(holding.told, held))}, _MEMBERS, form)
    else:
        plain = [{"scope": each.scope, "name": each.name} for each in held]
        show_one(_plain(found) | {"held_by": plain}, _MEMBERS, form)


@app.command()
def events(message_id: Id = None, reference: Reference = "", form: FormatOption = Format.TABLE) -> None:
    """经过：按时间列出发生的每一件事."""
    wanted = wanted_id(message_id, reference)
    with store_of(settings_module.load()) as store:
        timeline = in_order(queries.timeline_of(store, wanted, queries.days_of(store, wanted)))
    if not timeline:
        raise _unknown(wanted)
    begun_ms = next((event.accepted_at_ms for event in timeline if event.stage == Stage.ACCEPTED), 0)
    show([event_row(event, begun_ms, form) for event in timeline], _EVENT_HEADINGS, form)


@app.command("list")
def list_(
    app_id: Annotated[str, typer.Option("--app", help="应用")] = "",
    type_: Annotated[str, typer.Option("--type", help="消息类型")] = "",
    status: Annotated[str, typer.Option("--status", help="状态，例如 failed")] = "",
    since: Annotated[str, typer.Option("--since", help="30m | 24h | 7d | 2026-11-01 | 2026-11-01T08:00")] = "24h",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = 50,
    form: FormatOption = Format.TABLE,
) -> None:
    """清单：最新的在前，含尚未结束的."""
    if status and status not in {*Status}:
        raise typer.BadParameter(f"没有状态 {status}；有：{'、'.join(sorted(Status))}", param_hint="--status")
    selection = Selection(
        since_ms=since_ms(since, SystemClock().now_ms()), app_id=app_id, type=type_, status=status, limit=limit
    )
    settings = settings_module.load()
    with store_of(settings) as store:
        found = _listed(store, selection)
    if not found:
        _check_names(settings, app_id, type_)
    show([_readable(one) if form is Format.TABLE else _plain(one) for one in found], _LIST_HEADINGS, form)
    say_nothing_found(found, form)


def register(root: typer.Typer) -> None:
    """Add `medpost messages`."""
    root.add_typer(app, name="messages")


# -- what to ask


def store_of(settings: Settings) -> Store:
    """The store, asked on behalf of somebody at a terminal."""
    return Store(settings_module.store_endpoint(settings), PATIENCE_S)


def _holds_on(settings: Settings, one: Standing, events: Sequence[TraceEvent]) -> list[Hold]:
    """What is held by hand and stands in the message's way; nothing where no broker can tell."""
    snapshot = registered.glance(settings)
    with contextlib.suppress(UnavailableError):
        held = holds.read(settings) if snapshot is not None else []
        return list(holding.in_the_way(one, events, held, snapshot))
    return []


def wanted_id(message_id: str | None, reference: str) -> str:
    """The id that the user means, as text; raises BadParameter (exit 2)."""
    if bool(message_id) == bool(reference):
        raise typer.BadParameter("给出消息编号 ID 或 --reference APP/REF，二者之一")
    if reference:
        app_id, slash, own = reference.partition("/")
        if not (app_id and slash and own):
            raise typer.BadParameter("写成 APP/REF，例如 his/R20260801-17", param_hint="--reference")
        return ids.show(ids.from_reference(app_id, own))
    try:
        return ids.show(ids.parse(message_id or ""))
    except Permanent:
        raise typer.BadParameter(f"{message_id} 不是 UUID；业务编号请用 --reference APP/REF", param_hint="ID") from None


def since_ms(text: str, now_ms: int) -> int:
    """UTC milliseconds of `30m`, `24h`, `7d` ago, or of a date or time in Asia/Shanghai; raises BadParameter."""
    ago = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if ago:
        return now_ms - int(timedelta(**{_UNITS[ago[2]]: int(ago[1])}).total_seconds() * 1000)
    try:
        return int(words.read_time(text).timestamp() * 1000)
    except ValueError:
        raise typer.BadParameter("写成 30m、24h、7d、2026-11-01 或 2026-11-01T08:00", param_hint="--since") from None


def _listed(store: Store, selection: Selection) -> list[Standing]:
    """Finished and open messages, newest first. An open status is computed, so more are read and then chosen."""
    wants_final = not selection.status or selection.status in FINAL_RANK
    wants_open = not selection.status or selection.status not in FINAL_RANK
    found: list[Standing | None] = []
    if wants_final:
        found += [standing([fact], []) for fact in queries.finished(store, selection)]
    if wants_open:
        wider = msgspec.structs.replace(selection, limit=10_000) if selection.status else selection
        found += [standing([], timeline) for timeline in queries.timelines_of_open(store, wider)]
    chosen = [one for one in found if one is not None and selection.status in ("", one.status)]
    return sorted(chosen, key=lambda one: (-one.accepted_at_ms, one.message_id))[: selection.limit]


def _check_names(settings: Settings, app_id: str, kind: str) -> None:
    """Nothing was found: raises BadParameter where the registry has no such application or type."""
    snapshot = registered.glance(settings) if app_id or kind else None
    if snapshot is None:
        return
    asked = (("--app", "应用", app_id, snapshot.apps), ("--type", "消息类型", kind, snapshot.types))
    for option, what, name, known in asked:
        if name and name not in known:
            text = f"没有登记的{what} {name}；{registered.instead(name, known)}"
            raise typer.BadParameter(text, param_hint=option)


def _unknown(message_id: str) -> Exception:
    typer.secho(f"✗ 查无此消息：{message_id}", fg=typer.colors.RED, err=True)
    typer.secho("  → 刚提交的消息最迟 2 秒后可查；请核对编号，或用 --reference APP/REF 查询", err=True)
    return typer.Exit(1)


# -- what to show


def _plain(one: Standing) -> dict[str, Any]:
    """A standing for programs: the contract's words, times with their offset, durations in milliseconds."""
    row = msgspec.structs.asdict(one)
    accepted, finished = row.pop("accepted_at_ms"), row.pop("finished_at_ms")
    row["accepted_at"] = words.iso(accepted)
    row["finished_at"] = None if finished is None else words.iso(finished)
    return row


def _readable(one: Standing) -> dict[str, Any]:
    """A standing for people: Chinese words beside the contract's, local times, round durations."""
    return {
        **msgspec.structs.asdict(one),
        "app": one.app_id,
        "status": words.of_status(one.status) + ("" if one.is_final else "（未结束）"),
        "reason": words.of_reason(one.reason),
        "lane": words.of_lane(one.lane),
        "accepted_at": words.moment(one.accepted_at_ms),
        "finished_at": None if one.finished_at_ms is None else words.moment(one.finished_at_ms),
        "latency": None if one.latency_ms is None else words.span(one.latency_ms),
        **{name: getattr(one, name) or None for name in ("replay_id", "template_version", "config_version")},
    }


def event_row(event: TraceEvent, begun_ms: int, form: Format) -> dict[str, Any]:
    """One event of a timeline as a row; `begun_ms`: when the message was asked for first."""
    is_again = event.stage == Stage.ACCEPTED and event.accepted_at_ms != begun_ms
    if form is Format.TABLE:
        return {
            "at": words.moment(event.at_ms),
            "after": words.span(event.at_ms - event.accepted_at_ms),
            "stage_zh": words.of_stage(event.stage),
            "told": told(event, is_again=is_again),
            "detail": remark(event),
            "worker": event.worker,
        }
    row = msgspec.structs.asdict(event)
    at, accepted, until = row.pop("at_ms"), row.pop("accepted_at_ms"), row.pop("until_ms")
    row["at"], row["accepted_at"] = words.iso(at), words.iso(accepted)
    row["until"] = words.iso(until) if until else None
    row["told"] = told(event, is_again=is_again)
    return row
