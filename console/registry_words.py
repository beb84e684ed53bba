"""What a change of the registry means, in Chinese sentences: for whom what becomes possible, impossible, or other.

Called by `medpost registry diff | history`. From the members that differ (`infra.registry_changes`); what has no
sentence of its own is told by its path, so nothing is kept back. Secrets and addresses never get here.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from console import words
from infra.registry_changes import ADDED, REMOVED, Change
from infra.snapshot import Snapshot
from schemas.configuration import AppConfig
from schemas.topics import DAY_MS

NONE: Final = "—"
"""How a member that is not there is told by `registry_changes`."""
Member = tuple[str, str, str]
Sentence = Callable[[str, str, str], str]
"""Name in the path, before, after: the sentence."""

STATUS: Final = {"enabled": "启用", "disabled": "停用"}
SUCCESS: Final = {
    "accepted": "已受理",
    "sent": "渠道商已接收",
    "delivered": "已送达",
    "read": "已读",
    "acknowledged": "已确认",
}
DOWN: Final = {"wait": "等待恢复", "fall_back": "改走备用渠道"}
UNKNOWN: Final = {"again": "重发", "query": "向渠道商查询", "fall_back": "改走备用渠道", "leave": "不再发送"}


def sentences(change: Change, snapshot: Snapshot) -> list[str]:
    """The change in sentences; `snapshot`: the registry it is made to, which knows who uses what."""
    match change.action, change.kind:
        case (action, "recipients") if action in (ADDED, REMOVED):
            return []  # known by number, and told so
        case _ if change.action == ADDED:
            return [_beginning(change.kind)]
        case _ if change.action == REMOVED:
            return [_end(change, snapshot)]
    told = list(_told(change.kind, change.what))
    whom = _whom(change, snapshot)
    return [*told, whom] if told and whom else told


def _beginning(kind: str) -> str:
    return {
        "apps": "新应用：此后可按授权发送",
        "types": "新消息类型：获得授权的应用此后可以发送",
        "channels": "新渠道：消息类型可以使用它",
    }.get(kind, "")


def _end(change: Change, snapshot: Snapshot) -> str:
    match change.kind:
        case "apps":
            return "应用被删除：它的消息将全部被拒绝（应用未登记）"
        case "types":
            return f"消息类型被删除：{_apps_of(change.object_id, snapshot)}不能再发送它"
        case _:
            return f"渠道被删除：{_types_of(change.object_id, snapshot)}不再有这条通路"


def _whom(change: Change, snapshot: Snapshot) -> str:
    if change.kind == "types":
        return f"涉及：{_apps_of(change.object_id, snapshot)}"
    if change.kind == "channels":
        return f"涉及：{_types_of(change.object_id, snapshot)}"
    return ""


def may_send(app: AppConfig, kind: str) -> bool:
    """Whether the application is granted the type."""
    return "*" in app.types or kind in app.types


def _apps_of(kind: str, snapshot: Snapshot) -> str:
    names = [app_id for app_id, app in sorted(snapshot.apps.items()) if may_send(app, kind)]
    return f"应用 {'、'.join(names)} " if names else "（没有应用获得授权）"


def _types_of(channel: str, snapshot: Snapshot) -> str:
    names = [
        kind.type for _, kind in sorted(snapshot.types.items()) if any(one.channel == channel for one in kind.channels)
    ]
    return f"消息类型 {'、'.join(names)} " if names else "（没有消息类型使用它）"


def _told(kind: str, what: Sequence[Member]) -> Iterator[str]:
    """One sentence per member, but one only for a channel, provider, key or parameter that comes or goes whole."""
    came_and_went, rest = _whole_parts(kind, what)
    yield from came_and_went
    for path, before, after in rest:
        yield _sentence(kind, path, before, after)


_PARTS: Final[Mapping[str, tuple[tuple[str, str, str, str], ...]]] = {
    "types": (
        ("channels", "channel", "新增渠道 {}：该类型可经它发送", "去掉渠道 {}：该类型不再经它发送"),
        ("parameters", "name", "新增参数 {}", "去掉参数 {}"),
    ),
    "apps": (("keys", "key_id", "新增密钥 {}", "密钥 {} 被去掉：用它签发的令牌将被拒绝"),),
    "channels": (("others", "provider", "新增服务商 {}", "去掉服务商 {}"),),
    "recipients": (("addresses", "channel", "新增渠道 {} 的地址", "去掉渠道 {} 的地址"),),
}
"""Lists of named parts: where they stand, the member that names one, and the sentences of coming and going."""


def _whole_parts(kind: str, what: Sequence[Member]) -> tuple[list[str], list[Member]]:
    told, rest = [], list(what)
    for place, naming, coming, going in _PARTS.get(kind, ()):
        for path, before, after in what:
            match = re.fullmatch(rf"{place}\.([^.]+)\.{naming}", path)
            if match is None or NONE not in (before, after):
                continue
            told.append((coming if before == NONE else going).format(match[1]))
            rest = [one for one in rest if not one[0].startswith(f"{place}.{match[1]}.")]
        told += _of_an_empty_list(rest, place)
        rest = [one for one in rest if one[0] != place or not {"[]", NONE} & {one[1], one[2]}]
    return told, rest


def _of_an_empty_list(rest: Sequence[Member], place: str) -> list[str]:
    """A list that was, or becomes, empty stands as `[]` itself: only the latter says anything of its own."""
    return [f"{place} 现为空" for path, _, after in rest if path == place and after == "[]"]


def _sentence(kind: str, path: str, before: str, after: str) -> str:
    for pattern, say in _SENTENCES.get(kind, ()):
        match = re.fullmatch(pattern, path)
        if match is not None:
            return say(match[1] if match.re.groups else "", before, after)
    return f"{path}：{before} → {after}"


def _plain(label: str, names: Mapping[str, str] | None = None, unit: str = "") -> Sentence:
    def say(part: str, before: str, after: str) -> str:
        shown = [
            (names or {}).get(one, one).removesuffix(".0") + (unit if one != NONE else "") for one in (before, after)
        ]
        return f"{label.format(part)}：{shown[0]} → {shown[1]}"

    return say


def _span(label: str) -> Sentence:
    def say(part: str, before: str, after: str) -> str:
        return f"{label.format(part)}：{_duration(before)} → {_duration(after)}"

    return say


def _duration(ms: str) -> str:
    """Milliseconds as the largest unit that divides them."""
    if not ms.isdigit():
        return ms
    for size, unit in ((DAY_MS, "天"), (3_600_000, "小时"), (60_000, "分钟"), (1_000, "秒")):
        if int(ms) and int(ms) % size == 0:
            return f"{int(ms) // size} {unit}"
    return f"{ms} 毫秒"


def _minutes(label: str) -> Sentence:
    def say(_: str, before: str, after: str) -> str:
        return f"{label}：{_clock(before)} → {_clock(after)}"

    return say


def _clock(minutes: str) -> str:
    listed = json.loads(minutes) if minutes.startswith("[") else [minutes]
    shown = [f"{int(one) // 60:02}:{int(one) % 60:02}" if str(one).isdigit() else str(one) for one in listed]
    return "、".join(shown) or "无"


def _grants(label: str) -> Sentence:
    def say(_: str, before: str, after: str) -> str:
        old, new = (set(_listed(one)) for one in (before, after))
        gained, lost = "、".join(sorted(new - old)), "、".join(sorted(old - new))
        parts = [
            *([f"此后可以{label} {_all(gained)}"] if gained else []),
            *([f"此后不能再{label} {_all(lost)}"] if lost and "*" not in new else []),
        ]
        return "；".join(parts) or f"{label}的授权范围未变，仅写法不同"

    return say


def _all(names: str) -> str:
    return "全部（*）" if names == "*" else names


def _listed(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return [str(one) for one in found] if isinstance(found, list) else []


def _status(what: str, when_off: str) -> Sentence:
    def say(part: str, _: str, after: str) -> str:
        name = what.format(part)
        return f"{name}启用" if after == "enabled" else f"{name}停用：{when_off}"

    return say


def _fixed(text: str) -> Sentence:
    return lambda part, _before, _after: text.format(part)


def _yes_no(yes: str, no: str) -> Sentence:
    return lambda _part, _before, after: yes if after == "true" else no


_COMMON: Final[tuple[tuple[str, Sentence], ...]] = (
    (r"record", _fixed("主题上的最新记录无法读取，将重新写入")),
    (r"name", _plain("名称")),
)
_TYPES: Final[tuple[tuple[str, Sentence], ...]] = (
    (r"status", _status("消息类型", "新消息将被拒绝")),
    (r"lane", lambda _, before, after: f"通道由 {words.of_lane(before)} 改为 {words.of_lane(after)}"),
    (r"threshold", _plain("送达阈值")),
    (r"expiry_ms", _span("默认有效期")),
    (r"max_expiry_ms", _span("最长有效期")),
    (r"on_unknown", _plain("结果未知时", UNKNOWN)),
    (r"on_channel_down", _plain("渠道中断时", DOWN)),
    (r"free_text", _yes_no("此后允许自由文本", "此后不允许自由文本")),
    (r"tries", _plain("每渠道尝试次数（0 为默认）")),
    (r"fallbacks_per_hour", _plain("每小时备用渠道预算（0 为不限）")),
    (r"quiet_from", _minutes("免打扰开始")),
    (r"quiet_until", _minutes("免打扰结束")),
    (r"send_times", _minutes("发送时刻")),
    (r"repeat_days", _plain("每隔几天重复（0 为不重复）")),
    (r"repeat_times", _plain("共发送几次（0 为一次）")),
    (
        r"parameters\.([^.]+)\.required",
        lambda part, _, after: f"参数 {part} 改为{'必填' if after == 'true' else '选填'}",
    ),
    (r"parameters\.([^.]+)\.max_chars", _plain("参数 {} 最多字数")),
    (r"channels\.([^.]+)\.weight", _plain("渠道 {} 的权重")),
    (r"channels\.([^.]+)\.success", _plain("渠道 {} 算作成功的程度", SUCCESS)),
    (r"channels\.([^.]+)\.timeout_ms", _span("渠道 {} 的等待时间")),
    (r"channels\.([^.]+)\.template\.version", _plain("渠道 {} 的模板版本")),
    (r"channels\.([^.]+)\.template\.text", _plain("渠道 {} 的模板文本")),
    (r"channels\.([^.]+)\.template\.title", _plain("渠道 {} 的模板标题")),
    (r"channels\.([^.]+)\.template\.template_code", _plain("渠道 {} 的服务商模板编号")),
)
_APPS: Final[tuple[tuple[str, Sentence], ...]] = (
    (r"status", _status("应用", "它的消息将全部被拒绝")),
    (r"types", _grants("发送")),
    (r"channels", _grants("使用渠道")),
    (r"contact", _yes_no("此后可以自带接收地址", "此后不能再自带接收地址")),
    (r"team", _plain("团队密钥可达的人员")),
    (r"kafka_user", _plain("Kafka 用户（空为应用标识）")),
    (r"messages_per_s", _plain("Kafka 生产配额（0 为不限）", unit=" 条/秒")),
    (r"consumer_bytes_per_s", _plain("Kafka 消费配额（0 为不限）", unit=" 字节/秒")),
    (r"request_percent", _plain("Kafka 请求时间配额（0 为不限）", unit=" %")),
    (r"http_requests_per_s", _plain("HTTP 网关请求速率（0 为网关的设置）", unit=" 次/秒")),
    (r"http_messages_per_day", _plain("HTTP 网关当日额度（0 为网关的设置）", unit=" 条")),
    (r"keys\.([^.]+)\.status", _status("密钥 {} ", "用它签发的令牌将被拒绝")),
    (r"keys\.([^.]+)\.kind", _plain("密钥 {} 的用途", {"live": "正式", "test": "测试", "team": "团队"})),
    (r"keys\.([^.]+)\.sealed", _fixed("密钥 {} 换了内容：旧密钥签发的令牌将被拒绝")),
    (r"keys\.([^.]+)\.algorithm", _plain("密钥 {} 的算法")),
)
_CHANNELS: Final[tuple[tuple[str, Sentence], ...]] = (
    (r"status", _status("渠道", "消息改走备用渠道或等待")),
    (r"provider", _plain("服务商")),
    (r"rate_per_s", _plain("发送速率", unit=" 条/秒")),
    (r"max_in_flight", _plain("同时在途的请求")),
    (r"per_day", _plain("每日上限（0 为不限）")),
    (r"weight", _plain("首个服务商的份额")),
    (r"timeout_ms", _span("请求超时")),
    (r"base_url", _plain("服务商地址")),
    (r"secrets", _fixed("服务商凭据已更换")),
    (r"success_levels", _plain("可证明的程度")),
    (r"settings\.(.+)", _plain("设置 {}")),
    (r"others\.([^.]+)\.status", _status("服务商 {} ", "由其余服务商发送")),
    (r"others\.([^.]+)\.rate_per_s", _plain("服务商 {} 的发送速率", unit=" 条/秒")),
    (r"others\.([^.]+)\.weight", _plain("服务商 {} 的份额")),
    (r"others\.([^.]+)\.per_day", _plain("服务商 {} 的每日上限（0 为不限）")),
    (r"others\.([^.]+)\.timeout_ms", _span("服务商 {} 的请求超时")),
    (r"others\.([^.]+)\.secrets", _fixed("服务商 {} 的凭据已更换")),
)
_RECIPIENTS: Final[tuple[tuple[str, Sentence], ...]] = (
    (r"addresses\.([^.]+)\.value", _fixed("渠道 {} 的地址已更换")),
    (r"addresses\.([^.]+)\.status", _fixed("渠道 {} 的地址状态已改变")),
    (r"identities\.([^.]+)\..*", _fixed("标识 {} 已改变")),
    (r"(?:identities|addresses)", _fixed("标识或地址已改变")),
)
_SENTENCES: Final[Mapping[str, tuple[tuple[str, Sentence], ...]]] = {
    "types": (*_COMMON, *_TYPES),
    "apps": (*_COMMON, *_APPS),
    "channels": (*_COMMON, *_CHANNELS),
    "recipients": (*_COMMON, *_RECIPIENTS),
}
