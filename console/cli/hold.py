"""`medpost hold | release | holds`: stop a message type, channel, application or provider by hand, and let it go on.

A hold stops at the next claim, in every process within a second; what is held waits and is not lost. Names are checked
against the registry, so that a misspelt hold is refused and not believed.
"""

import getpass
from collections.abc import Collection
from typing import Annotated, Final

import typer

from console import words
from console.holding import NAMES
from console.listing import Format, FormatOption, show
from infra import settings as settings_module
from infra.clock import SystemClock
from infra.crypto import load_keyring
from infra.holds import Scope, read, write
from infra.registry_changes import read_current
from infra.settings import Settings
from infra.snapshot import Snapshot, accounts_of
from schemas.configuration import Hold
from schemas.errors import Permanent, Reason

HEADINGS: Final = {"scope": "种类", "name": "名称", "since": "自", "by": "操作人", "note": "说明"}

TypeOption = Annotated[str, typer.Option("--type", help="消息类型，例如 lab_report")]
ChannelOption = Annotated[str, typer.Option("--channel", help="渠道，例如 sms")]
AppOption = Annotated[str, typer.Option("--app", help="应用，例如 his")]
ProviderOption = Annotated[str, typer.Option("--provider", help="渠道商，例如 aliyun")]


def hold(
    kind: TypeOption = "",
    channel: ChannelOption = "",
    app_id: AppOption = "",
    provider: ProviderOption = "",
    note: Annotated[str, typer.Option("--note", help="原因；不要写个人信息")] = "",
) -> int:
    """Hold one thing until it is released."""
    scope, name = _chosen(kind, channel, app_id, provider)
    settings = settings_module.load()
    known = names(read_current(settings, load_keyring(settings)).snapshot, scope)
    if name not in known:
        listed = "、".join(sorted(known)[:20]) or "无"
        raise Permanent(Reason.CONFIG_MISSING, f"没有登记的{NAMES[scope]} {name}（已登记：{listed}）；什么也没有暂停")
    _write(settings, scope, name, is_held=True, note=note)
    typer.echo(f"✓ 已暂停{NAMES[scope]} {name}：一秒内不再提交新的发送，消息保留在队列中。")
    typer.echo(f"  恢复：medpost release --{scope} {name}")
    return 0


def release(
    kind: TypeOption = "", channel: ChannelOption = "", app_id: AppOption = "", provider: ProviderOption = ""
) -> int:
    """Release what is held; exit code 1 when it is not held."""
    scope, name = _chosen(kind, channel, app_id, provider)
    settings = settings_module.load()
    if not any((each.scope, each.name) == (scope, name) for each in read(settings)):
        typer.echo(f"{NAMES[scope]} {name} 并未暂停（medpost holds 查看）。", err=True)
        return 1
    _write(settings, scope, name, is_held=False, note="")
    typer.echo(f"✓ 已恢复{NAMES[scope]} {name}。")
    return 0


def holds(form: FormatOption = Format.TABLE) -> int:
    """List what is held."""
    found = read(settings_module.load())
    if not found and form is Format.TABLE:
        typer.echo("没有暂停任何东西。")
        return 0
    show([row(each, form) for each in found], HEADINGS, form)
    return 0


def row(each: Hold, form: Format) -> dict[str, object]:
    """One hold as a row: the contract's word and an ISO time for programs."""
    is_table = form is Format.TABLE
    said = f"{NAMES.get(each.scope, each.scope)} {each.scope}" if is_table else each.scope
    since = words.moment(each.at) if is_table else words.iso(each.at)
    return {"scope": said, "name": each.name, "since": since, "by": each.by, "note": each.note}


def names(snapshot: Snapshot, scope: Scope) -> Collection[str]:
    """What can be held in that scope, by the registry."""
    if scope is Scope.PROVIDER:
        return {each.provider for config in snapshot.channels.values() for each in accounts_of(config)}
    kinds = {Scope.TYPE: snapshot.types, Scope.CHANNEL: snapshot.channels, Scope.APP: snapshot.apps}
    return set(kinds[scope])


def _chosen(kind: str, channel: str, app_id: str, provider: str) -> tuple[Scope, str]:
    given = zip((Scope.TYPE, Scope.CHANNEL, Scope.APP, Scope.PROVIDER), (kind, channel, app_id, provider), strict=True)
    chosen = [(scope, name) for scope, name in given if name]
    if len(chosen) != 1:
        raise typer.BadParameter("给出 --type、--channel、--app、--provider 之一", param_hint="NAME")
    return chosen[0]


def _write(settings: Settings, scope: Scope, name: str, *, is_held: bool, note: str) -> None:
    write(settings, Hold(scope, name, is_held, getpass.getuser(), SystemClock().now_ms(), note))


def register(main: typer.Typer) -> None:
    """Add the three commands."""
    main.command("hold", help="暂停一个消息类型、渠道、应用或渠道商；消息保留，恢复后再发。")(hold)
    main.command("release", help="恢复所暂停的。")(release)
    main.command("holds", help="列出暂停着的。")(holds)
