"""`medpost registry apply | diff | show | history`: the configuration of an installation, from files to every process.

Checks files as a whole before anything is written, says what would change, and never shows a secret or an address.
"""

import getpass
import sys
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Console

from console import kafka_quotas, words
from console.cli import registry_history, registry_show
from console.listing import Format, FormatOption
from console.provisioning import provision_installation
from console.registry_words import sentences
from infra import settings as settings_module
from infra.clock import SystemClock
from infra.crypto import load_keyring
from infra.registry_changes import (
    ADDED,
    CHANGED,
    REMOVED,
    Change,
    Current,
    Loss,
    Writer,
    changes,
    great_losses,
    read_current,
)
from infra.registry_files import Wanted, load
from infra.registry_forms import ChannelForm, TemplateForm
from infra.registry_problems import BadFilesError
from infra.registry_rules import Account, Checks
from infra.settings import Settings
from infra.snapshot import resolved
from schemas.configuration import AppConfig
from schemas.errors import Permanent
from sinks import catalogue
from streams.render import variables_in

app = typer.Typer(help="配置登记：应用、消息类型、渠道、收件人。", no_args_is_help=True)

KINDS: Final = {"apps": "应用", "types": "消息类型", "channels": "渠道", "recipients": "收件人"}
SIGNS: Final = {ADDED: ("+", "green"), CHANGED: ("~", "yellow")}
ANYWHERE: Final = "http://127.0.0.1"
"""Stands for the simulators while a channel's settings are checked and none are up."""
LISTED: Final = 20
"""Objects of one kind that `diff` names; the others are counted."""

Place = Annotated[Path | None, typer.Argument(help="一个 .yaml 文件，或含有 .yaml 的目录")]
Sample = Annotated[bool, typer.Option("--sample", help="使用自带的示例医院（虚构）")]
Force = Annotated[bool, typer.Option("--force", help="即使要删除某一种类五分之一以上的对象也生效")]
Deletes = Annotated[bool, typer.Option("--delete", help="删除文件中所涉种类里未写出的对象")]


def sample_folder() -> Path:
    """Where the sample hospital's registry files are."""
    return Path(str(resources.files("console"))) / "sample" / "registry"


def checks(simulators_url: str) -> Checks:
    """The questions that only the pillars can answer, asked of them."""
    known = catalogue.discover()

    def levels_of(channel: str, provider: str) -> Collection[str]:
        return known.find(channel, provider).capability.levels

    def settings_of(form: ChannelForm) -> None:
        known.check(resolved(form.record(), simulators_url or ANYWHERE), form.secrets)

    def template_of(channel: str, account: Account, template: TemplateForm) -> str:
        try:
            kind = known.find(channel, account.provider).kind
            return kind.template_problem(account.settings, template.template_code, template.parameters)
        except (Permanent, ValueError):
            return ""  # told where the provider itself stands

    return Checks(variables_in, levels_of, settings_of, template_of)


def wanted_from(place: Path, current: Current, settings: Settings) -> Wanted:
    """The files' objects, checked against each other and against the registry; raises BadFilesError."""
    return load(place, current.snapshot, checks(settings_module.simulators_endpoint(settings)))


class GreatLossError(Exception):
    """More than a fifth of a kind would be deleted, and nobody said that this is meant; nothing was written."""

    def __init__(self, losses: list[Loss]) -> None:
        super().__init__("more than a fifth of a kind would be deleted")
        self.losses = losses


class Done(NamedTuple):
    """What an apply has done: the version in force, the changes written, the applications before and after them."""

    version: int
    changes: list[Change]
    before: Mapping[str, AppConfig]
    after: Mapping[str, AppConfig]


def apply_place(
    settings: Settings, place: Path, *, deletes: bool = False, author: str = "", forced: bool = False
) -> tuple[int, list[Change]]:
    """Apply files to the registry: (version in force, changes written).

    Raises BadFilesError, UnavailableError; GreatLossError unless `forced`.
    """
    done = _applied(settings, place, deletes, author, forced)
    return done.version, done.changes


def _applied(settings: Settings, place: Path, deletes: bool, author: str, forced: bool) -> Done:
    keyring = load_keyring(settings)
    current = read_current(settings, keyring)
    wanted = wanted_from(place, current, settings)
    found = changes(current, wanted, keyring, deletes=deletes)
    losses = great_losses(current, found)
    if losses and not forced:
        raise GreatLossError(losses)
    writer = Writer(settings, keyring)
    try:
        made = writer.apply(current, wanted, found, author or getpass.getuser(), SystemClock().now_ms())
    finally:
        writer.close()
    held = current.snapshot.apps
    return Done(made.version, found, held, apps_after(held, wanted, found))


@app.command("apply", help="校验文件并整体生效：全部有效才写入，一秒内各进程同时切换。")
def apply_(place: Place = None, sample: Sample = False, delete: Deletes = False, force: Force = False) -> int:
    """Check the files and put them into effect as a whole."""
    settings, chosen = settings_module.load(), _place(place, sample)
    provision_installation(settings)
    try:
        done = _applied(settings, chosen, delete, "", force)
    except BadFilesError as refused:
        return _refuse(refused)
    except GreatLossError as refused:
        return _refuse_loss(refused)
    if done.changes:
        counted = "，".join(f"{KINDS[kind]} {count}" for kind, count in _counts(done.changes).items())
        typer.echo(f"✓ 版本 {done.version} 已生效：{counted}。")
    else:
        typer.echo(f"没有变化，仍为版本 {done.version}。")
    _say(kafka_quotas.put_into_effect(settings, done.before, done.after))
    return 0


