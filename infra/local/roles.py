"""The medpost processes that `medpost up` keeps running beside the servers: data, one line each.

Read by the supervisor. Each is `medpost run ROLE [LANE]`; started more than once, a role shares its consumer group.
"""

import sys
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from schemas.statuses import Lane

GATEWAY: Final = "gateway"
"""The role with a port that senders need to know."""

NICENESS: Final[Mapping[str, int]] = {Lane.NORMAL: 2, Lane.BULK: 5, "receipts": 2, "trace": 2}
"""By lane or role. A step is a factor of 1.25 (sched(7)): when the processor is short, bulk still gets a third of what
urgent gets, so that its heartbeats are not late for want of it."""


class RoleSpec(Struct, frozen=True):
    """One process: a role and, where the role has one, its lane."""

    role: str
    lane: str = ""

    @property
    def name(self) -> str:
        """How it is called in status, logs and pid files."""
        return f"{self.role}-{self.lane}" if self.lane else self.role

    @property
    def niceness(self) -> int:
        """On one machine the lanes share the processor too: the urgent one does not wait for what bulk computes."""
        return NICENESS.get(self.lane or self.role, 0)

    @property
    def command(self) -> tuple[str, ...]:
        """Its command line; -P keeps the current folder from shadowing our packages."""
        return (sys.executable, "-P", "-m", "console.cli.main", "run", self.role, *([self.lane] if self.lane else []))


ROLES: Final = (
    *(RoleSpec("settle", lane) for lane in Lane),
    *(RoleSpec("sinks", lane) for lane in Lane),
    *(RoleSpec("intake", lane) for lane in Lane),
    RoleSpec("receipts"),
    RoleSpec("trace"),
    RoleSpec(GATEWAY),
)
"""In order of start: who reads before who writes."""
