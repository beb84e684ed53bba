"""What intake would say about a foreign record: its own steps, asked one by one, all refusals told at once.

Called by `medpost check-record` when a registry can be read. It decides nothing itself, and sends nothing: who the
recipient is stays unasked.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from infra.crypto import Keyring
from infra.registry_changes import opened
from infra.snapshot import Snapshot
from infra.tokens import Verifier
from producers.findings import Finding, error, fine, warning
from schemas.configuration import MessageType
from schemas.errors import Permanent
from schemas.records import Message
from streams.authenticate import authenticate, authorise
from streams.prioritise import lane_of, lifetime
from streams.render import values_of

PLACE: Final = "登记"
Headers = Sequence[tuple[str, bytes]]


def ask(
    message: Message, headers: Headers | None, topic: str, registry: tuple[Snapshot, Keyring], now_ms: int
) -> list[Finding]:
    """What the registry says about a message, as if it arrived now; `headers` None and `topic` "": not told."""
    snapshot, keyring = registry
    found = list(_who(message, headers, snapshot, keyring, now_ms))
    kind = snapshot.types.get(message.type)
    if message.app_id in snapshot.apps:
        found += _refusals(lambda: authorise(message, snapshot))
    if kind is not None:
        found += _refusals(lambda: values_of(message, kind))
        found += _refusals(lambda: lifetime(message, kind, now_ms))
        found += _lane(message, kind, topic)
    return found or [fine(PLACE, f"应用、类型、参数均合登记（第 {snapshot.version} 版）")]


def _who(
    message: Message, headers: Headers | None, snapshot: Snapshot, keyring: Keyring, now_ms: int
) -> Iterator[Finding]:
    app = snapshot.apps.get(message.app_id)
    if app is None:
        known = "、".join(sorted(snapshot.apps))
        yield error(PLACE, f"app_id 未登记（app_unknown）；已登记：{known}", "向平台管理员登记应用")
    elif headers is not None:
        verifier = Verifier({app.app_id: opened(app, keyring)}, lambda _app, key: key.sealed)
        yield from _refusals(lambda: authenticate(message, headers, verifier, now_ms))


def _refusals(step: Callable[[], Any]) -> Iterator[Finding]:
    """What a step of intake refuses, in its own words."""
    try:
        step()
    except Permanent as refusal:
        yield error(PLACE, f"会被拒绝（{refusal.reason}）：{refusal.detail}")


def _lane(message: Message, kind: MessageType, topic: str) -> Iterator[Finding]:
    try:
        lane = lane_of(message, kind)
    except Permanent:
        return  # told by the fields' own check
    if topic and not topic.endswith(f"messages.{lane}"):
        yield warning("主题", f"该消息属于 {lane} 通道：会被移过去，但绕了路", f"发布到 messages.{lane}")
