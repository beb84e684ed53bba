"""The main job, shown: everything up, a sample hospital's day published, every message followed to its end.

Called by `medpost sample` (and so by `make run`). Uses only what any user has: the registry, the SDK, the store's
queries, the simulated phones. It prints nothing itself; `Told` is handed every step.
"""

import resource
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from infra import queries
from infra import settings as settings_module
from infra.clickhouse import Store
from infra.crypto import load_keyring
from infra.local import control
from infra.local.installation import has_broker, has_simulators, has_store
from infra.local.roles import ROLES
from infra.registry_changes import read_current
from infra.settings import Settings
from schemas.errors import UnavailableError

READY_S: Final = 90.0
FINAL_S: Final = 150.0
"""Longer than the slowest message of the sample: a provider that never answers, then the fallback's time-out."""
POLL_S: Final = 0.5

Told = Callable[[str], None]


class Memory:
    """The peak of the resident memory of all processes of a home, in MB, as far as it was looked at."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.peak_mb = 0

    def look(self) -> None:
        """Measure now; this process counts too."""
        rows = control.look(self._settings)
        own_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        self.peak_mb = max(self.peak_mb, own_mb + sum(row.memory_mb for row in rows))


def start(settings: Settings, told: Told) -> bool:
    """Start the servers where they are not up; returns, when they answer, whether it had to. Raises UnavailableError.

    The other processes come with `start_roles`, when there is a registry for them to read: on a small machine they
    would only be in the broker's way while it starts.
    """
    control.prepare_up(settings)
    is_ours = control.supervisor_of(settings) is None
    control.begin(settings, only_servers=True)
    until = time.monotonic() + control.UP_TIMEOUT_S
    shown: set[str] = set()
    while not _servers_run(settings):
        _tell_running(settings, shown, told)
        if time.monotonic() > until:
            raise UnavailableError("服务没有起来", f"查看 {settings.home / 'logs'} 中的日志")
        time.sleep(0.1)
    _tell_running(settings, shown, told)
    return is_ours


def start_roles(settings: Settings) -> None:
    """Start intake, settle, sinks and the trace writer beside the servers, where they are not up."""
    control.begin(settings, only_servers=False)


def _tell_running(settings: Settings, shown: set[str], told: Told) -> list[str]:
    """Tell each process once when it runs; the names of those that do not run yet."""
    rows = control.look(settings)
    for row in rows:
        if row.state == "running" and row.name not in shown:
            told(f"  ✓ {row.name}")
            shown.add(row.name)
    return [row.name for row in rows if row.state != "running"]


def _servers_run(settings: Settings) -> bool:
    states = {row.name: row.state for row in control.look(settings)}
    ours = {"broker": has_broker, "store": has_store, "simulators": has_simulators}
    return all(states.get(name) == "running" for name, is_ours in ours.items() if is_ours(settings))


def wait_ready(settings: Settings, told: Told, memory: Memory) -> None:
    """Wait until every process is ready to work; raises UnavailableError naming those that are not."""
    until = time.monotonic() + READY_S
    shown = {row.name for row in control.look(settings) if row.state == "running"}
    while True:
        late = _tell_running(settings, shown, told)
        if not late and len(shown) > len(ROLES):
            return
        if time.monotonic() > until:
            raise UnavailableError(f"尚未就绪：{'、'.join(late)}", "看 `medpost status` 和日志")
        memory.look()
        time.sleep(0.2)


def simulators_of(settings: Settings) -> str:
    """Base URL of the simulated providers; raises UnavailableError without any."""
    url = settings_module.endpoints(settings).simulators
    if not url:
        raise UnavailableError("这里没有登记模拟渠道商的地址", "运行 `medpost up`，或者设置 MEDPOST_SIMULATORS")
    return url


def snapshot_of(settings: Settings) -> Any:
    """The registry's snapshot in force."""
    return read_current(settings, load_keyring(settings)).snapshot


def follow(settings: Settings, since_ms: int, awaited: int, memory: Memory) -> Iterator[int]:
    """Yield the number of finished messages since then, until it is `awaited` or FINAL_S passed without reaching it."""
    until = time.monotonic() + FINAL_S
    with Store(settings_module.endpoints(settings).clickhouse) as store:
        while True:
            found = sum(row.messages for row in queries.outcomes_by_type_and_channel(store, since_ms))
            memory.look()
            yield found
            if found >= awaited or time.monotonic() > until:
                return
            time.sleep(POLL_S)
