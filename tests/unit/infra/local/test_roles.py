"""The list of roles: each lane once, commands that the command line knows."""

from infra.local.roles import ROLES
from schemas.statuses import Lane


def test_every_lane_has_its_three() -> None:
    """Intake, settle and sinks once a lane; one for receipts, one trace writer, one gateway."""
    assert {role.name for role in ROLES} == {
        *(f"{role}-{lane}" for role in ("intake", "settle", "sinks") for lane in Lane),
        "receipts",
        "trace",
        "gateway",
    }


def test_commands_do_not_import_from_here() -> None:
    """A folder called `infra` where the user stands must not shadow ours."""
    assert all(role.command[1:5] == ("-P", "-m", "console.cli.main", "run") for role in ROLES)


def test_the_urgent_lane_goes_first() -> None:
    """Where the processor is short, a role of a later lane stands back for the same role of an earlier one."""
    niceness = {role.name: role.niceness for role in ROLES}
    for role in ("intake", "settle", "sinks"):
        assert 0 == niceness[f"{role}-urgent"] < niceness[f"{role}-normal"] < niceness[f"{role}-bulk"]
