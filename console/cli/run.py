"""`medpost run ROLE [LANE]`: one process of one role, in the foreground, for supervisors and containers.

Makes sure that the topics exist, then hands over to the role. Never daemonises: the supervisor does that.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from console.provisioning import provision_installation
from infra import settings as settings_module
from infra.settings import Settings
from schemas.statuses import Lane


class Role(StrEnum):
    """What a process does."""

    INTAKE = "intake"
    SETTLE = "settle"
    SINKS = "sinks"
    RECEIPTS = "receipts"
    TRACE = "trace"
    GATEWAY = "gateway"
    SIMULATORS = "simulators"


LANED = frozenset({Role.INTAKE, Role.SETTLE, Role.SINKS})
"""Roles that serve one lane a process."""


def _intake(settings: Settings, lane: str) -> int:
    from streams import intake

    return intake.run(settings, lane)


def _settle(settings: Settings, lane: str) -> int:
    from streams import settle

    return settle.run(settings, lane)


def _sinks(settings: Settings, lane: str) -> int:
    from sinks import agents

    return agents.run(settings, lane)


def _receipts(settings: Settings, _lane: str) -> int:
    from sinks import receipt_role

    return receipt_role.run(settings)


def _trace(settings: Settings, _lane: str) -> int:
    from sinks import tracer

    return tracer.run(settings)


def _gateway(settings: Settings, _lane: str) -> int:
    from producers.gateway import role

    return role.run(settings)


def _simulators(settings: Settings, _lane: str) -> int:
    from infra.simulators import server

    return server.run(settings)


ROLES: dict[Role, Callable[[Settings, str], int]] = {
    Role.INTAKE: _intake,
    Role.SETTLE: _settle,
    Role.SINKS: _sinks,
    Role.RECEIPTS: _receipts,
    Role.TRACE: _trace,
    Role.GATEWAY: _gateway,
    Role.SIMULATORS: _simulators,
}


def run(
    role: Annotated[Role, typer.Argument(help="角色")],
    lane: Annotated[Lane | None, typer.Argument(help="优先级通道（intake、settle、sinks 须给出）")] = None,
) -> int:
    """前台运行一个进程：一个角色，一条优先级通道."""
    if (role in LANED) != (lane is not None):
        wants = "须指明 LANE：urgent、normal 或 bulk" if role in LANED else "服务所有优先级：不要给出 LANE"
        raise typer.BadParameter(f"{role} {wants}", param_hint="LANE")
    settings = settings_module.load()
    if role is not Role.SIMULATORS:
        provision_installation(settings)
    return ROLES[role](settings, lane or "")


def register(app: typer.Typer) -> None:
    """Add `medpost run`."""
    app.command()(run)
