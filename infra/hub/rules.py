"""What a worker tells the transport, carried by the Faust app: limits per topic, the fence, whom to call.

Built by `infra.worker` (or a test) before the app starts; only read after.
"""

import os
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

import faust
import structlog
from msgspec import Struct, field

from infra.hub.chunk import TP
from infra.hub.fence import Fence

EXIT_FAULT: Final = 70
"""Something the worker stands on failed, or a bug: the supervisor starts it again, unfinished records are redone."""
EXIT_COORDINATOR: Final = 75
"""The group's coordinator keeps refusing this member."""

log = structlog.get_logger("hub")


def leave(why: str, code: int = EXIT_FAULT) -> NoReturn:
    """End the process at once and commit nothing more: what is unfinished will be done again."""
    log.critical("exit", why=why, code=code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class Limits(Struct, frozen=True):
    """How a topic is cut: records and bytes (0: no limit) per chunk, unfinished chunks per partition."""

    max_records: int = 500
    window: int = 4
    max_bytes: int = 0


class Rules(Struct):
    """The transport's settings and its way back to the worker.

    `on_assigned` and `on_revoked` are called in the app's loop, before the first chunk of an assignment and after the
    last commit of one; they must not block.
    """

    fence: Fence
    limits: dict[str, Limits] = field(default_factory=dict)
    fetch_wait_ms: int = 100
    drain_s: float = 10.0
    on_assigned: list[Callable[[frozenset[TP]], None]] = field(default_factory=list)
    on_revoked: list[Callable[[frozenset[TP]], None]] = field(default_factory=list)
    leave: Callable[[str, int], Any] = leave

    def limits_of(self, topic: str) -> Limits:
        """The limits of a topic."""
        return self.limits.get(topic) or Limits()


class HubApp(faust.App):
    """A Faust app that carries the rules to its consumer."""

    rules: Rules
