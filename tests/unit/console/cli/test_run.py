from pathlib import Path

import pytest
import typer

from console.cli import run
from console.cli.run import LANED, ROLES, Role
from infra.settings import Settings
from schemas.statuses import Lane


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What was done, in order; no role really runs."""
    found: list[str] = []

    def running(role: Role, lane: str) -> int:
        found.append(f"{role} {lane}".strip())
        return 7

    monkeypatch.setenv("MEDPOST_HOME", str(tmp_path))
    monkeypatch.setattr(run, "provision_installation", lambda _: found.append("provision"))
    monkeypatch.setattr(run, "ROLES", {role: lambda _, lane, role=role: running(role, lane) for role in Role})
    return found


def test_every_role_can_be_run() -> None:
    """And nothing else."""
    assert set(ROLES) == set(Role)


@pytest.mark.parametrize("role", Role)
def test_topics_are_there_before_a_role_begins(done: list[str], role: Role) -> None:
    """All but the simulators stand on the broker; the role's own number is the answer."""
    lane = Lane.BULK if role in LANED else None
    assert run.run(role, lane) == 7
    began = f"{role} {lane or ''}".strip()
    assert done == ([began] if role is Role.SIMULATORS else ["provision", began])


@pytest.mark.parametrize(("role", "lane"), [(Role.SETTLE, None), (Role.TRACE, Lane.URGENT)])
def test_a_lane_belongs_to_roles_that_have_lanes(done: list[str], role: Role, lane: Lane | None) -> None:
    """Missing or given in vain, it is wrong use, before anything is touched."""
    with pytest.raises(typer.BadParameter, match=str(role)):
        run.run(role, lane)
    assert done == []


def test_the_settings_are_handed_to_the_role(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Read once, at the top."""
    handed: list[Settings] = []
    monkeypatch.setenv("MEDPOST_HOME", str(tmp_path))
    monkeypatch.setenv("MEDPOST_NAMESPACE", "ns")

    def keep(settings: Settings, _lane: str) -> int:
        handed.append(settings)
        return 0

    monkeypatch.setattr(run, "ROLES", {Role.SIMULATORS: keep})
    assert run.run(Role.SIMULATORS) == 0
    assert handed[0].namespace == "ns"
