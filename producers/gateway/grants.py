"""May this application send this: what the registry can answer at once, as a 400 or 403 and no later refusal.

Called for every message before it is published. Everything judged here is judged again by intake, whose word counts;
what needs the recipient, the templates or the time is left to it.
"""

from typing import Final

from infra.snapshot import Snapshot
from producers.gateway.models import MessageBody, Place, Problem
from producers.gateway.problems import escaped, problem
from schemas.configuration import ENABLED, AppConfig, MessageType
from schemas.errors import Reason

EVERYTHING: Final = "*"
MOST_NAMED: Final = 10
"""Unknown parameters that are named one by one."""


def obstacles(body: MessageBody, app: AppConfig, snapshot: Snapshot) -> list[Problem]:
    """Everything that forbids this message; empty: nothing is known that does."""
    kind = snapshot.types.get(body.type)
    if kind is None:
        return [problem(Reason.TYPE_UNKNOWN, source=Place(pointer="/type"))]
    if kind.status != ENABLED:
        return [problem(Reason.TYPE_DISABLED, source=Place(pointer="/type"))]
    if kind.type not in app.types and EVERYTHING not in app.types:
        return [problem(Reason.TYPE_NOT_GRANTED, source=Place(pointer="/type"))]
    return [*_of_recipient(body, app), *_of_parameters(body, kind), *_of_channels(body, kind)]


def _of_recipient(body: MessageBody, app: AppConfig) -> list[Problem]:
    if body.contact and not app.contact:
        detail = ("该应用不得直接给出地址", "this application may not give addresses itself")
        return [problem(Reason.CHANNEL_NOT_GRANTED, detail, Place(pointer="/contact"))]
    if body.recipient is None and not body.contact:
        detail = ("须给出 recipient", "recipient is missing")
        return [problem(Reason.MISSING_PARAMETER, detail, Place(pointer="/recipient"))]
    return []


def _of_parameters(body: MessageBody, kind: MessageType) -> list[Problem]:
    """What is missing, what the type does not know, and what is too long; at most a handful, by name."""
    given, found = body.personalisation, []
    for wanted in kind.parameters:
        value = given.get(wanted.name, "")
        if wanted.required and not value:
            said = (f"类型 {kind.type} 需要参数 {wanted.name}", f"type {kind.type} needs {wanted.name}")
            found.append(problem(Reason.MISSING_PARAMETER, said, _parameter(wanted.name)))
        elif len(value) > wanted.max_chars:
            said = (f"最多 {wanted.max_chars} 字", f"at most {wanted.max_chars} characters")
            found.append(problem(Reason.PARAM_INVALID, said, _parameter(wanted.name)))
    for name in sorted(given.keys() - {wanted.name for wanted in kind.parameters})[:MOST_NAMED]:
        said = (f"类型 {kind.type} 没有这个参数", f"type {kind.type} has no such parameter")
        found.append(problem(Reason.PARAM_INVALID, said, _parameter(name)))
    return found


def _parameter(name: str) -> Place:
    return Place(pointer=f"/personalisation/{escaped(name)}")


def _of_channels(body: MessageBody, kind: MessageType) -> list[Problem]:
    if {entry.channel for entry in kind.channels}.issuperset(body.channels):
        return []
    detail = (f"类型 {kind.type} 不使用其中某个渠道", f"type {kind.type} does not use one of them")
    return [problem(Reason.CHANNEL_NOT_GRANTED, detail, Place(pointer="/channels"))]
