"""What the registry knows by name, asked by commands that can do without an answer: a glance, "did you mean".

Called by `medpost publish message`, `messages list` and `messages get`. Reads neither keys nor recipients; where the
registry cannot be read it says so with None, and the command goes on.
"""

import contextlib
import difflib
from collections.abc import Collection
from typing import Final

from infra import settings as settings_module
from infra.kafka import ping
from infra.registry_changes import read_snapshot
from infra.settings import Settings
from infra.snapshot import Snapshot
from schemas.errors import UnavailableError

PATIENCE_S: Final = 3.0
"""Somebody waits at a terminal for something else."""
LISTED: Final = 20


def glance(settings: Settings) -> Snapshot | None:
    """The configuration in force; None without a broker, or before anything was applied."""
    with contextlib.suppress(UnavailableError):
        ping(settings_module.kafka_endpoint(settings), PATIENCE_S)
        found = read_snapshot(settings)
        return found if found.version else None
    return None


def instead(name: str, known: Collection[str]) -> str:
    """What was probably meant by a name that is not known, else what there is: the end of a sentence."""
    near = difflib.get_close_matches(name, sorted(known), 1)
    if near:
        return f"是否应为 {near[0]}？"
    listed = sorted(known)
    return f"已登记：{'、'.join(listed[:LISTED]) or '无'}" + (" 等" if len(listed) > LISTED else "")
