"""What objects of the registry must not say about each other: references, provable levels, template variables.

Called by `infra.registry_files` with all objects of all files. Each rule is a function from one object to problems.
What only a pillar knows (a template's variables, a provider's abilities) is asked through `Checks`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from msgspec import Struct

from infra.client_quotas import user_of
from infra.registry_apps import AppForm
from infra.registry_forms import ChannelForm, RecipientForm, TemplateForm, TypeChannelForm, TypeForm
from infra.registry_problems import Entry, Problem
from infra.registry_values import UNITS_MS
from infra.snapshot import Snapshot, accounts_of
from schemas.errors import Permanent
from schemas.statuses import LEVELS

DAY_MINUTES: Final = 1_440
MAX_DAYS_AHEAD: Final = 400
"""Intake schedules nothing for later."""
T = TypeVar("T", str, int)
FREE_TEXT: Final = frozenset({"content", "content_url"})
"""Variables that a type with free text has besides its parameters."""


class Account(Struct, frozen=True):
    """A provider of a channel, and its settings without secrets."""

    provider: str
    settings: Mapping[str, str]


class Checks(Struct, frozen=True):
    """Questions to the pillars; None: not asked.

    `variables_in(text)` are the names that a template asks for; `levels_of(channel, provider)` what a provider can
    prove; `settings_of(form)` checks the settings of a channel with one provider. Each raises Permanent saying what is
    wrong, with the setting's name as `setting` where it is one's. `template_of(channel, account, template)` says why a
    provider cannot send a template, or nothing.
    """

    variables_in: Callable[[str], Collection[str]] | None = None
    levels_of: Callable[[str, str], Collection[str]] | None = None
    settings_of: Callable[[ChannelForm], None] | None = None
    template_of: Callable[[str, Account, TemplateForm], str] | None = None


NO_CHECKS: Final = Checks()


class Known(Struct, frozen=True):
    """What may be referred to: the files' objects and the registry's."""

    types: Collection[str]
    channels: Collection[str]
    levels: Mapping[str, Collection[str]]
    accounts: Mapping[str, Sequence[Account]]


def problems_among(
    entries: Sequence[Entry], broken: Collection[tuple[str, str]], snapshot: Snapshot, checks: Checks
) -> Iterator[Problem]:
    """Everything that is wrong between the objects; `broken` are (kind, id) of those refused already."""
    yield from _doubles(entries)
    yield from _shared_identities(entries)
    yield from _shared_users(entries, snapshot)
    known = _known(entries, broken, snapshot)
    for entry in entries:
        match entry.form:
            case AppForm() as form:
                yield from _app(entry, form, known)
            case TypeForm() as form:
                yield from _type(entry, form, known, checks)
            case ChannelForm() as form:
                yield from _channel(entry, form, checks)
            case RecipientForm() as form:
                yield from _recipient(entry, form, known)


def _known(entries: Sequence[Entry], broken: Collection[tuple[str, str]], snapshot: Snapshot) -> Known:
    levels: dict[str, Collection[str]] = {object_id: tuple(LEVELS) for kind, object_id in broken if kind == "channels"}
    levels |= {name: config.success_levels for name, config in snapshot.channels.items()}
    levels.update({entry.id: entry.form.success_levels for entry in entries if isinstance(entry.form, ChannelForm)})
    named = [(entry.kind, entry.id) for entry in entries] + list(broken)
    types = {*snapshot.types, *(object_id for kind, object_id in named if kind == "types")}
    return Known(types, levels.keys(), levels, _accounts(entries, snapshot))


def _accounts(entries: Sequence[Entry], snapshot: Snapshot) -> dict[str, list[Account]]:
    """The providers of every channel: the files', else the registry's."""
    held = {
        name: [Account(one.provider, one.settings) for one in accounts_of(config)]
        for name, config in snapshot.channels.items()
    }
    asked = {
        entry.id: [Account(one.provider, one.settings) for one in (entry.form, *entry.form.others)]
        for entry in entries
        if isinstance(entry.form, ChannelForm)
    }
    return held | asked


def _doubles(entries: Sequence[Entry]) -> Iterator[Problem]:
    first: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        before = first.setdefault((entry.kind, entry.id), entry)
        if before is not entry:
            place = before.problem("", "id")
            yield entry.problem(f"id {entry.id} 与 {place.file}:{place.line} 重复 → 只保留一个", "id")


def _shared_identities(entries: Sequence[Entry]) -> Iterator[Problem]:
    owner: dict[tuple[str, str], str] = {}
    for entry in entries:
        if isinstance(entry.form, RecipientForm):
            for id_type, id_value in entry.form.identities.items():
                if owner.setdefault((id_type, id_value), entry.id) != entry.id:
                    text = f"标识 {id_type} 已属于另一人 {owner[id_type, id_value]} → 一个标识只能指向一人"
                    yield entry.problem(text, "identities", id_type)


def _shared_users(entries: Sequence[Entry], snapshot: Snapshot) -> Iterator[Problem]:
    """Kafka's quotas bind a user: two applications with one would take each other's."""
    named = {entry.id for entry in entries if isinstance(entry.form, AppForm)}
    owner = {user_of(app): name for name, app in snapshot.apps.items() if name not in named}
    for entry in entries:
        if isinstance(entry.form, AppForm):
            user = entry.form.kafka.user or entry.id
            if owner.setdefault(user, entry.id) != entry.id:
                text = f"Kafka 用户 {user} 已属于应用 {owner[user]} → 每个应用用自己的用户"
                yield entry.problem(text, "kafka", "user")


def _repeated(names: Sequence[T]) -> list[T]:
    return [name for name, count in Counter(names).items() if count > 1]


def _app(entry: Entry, form: AppForm, known: Known) -> Iterator[Problem]:
    for key_id in _repeated([key.id for key in form.keys]):
        yield entry.problem(f"密钥 id {key_id} 重复 → 每把密钥一个 id", "keys")
    for index, name in enumerate(form.grants.types):
        if name != "*" and name not in known.types:
            yield entry.problem(f"授权了未知的消息类型 {name} → 先定义它，或改正名称", "grants", "types", index)
    for index, name in enumerate(form.grants.channels):
        if name != "*" and name not in known.channels:
            yield entry.problem(f"授权了未知的渠道 {name} → 先定义它，或改正名称", "grants", "channels", index)


def _type(entry: Entry, form: TypeForm, known: Known, checks: Checks) -> Iterator[Problem]:
    for name in _repeated([parameter.name for parameter in form.parameters]):
        yield entry.problem(f"参数 {name} 重复 → 只保留一个", "parameters")
    for name in _repeated([channel.channel for channel in form.channels]):
        yield entry.problem(f"渠道 {name} 重复 → 每个渠道一项", "channels")
    yield from _type_hours(entry, form)
    yield from _type_repeats(entry, form)
    variables = {parameter.name for parameter in form.parameters} | (FREE_TEXT if form.free_text else frozenset())
    for index, channel in enumerate(form.channels):
        yield from _type_channel(entry, (index, channel), form.expires, known)
        yield from _vendor_templates(entry, (index, channel), known, checks)
        if checks.variables_in is not None:
            yield from _templates(entry, (index, channel), variables, checks.variables_in)


def _type_hours(entry: Entry, form: TypeForm) -> Iterator[Problem]:
    """What the times of day of a type must not make impossible."""
    for minute in _repeated(form.send_times):
        yield entry.problem(f"发送时刻 {minute // 60:02}:{minute % 60:02} 重复 → 只保留一个", "send_times")
    if form.quiet is None:
        return
    quiet_from, quiet_until = form.quiet
    length_ms = (quiet_until - quiet_from) % DAY_MINUTES * UNITS_MS["m"]
    if form.expires <= length_ms:
        yield entry.problem(
            "expires 须长于免打扰时段，否则夜里的消息等不到发送就过期 → 延长 expires 或缩短 quiet", "quiet"
        )
    for index, minute in enumerate(form.send_times):
        if (minute - quiet_from) % DAY_MINUTES < (quiet_until - quiet_from) % DAY_MINUTES:
            yield entry.problem("发送时刻落在免打扰时段内 → 改用时段之外的时刻", "send_times", index)


def _type_repeats(entry: Entry, form: TypeForm) -> Iterator[Problem]:
    """A sending is over before the next one begins, and the last one is not too far ahead for intake."""
    if form.repeat is None:
        return
    minutes = sorted(form.send_times) or [0]
    following = [*minutes[1:], minutes[0] + form.repeat.every_days * DAY_MINUTES]
    shortest_ms = min(after - before for before, after in zip(minutes, following, strict=True)) * UNITS_MS["m"]
    if form.expires > shortest_ms:
        yield entry.problem("expires 不得长于两次发送的间隔，否则两次会一起到 → 缩短 expires", "repeat")
    days = form.repeat.every_days * -(-form.repeat.times // len(minutes))
    if days > MAX_DAYS_AHEAD:
        text = f"最后一次要在 {days} 天之后，至多 {MAX_DAYS_AHEAD} 天 → 减少 times 或缩短 every_days"
        yield entry.problem(text, "repeat", "times")


def _type_channel(entry: Entry, at: tuple[int, TypeChannelForm], expires_ms: int, known: Known) -> Iterator[Problem]:
    index, channel = at
    provable = known.levels.get(channel.channel)
    if provable is None:
        yield entry.problem(f"未知渠道 {channel.channel} → 先在 channels 中定义它", "channels", index, "channel")
    elif channel.success not in provable:
        text = f"渠道 {channel.channel} 无法证明 {channel.success} → 可用：{'、'.join(provable)}"
        yield entry.problem(text, "channels", index, "success")
    if channel.timeout >= expires_ms:
        yield entry.problem("timeout 须短于该类型的 expires，否则轮不到备用渠道", "channels", index, "timeout")


def _templates(
    entry: Entry,
    at: tuple[int, TypeChannelForm],
    variables: Collection[str],
    variables_in: Callable[[str], Collection[str]],
) -> Iterator[Problem]:
    index, channel = at
    for place, text in (channel.template.texts() if channel.template is not None else {}).items():
        path: tuple[str | int, ...] = ("channels", index, "template", *place.split("."))
        try:
            unfilled = sorted(set(variables_in(text)) - set(variables))
        except Permanent as problem:
            yield entry.problem(f"模板有误：{problem.detail} → 改正该文本", *path)
            continue
        for name in unfilled:
            yield entry.problem(f"模板变量 {name} 没有对应参数 → 在 parameters 中声明它，或改正名称", *path)


def _vendor_templates(entry: Entry, at: tuple[int, TypeChannelForm], known: Known, checks: Checks) -> Iterator[Problem]:
    """What a provider renders itself, every provider of the channel must have."""
    index, channel = at
    if checks.template_of is None or channel.template is None or not channel.template.template_code:
        return
    for account in known.accounts.get(channel.channel, ()):
        why = checks.template_of(channel.channel, account, channel.template)
        if why:
            text = f"服务商 {account.provider} 发不了该模板：{why} → 在渠道 {channel.channel} 的 settings 中补上"
            yield entry.problem(text, "channels", index, "template", "template_code")


def _channel(entry: Entry, form: ChannelForm, checks: Checks) -> Iterator[Problem]:
    for name in _repeated([one.provider for one in (form, *form.others)]):
        yield entry.problem(f"服务商 {name} 重复 → 一个渠道内每个服务商一项", "others")
    for index, alone in enumerate(form.alone()):
        yield from _provider(entry, alone, checks, ("others", index - 1) if index else ())


def _provider(entry: Entry, form: ChannelForm, checks: Checks, at: tuple[str | int, ...]) -> Iterator[Problem]:
    """One provider of a channel, which stands at that path below the channel."""
    if checks.levels_of is None:
        return
    try:
        provable = checks.levels_of(form.id, form.provider)
    except Permanent as problem:
        yield entry.problem(f"没有这样的服务商：{problem.detail}", *at, "provider")
        return
    for index, level in enumerate(form.success_levels):
        if level not in provable:
            text = f"{form.provider} 无法证明 {level} → 可用：{'、'.join(sorted(provable))}"
            yield entry.problem(text, "success_levels", index)
    try:
        if checks.settings_of is not None:
            checks.settings_of(form)
    except Permanent as problem:
        yield entry.problem(f"设置有误：{problem.detail}", *at, "settings", getattr(problem, "setting", ""))


def _recipient(entry: Entry, form: RecipientForm, known: Known) -> Iterator[Problem]:
    for name in form.addresses:
        if name not in known.channels:
            yield entry.problem(f"未知渠道 {name} → 先在 channels 中定义它", "addresses", name)
