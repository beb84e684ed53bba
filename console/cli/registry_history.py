"""`medpost registry history`: who changed what when, the newest first, in sentences.

Reads the history topic and the closing records; needs no keys, shows no secret and nobody. Changes nothing.
"""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from console import words
from console.listing import Format, FormatOption, show
from console.registry_words import sentences
from infra import settings as settings_module
from infra.registry_changes import Change
from infra.registry_history import Applied, matching, read_history
from infra.snapshot import EMPTY
from schemas.configuration import ConfigChange

NAMES: Final = {"apps": "应用", "types": "消息类型", "channels": "渠道", "recipients": "收件人"}
ACTIONS: Final = {"added": "新增", "changed": "修改", "removed": "删除"}
SHOWN: Final = 20

Kind = Annotated[str, typer.Option("--kind", help="只看一种：apps | types | channels | recipients")]
ObjectId = Annotated[str, typer.Option("--id", help="只看一个对象")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="最多显示几次生效")]


def history(kind: Kind = "", object_id: ObjectId = "", limit: Limit = SHOWN, form: FormatOption = Format.TABLE) -> int:
    """Show the applies that took effect; exit code 1 when there is none such."""
    if kind and kind not in NAMES:
        raise typer.BadParameter(f"可用：{'、'.join(NAMES)}", param_hint="--kind")
    found = matching(read_history(settings_module.load()), kind, object_id)[:limit]
    if not found:
        typer.echo("没有这样的变更记录。", err=True)
        return 1
    if form is Format.TABLE:
        for applied in found:
            _print(applied)
    else:
        show([_row(applied, change) for applied in found for change in applied.changes], {}, form)
    return 0


def _print(applied: Applied) -> None:
    closing = applied.closing
    typer.echo(f"版本 {closing.version} · {words.moment(closing.at)} · {closing.author}")
    if not applied.changes:
        typer.echo("  （没有细目：早于变更记录）")
    for change in applied.changes:
        count = f" {change.count} 人" if change.kind == "recipients" else f" {change.object_id}"
        typer.echo(f"  {ACTIONS.get(change.action, change.action)}{NAMES.get(change.kind, change.kind)}{count}")
        for line in told(change):
            typer.echo(f"      {line}")


def told(change: ConfigChange) -> list[str]:
    """The sentences of a change as it is kept; whom it touched is not known any more."""
    if change.action != "changed":
        return []
    what = tuple((one.member, one.before, one.after) for one in change.members)
    spoken = sentences(Change(change.kind, change.object_id, change.action, what), EMPTY)
    return [line for line in spoken if not line.startswith("涉及：")]


def _row(applied: Applied, change: ConfigChange) -> dict[str, object]:
    at = datetime.fromtimestamp(applied.closing.at / 1000, UTC).isoformat(timespec="milliseconds")
    return {
        "version": applied.closing.version,
        "at": at,
        "author": applied.closing.author,
        "kind": change.kind,
        "id": change.object_id,
        "action": change.action,
        "count": change.count,
        "members": [{"member": one.member, "before": one.before, "after": one.after} for one in change.members],
    }


def register(registry: typer.Typer) -> None:
    """Add `medpost registry history`."""
    registry.command("history", help="谁在何时改了什么，最近的在前。")(history)
