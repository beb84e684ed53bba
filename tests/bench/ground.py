"""What the cases stand on: a broker of their own and scratch folders; and what a case is."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from infra.local import broker, processes
from infra.local.ports import any_port

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = float(os.environ.get("BENCH_SECONDS", "15"))
"""How long a case that is sized by time measures; shorter only for a trial, which is not recorded."""


class Ground:
    """The servers and folders of one bench run."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="medpost-bench-"))
        self._broker: processes.Record | None = None
        self._bootstrap = ""

    @property
    def kafka(self) -> str:
        """Bootstrap of a fresh embedded broker, started at first use."""
        if self._broker is None:
            site = broker.site_under(self.home / "broker", any_port(), any_port())
            self._broker = broker.start(site, os.environ, ends_with_parent=True)
            self._bootstrap = site.bootstrap
        return self._bootstrap

    def close(self) -> None:
        """Stop the servers, remove the folders."""
        if self._broker is not None:
            processes.stop([self._broker], broker.STOP_GRACE_S)
        shutil.rmtree(self.home, ignore_errors=True)


class Case(msgspec.Struct, frozen=True):
    """One figure: `run(bootstrap)` measures once and returns it; `goal` is what it shall reach (0: a yardstick).

    `rounds` is how often it is measured where that is less than usual: a whole installation for minutes, once.
    A file `case_<noun>.py` offers either `NAME, UNIT, GOAL, run` or a list `CASES` of these.
    """

    name: str
    unit: str
    run: Callable[[str], float]
    goal: float = 0.0
    conditions: str = ""
    rounds: int = 3