@app.command("diff", help="说明应用这些文件会改变什么，不写入任何内容；退出码 1 表示有变化。")
def diff(place: Place = None, sample: Sample = False, delete: Deletes = False) -> int:
    """Say what an apply would change; the exit code is 1 when it would."""
    settings = settings_module.load()
    keyring = load_keyring(settings)
    current = read_current(settings, keyring)
    try:
        wanted = wanted_from(_place(place, sample), current, settings)
    except BadFilesError as refused:
        return _refuse(refused)
    found = changes(current, wanted, keyring, deletes=delete)
    _print_changes(found, current)
    for line in _loss_lines(great_losses(current, found)):
        typer.secho(f"! {line}（apply 时需加 --force）", fg=typer.colors.YELLOW)
    after = apps_after(current.snapshot.apps, wanted, found)
    quotas, besides = kafka_quotas.differing(settings, current.snapshot.apps, after)
    _say([*(kafka_quotas.Line(f"~ {kafka_quotas.sentence(change)}") for change in quotas), *besides])
    return 1 if found or quotas else 0


def apps_after(held: Mapping[str, AppConfig], wanted: Wanted, found: list[Change]) -> dict[str, AppConfig]:
    """The applications as they will be when the changes are written."""
    gone = {change.object_id for change in found if change.kind == "apps" and change.action == REMOVED}
    return {app_id: app for app_id, app in {**held, **wanted.apps}.items() if app_id not in gone}


def _say(lines: list[kafka_quotas.Line]) -> None:
    for line in lines:
        if line.is_warning:
            typer.secho(f"! {line.text}", fg=typer.colors.YELLOW, err=True)
        else:
            typer.echo(line.text)


@app.command(
    "show", help="显示当前生效的版本与各类对象；types 加标识：一个消息类型的参数、渠道与模板。不显示密钥与地址。"
)
def show_(what: registry_show.What = "", name: registry_show.Name = "", form: FormatOption = Format.TABLE) -> int:
    """Show the version in force and its objects, those of one kind, or all that a sender needs to know of a type."""
    registry_show.check(what, name)
    settings = settings_module.load()
    keyring = load_keyring(settings)
    current = read_current(settings, keyring)
    if current.snapshot.version == 0:
        typer.echo("登记为空：运行 `medpost registry apply --sample` 或给出自己的文件。", err=True)
        return 1
    if form is Format.TABLE:
        snapshot = current.snapshot
        typer.echo(f"版本 {snapshot.version} · {words.moment(snapshot.at)} · {snapshot.author}")
    for bad in current.bad:
        stays = "沿用旧值" if bad.has_old_value else "没有旧值可用"
        what = f"! {KINDS[bad.kind]} {bad.object_id} 的最新记录（偏移 {bad.offset}）无法读取，{stays}"
        typer.secho(f"{what} → 重新 apply 它的文件", fg=typer.colors.RED, err=True)
    return registry_show.print_objects(current, (what, name), form)


def _place(place: Path | None, sample: bool) -> Path:
    if sample == (place is not None):
        raise typer.BadParameter("给出 PATH 或 --sample 之一", param_hint="PATH")
    return sample_folder() if place is None else place


def _refuse(refused: BadFilesError) -> int:
    for problem in refused.problems:
        typer.secho(f"✗ {problem}", fg=typer.colors.RED, err=True)
    typer.secho(f"共 {len(refused.problems)} 处问题，什么也没有写入。", err=True)
    return 1


def _refuse_loss(refused: GreatLossError) -> int:
    for line in _loss_lines(refused.losses):
        typer.secho(f"✗ {line}", fg=typer.colors.RED, err=True)
    typer.secho("超过五分之一，什么也没有写入。确实要删除时加 --force；否则检查文件是否写全。", err=True)
    return 1


def _loss_lines(losses: list[Loss]) -> list[str]:
    return [
        f"将删除 {loss.held} 个{KINDS[loss.kind]}中的 {loss.gone} 个"
        + (f"：{'、'.join(loss.ids[:LISTED])}" if loss.ids else "")
        + (" ……" if len(loss.ids) > LISTED else "")
        for loss in losses
    ]


def _counts(found: list[Change]) -> dict[str, int]:
    return {kind: count for kind in KINDS if (count := sum(change.kind == kind for change in found))}


def _print_changes(found: list[Change], current: Current) -> None:
    if not found:
        typer.echo("没有变化。")
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for kind, name in KINDS.items():
        of_kind = [change for change in found if change.kind == kind]
        for change in of_kind[:LISTED]:
            sign, colour = SIGNS.get(change.action, ("-", "red"))
            console.print(f"{sign} {name} {change.object_id}", style=colour, markup=False)
            for sentence in sentences(change, current.snapshot):
                console.print(f"    {sentence}", markup=False)
        if len(of_kind) > LISTED:
            console.print(f"  …… 另有 {len(of_kind) - LISTED} 个{name}", markup=False)


def register(main: typer.Typer) -> None:
    """Add `medpost registry`."""
    registry_history.register(app)
    main.add_typer(app, name="registry")
