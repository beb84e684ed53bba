"""What `medpost registry show` prints: every object a line, those of one kind, or one type as its senders need it.

Called by `console.cli.registry` with what it has read. Reads nothing itself; shows no secret, no address and nobody.
"""

from typing import Annotated, Final

import typer

from console import words
from console.listing import Format, show, show_one
from console.registered import instead
from infra.registry_changes import Current
from infra.snapshot import Snapshot, accounts_of
from schemas.configuration import MessageType, Parameter
from schemas.errors import Permanent, Reason
from streams.authenticate import is_granted

TYPES: Final = "types"
NAMES: Final = {"apps": "应用", TYPES: "消息类型", "channels": "渠道", "recipients": "收件人"}
HEADINGS: Final = {
    "kind": "种类",
    "id": "标识",
    "name": "名称",
    "status": "状态",
    "policy": "要点",
    "parameters": "参数（? 为选填）",
}
TYPE_HEADINGS: Final = {
    "id": "标识",
    "name": "名称",
    "status": "状态",
    "lane": "通道",
    "channels": "渠道",
    "threshold": "阈值",
    "parameters": "参数",
    "free_text": "自由文本",
    "apps": "可由谁发送",
}

What = Annotated[str, typer.Argument(metavar="[KIND]", help="只看一种：apps | types | channels | recipients")]
Name = Annotated[str, typer.Argument(metavar="[ID]", help="types 之后：一个消息类型的标识，例如 payment_due")]


def check(what: str, name: str) -> None:
    """Raise BadParameter for a kind that there is not, or an id behind anything but types."""
    if what and what not in NAMES:
        raise typer.BadParameter(f"可用：{'、'.join(NAMES)}", param_hint="KIND")
    if name and what != TYPES:
        raise typer.BadParameter("只有消息类型可以单独显示：medpost registry show types 标识", param_hint="ID")


def print_objects(current: Current, asked: tuple[str, str], form: Format) -> int:
    """Print what was asked for (kind, id; "": all); raises Permanent(type_unknown)."""
    what, name = asked
    if name:
        return _print_type(current.snapshot, name, form)
    wanted = NAMES.get(what, "")
    rows = [{"parameters": "", **row} for row in _rows(current) if row["kind"] == wanted or not wanted]
    show(rows, HEADINGS, form)
    return 0


def _print_type(snapshot: Snapshot, name: str, form: Format) -> int:
    kind = snapshot.types.get(name)
    if kind is None:
        raise Permanent(Reason.TYPE_UNKNOWN, f"消息类型 {name} 未登记；{instead(name, snapshot.types)}")
    senders = [app.app_id for app in snapshot.apps.values() if is_granted(app.types, name)]
    told = _told(kind, senders)
    if form is not Format.TABLE:
        show_one(told, {}, form)
        return 0
    in_words = {
        "lane": words.of_lane(kind.lane),
        "channels": _channels(kind),
        "parameters": "、".join(map(_long, kind.parameters)) or "无",
        "free_text": "允许" if kind.free_text else "不允许",
        "apps": "、".join(senders) or "没有应用获得授权",
    }
    texts = {f"template {one.channel}": one.template.text if one.template else "没有模板" for one in kind.channels}
    headings = TYPE_HEADINGS | {f"template {one.channel}": f"模板 {one.channel}" for one in kind.channels}
    show_one(told | in_words | texts, headings, form)
    return 0


def _told(kind: MessageType, senders: list[str]) -> dict[str, object]:
    """The type for programs: lists stay lists."""
    return {
        "id": kind.type,
        "name": kind.name,
        "status": kind.status,
        "lane": kind.lane,
        "threshold": kind.threshold,
        "parameters": [
            {"name": one.name, "required": one.required, "max_chars": one.max_chars} for one in kind.parameters
        ],
        "free_text": kind.free_text,
        "channels": [
            {"channel": one.channel, "weight": one.weight, "text": one.template.text if one.template else None}
            for one in kind.channels
        ],
        "apps": senders,
    }


def _channels(kind: MessageType) -> str:
    return "、".join(f"{entry.channel} {entry.weight:g}" for entry in kind.channels)


def _short(parameter: Parameter) -> str:
    return parameter.name if parameter.required else f"{parameter.name}?"


def _long(parameter: Parameter) -> str:
    return f"{parameter.name}（{'必填' if parameter.required else '选填'}，至多 {parameter.max_chars} 字）"


def _rows(current: Current) -> list[dict[str, object]]:
    snapshot = current.snapshot
    rows: list[dict[str, object]] = [
        {"kind": "应用", "id": app.app_id, "name": app.name, "status": app.status, "policy": "、".join(app.types)}
        for app in snapshot.apps.values()
    ]
    rows += [
        {
            "kind": "消息类型",
            "id": kind.type,
            "name": kind.name,
            "status": kind.status,
            "policy": f"{words.of_lane(kind.lane)} · 阈值 {kind.threshold:g} · {_channels(kind)}",
            "parameters": "、".join(map(_short, kind.parameters)),
        }
        for kind in snapshot.types.values()
    ]
    rows += [
        {
            "kind": "渠道",
            "id": config.channel,
            "name": config.provider,
            "status": config.status,
            "policy": (f"权重 {config.weight:g} · " if channel.others else "")
            + f"{config.rate_per_s:g}/s · {config.base_url}",
        }
        for channel in snapshot.channels.values()
        for config in accounts_of(channel)
    ]
    return [*rows, {"kind": "收件人", "id": f"共 {len(current.recipients)} 人", "name": "", "status": "", "policy": ""}]
