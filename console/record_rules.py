"""What intake would say about a record: its own steps, asked one by one, all refusals told at once.

Called by `medpost check-record` and `medpost publish` when a registry can be read. It decides nothing itself, and sends
nothing: who the recipient is stays unasked.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec import structs

from console.phrasebook import chinese
from console.registered import instead
from infra.crypto import Keyring
from infra.registry_changes import opened
from infra.snapshot import Snapshot
from infra.tokens import Verifier
from producers.findings import Finding, error, fine, warning
from producers.refusals import Refused
from schemas.configuration import ENABLED, Address, AppConfig, MessageType
from schemas.errors import Permanent, Reason
from schemas.records import Message
from streams.authenticate import authenticate, authorise
from streams.prioritise import lane_of, lifetime
from streams.render import values_of
from streams.route import route
from streams.skips import NOT_CHOSEN

PLACE: Final = "登记"
SOMEWHERE: Final = "address"
"""Stands for an address while nobody asks for whom."""
Headers = Sequence[tuple[str, bytes]]


def ask(
    message: Message, headers: Headers | None, topic: str, registry: tuple[Snapshot, Keyring], now_ms: int
) -> list[Finding]:
    """What the registry says about a message, as if it arrived now; `headers` None and `topic` "": not told."""
    snapshot, keyring = registry
    found, kind = list(refusals(message, snapshot, now_ms)), snapshot.types.get(message.type)
    if headers is not None and message.app_id in snapshot.apps:
        found += _token(message, headers, opened(snapshot.apps[message.app_id], keyring), now_ms)
    if kind is not None:
        found += _lane(message, kind, topic)
    return found or [fine(PLACE, f"应用、类型、参数均合登记（第 {snapshot.version} 版）")]


def refusals(message: Message, snapshot: Snapshot, now_ms: int) -> Iterator[Finding]:
    """The objections as findings, in words."""
    for one in objections(message, snapshot, now_ms):
        yield error(PLACE, f"会被拒绝（{one.reason}）：{chinese(one.detail)}", one.remedy)


def objections(message: Message, snapshot: Snapshot, now_ms: int) -> Iterator[Refused]:
    """Everything for which intake would refuse the message, whoever signed it and whoever it is for."""
    app, kind = snapshot.apps.get(message.app_id), snapshot.types.get(message.type)
    if app is None:
        text = f"app_id 未登记；{instead(message.app_id, snapshot.apps)}"
        yield Refused(Reason.APP_UNKNOWN, text, "向平台管理员登记应用")
    elif app.status != ENABLED:
        yield Refused(Reason.APP_DISABLED, "应用已停用", "向平台管理员询问")
    if kind is None:
        yield Refused(Reason.TYPE_UNKNOWN, f"消息类型未登记；{instead(message.type, snapshot.types)}")
        return
    if app is not None:
        yield from _refused(lambda: authorise(message, snapshot))
        yield from _channels(message, (app, kind), snapshot)
    yield from _refused(lambda: values_of(message, kind))
    yield from _refused(lambda: lifetime(message, kind, now_ms))


def _channels(message: Message, policy: tuple[AppConfig, MessageType], snapshot: Snapshot) -> Iterator[Refused]:
    """A choice that the type does not have, and channels of which none can be used, wherever somebody is reached."""
    kind = policy[1]
    used = [entry.channel for entry in kind.channels]
    foreign = [name for name in message.channels if name not in used]
    if foreign:
        text = f"类型 {kind.type} 不用渠道 {'、'.join(foreign)}"
        yield Refused(Reason.CHANNEL_NOT_GRANTED, text, f"可用：{'、'.join(used)}")
        return
    routed = route(message, policy, snapshot.channels, anywhere(kind))
    if routed and all(each.skip for each in routed):
        causes = [f"{each.entry.channel} {chinese(each.cause)}" for each in routed if each.skip != NOT_CHOSEN.reason]
        yield Refused(Reason.NO_CHANNEL, f"没有可用渠道：{'，'.join(causes)}")


def anywhere(kind: MessageType) -> dict[str, Address]:
    """Addresses of somebody who is reached by every channel of the type: while nobody asks for whom."""
    return {entry.channel: Address(entry.channel, SOMEWHERE) for entry in kind.channels}


def _token(message: Message, headers: Headers, app: AppConfig, now_ms: int) -> Iterator[Finding]:
    verifier = Verifier({app.app_id: structs.replace(app, status=ENABLED)}, lambda _app, key: key.sealed)
    for one in _refused(lambda: authenticate(message, headers, verifier, now_ms)):
        yield error(PLACE, f"会被拒绝（{one.reason}）：{chinese(one.detail)}")


def _refused(step: Callable[[], Any]) -> Iterator[Refused]:
    """What a step of intake refuses, in its own words."""
    try:
        step()
    except Permanent as refusal:
        yield Refused(Reason(refusal.reason), refusal.detail)


def _lane(message: Message, kind: MessageType, topic: str) -> Iterator[Finding]:
    try:
        lane = lane_of(message, kind)
    except Permanent:
        return  # told by the fields' own check
    if topic and not topic.endswith(f"messages.{lane}"):
        yield warning("主题", f"该消息属于 {lane} 通道：会被移过去，但绕了路", f"发布到 messages.{lane}")
