"""Where the embedded store lives and how its process is started; the client's half, which never loads the engine.

Called by the supervisor and by the test fixtures. Never used where `MEDPOST_CLICKHOUSE` names another server.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from infra.analyst import FILE
from infra.local import probe, processes
from infra.local.ports import LOOPBACK

START_TIMEOUT_S: Final = 180.0
STOP_GRACE_S: Final = 20.0


class StoreSite(Struct, frozen=True):
    """One embedded store: its folder and its loopback port."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """What clients connect to, without a database."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def command(self) -> tuple[str, ...]:
        """The command line of its process."""
        return (
            sys.executable,
            "-P",
            "-m",
            "infra.local.store",
            "--path",
            str(self.folder / "data"),
            "--port",
            str(self.port),
            "--analyst",
            str(self.analyst),
        )

    @property
    def analyst(self) -> Path:
        """The file with the analyst's account."""
        return self.folder / FILE


def start(site: StoreSite, environment: Mapping[str, str], *, ends_with_parent: bool = False) -> processes.Record:
    """Starts the store and waits until it answers; raises UnavailableError with its log's name when it does not."""
    launch = processes.Launch(
        "store", site.command, environment, site.folder / "store.log", site.folder / "store.pid", "", ends_with_parent
    )
    return processes.start(launch, lambda: probe.http_answers(LOOPBACK, site.port), START_TIMEOUT_S)
