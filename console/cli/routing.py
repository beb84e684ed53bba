"""`medpost routing explain`: what would be sent where, in which order, and why; sends nothing.

The decision is the one intake runs (`streams.route`) on the registry in force; only the words are made here.
"""

from collections.abc import Mapping
from typing import Annotated, Final

import typer

from console import words
from console.listing import Format, FormatOption, show
from console.record_rules import anywhere
from console.sentences import reason_of
from infra import settings as settings_module
from infra.crypto import load_keyring
from infra.registry_changes import Current, read_current
from infra.snapshot import Snapshot
from schemas.configuration import Address, AppConfig, MessageType
from schemas.errors import Permanent, Reason
from schemas.records import Message
from schemas.statuses import Status
from streams.authenticate import authorise, is_granted
from streams.route import Routed, order, route

app = typer.Typer(help="路由：权重与阈值如何决定发送。", no_args_is_help=True)

HEADINGS: Final = {
    "step": "次序",
    "channel": "渠道",
    "weight": "权重",
    "role": "方式",
    "success": "成功标准",
    "timeout": "超时",
    "reason": "说明",
}


@app.command("explain", help="说明一条消息会走哪些渠道、按什么次序、为何跳过；不发送任何内容。")
def explain(
    kind: Annotated[str, typer.Option("--type", help="消息类型，例如 lab_report")],
    app_id: Annotated[str, typer.Option("--app", help="应用标识；缺省取有权发送的第一个")] = "",
    recipient: Annotated[
        str, typer.Option("--recipient", help="收件人，例如 patient_id:P0001；缺省视为各渠道皆可达")
    ] = "",
    channels: Annotated[str, typer.Option("--channels", help="发送方所选渠道，逗号分隔")] = "",
    form: FormatOption = Format.TABLE,
) -> int:
    """Print the decision for a message of that type."""
    settings = settings_module.load()
    current = read_current(settings, load_keyring(settings))
    message = Message(
        app_id=app_id or _sender(current.snapshot, kind),
        type=kind,
        channels=[name for name in channels.split(",") if name],
    )
    policy = authorise(message, current.snapshot)
    addresses = _addresses(current, policy[1], recipient)
    routed = route(message, policy, current.snapshot.channels, addresses)
    if form is Format.TABLE:
        typer.echo(_headline(current.snapshot, policy))
    show(rows(routed, policy[1].threshold), HEADINGS, form)
    return 0 if any(not each.skip for each in routed) else 1


def rows(routed: list[Routed], threshold: float) -> list[dict[str, object]]:
    """The decision as rows: what is sent at once, what stands by and in which order, what is skipped and why."""
    always, fallbacks = order(routed, threshold)
    listed = [_row(each, "1", f"立即：权重 ≥ 阈值 {threshold:g}", "always") for each in always]
    first = 2 if always else 1
    for step, each in enumerate(fallbacks, start=first):
        why = "无立即渠道，由权重最高者先发" if step == 1 else "前面的渠道均失败或超时后才发"
        listed.append(_row(each, str(step), why, "fallback"))
    return listed + [_row(each, "—", reason_of(each.skip, each.cause), "skip") for each in routed if each.skip]


def _row(each: Routed, step: str, reason: str, role: str) -> dict[str, object]:
    entry = each.entry
    return {
        "step": step,
        "channel": entry.channel,
        "weight": entry.weight,
        "role": {"always": "立即", "fallback": "备用", "skip": "跳过"}[role],
        "success": "渠道商已接收 accepted" if entry.success == Status.ACCEPTED else words.of_status(entry.success),
        "timeout": f"{entry.timeout_ms / 1000:g} s",
        "reason": reason,
    }


def _headline(snapshot: Snapshot, policy: tuple[AppConfig, MessageType]) -> str:
    sender, kind = policy
    repeats = f" · 每 {kind.repeat_days} 天一次，共 {kind.repeat_times} 次" if kind.repeat_times > 1 else ""
    return f"{kind.name} {kind.type} · {sender.name} · {words.of_lane(kind.lane)}{repeats} · 版本 {snapshot.version}"


def _sender(snapshot: Snapshot, kind: str) -> str:
    """The first application that may send the type; raises Permanent(type_unknown | type_not_granted)."""
    if kind not in snapshot.types:
        raise Permanent(Reason.TYPE_UNKNOWN, f"消息类型 {kind} 未登记：运行 `medpost registry show` 查看")
    for each in snapshot.apps.values():
        if is_granted(each.types, kind):
            return each.app_id
    raise Permanent(Reason.TYPE_NOT_GRANTED, f"没有应用获准发送 {kind}")


def _addresses(current: Current, kind: MessageType, recipient: str) -> Mapping[str, Address]:
    if not recipient:
        return anywhere(kind)
    id_type, _, id_value = recipient.partition(":")
    for person in current.recipients.values():
        if any((known.id_type, known.id_value) == (id_type, id_value) for known in person.identities):
            return {address.channel: address for address in person.addresses}
    raise Permanent(Reason.RECIPIENT_UNKNOWN, "收件人目录中没有这个标识：形如 patient_id:P0001")


def register(main: typer.Typer) -> None:
    """Add `medpost routing`."""
    main.add_typer(app, name="routing")
