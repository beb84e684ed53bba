"""One home and what runs in it: folders, the servers' ports, and the blueprints of every process.

Called by the supervisor and by the commands around it. Ports are kept in `run/ports.json` over restarts and moved
only when somebody else has taken one. Never starts anything.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from infra import settings as settings_module
from infra.local import probe, processes
from infra.local.broker import START_TIMEOUT_S, BrokerSite, broker_environment, prepare
from infra.local.child import NO_ANSWER, Blueprint
from infra.local.jars import ensure_jars
from infra.local.ports import LOOPBACK, are_free, pick_port
from infra.local.roles import GATEWAY, ROLES, RoleSpec
from infra.local.store_site import StoreSite
from infra.settings import Settings

USUAL_PORTS: Final = {"broker": 9092, "controller": 9093, "store": 8123, "simulators": 8780, GATEWAY: 8790}
_OWNER: Final = {"controller": "broker"}
_IN_A_ROW: Final = {"simulators": 2}
"""Ports that a server takes beside its own: the simulated mail server listens on the one after."""


class Installation(Struct, frozen=True):
    """A home with its settings (`home` absolute) and the ports of its servers."""

    settings: Settings
    ports: dict[str, int]

    @property
    def run(self) -> Path:
        """Pid files, ports, status."""
        return self.settings.run_folder

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.settings.home / "logs"

    @property
    def store(self) -> StoreSite:
        """The embedded store."""
        return StoreSite(self.settings.home / "store", self.ports["store"])

    def broker(self) -> BrokerSite:
        """The embedded broker; fetches its jars when they are not complete (UnavailableError)."""
        folder = self.settings.home / "broker"
        return BrokerSite(folder, self.ports["broker"], self.ports["controller"], ensure_jars())

    def addresses(self) -> dict[str, str]:
        """What `servers.json` tells every command: the embedded servers only, the others stand in the environment."""
        found = {
            "kafka": f"{LOOPBACK}:{self.ports['broker']}" if has_broker(self.settings) else "",
            "clickhouse": self.store.url if has_store(self.settings) else "",
            "simulators": f"http://{LOOPBACK}:{self.ports['simulators']}" if has_simulators(self.settings) else "",
        }
        return {name: address for name, address in found.items() if address}

    @property
    def gateway_port(self) -> int:
        """Where the HTTP gateway listens: as the settings wish, else the port that was found for it."""
        return self.settings.gateway_port or self.ports[GATEWAY]

    def gateway(self) -> str:
        """Where senders of this machine reach the HTTP gateway of this home."""
        return f"http://{LOOPBACK}:{self.gateway_port}"


def has_broker(settings: Settings) -> bool:
    """Whether the broker is the embedded one."""
    return not settings.kafka


def has_store(settings: Settings) -> bool:
    """Whether the store is the embedded one."""
    return not settings.clickhouse


def has_simulators(settings: Settings) -> bool:
    """Whether the simulated providers are ours to run."""
    return not settings.simulators


def load_here() -> Settings:
    """Settings with an absolute home, so that children started elsewhere mean the same folder."""
    found = settings_module.load()
    return found.model_copy(update={"home": found.home.expanduser().resolve()})


def choose_ports(run: Path) -> dict[str, int]:
    """The kept ports where they are free or held by our own live process, else the next free ones; kept again."""
    kept = read_json(run / "ports.json")
    chosen: dict[str, int] = {}
    for name, usual in USUAL_PORTS.items():
        wanted = int(kept.get(name, usual))
        owner = processes.read_record(run / f"{_OWNER.get(name, name)}.pid")
        count = _IN_A_ROW.get(name, 1)
        if name in kept and wanted not in chosen.values() and (are_free(wanted, count) or processes.is_running(owner)):
            chosen[name] = wanted
        else:
            chosen[name] = pick_port(wanted, {*chosen.values(), *kept.values()}, count)
    processes.write_atomically(run / "ports.json", json.dumps(chosen))
    return chosen


def read_json(path: Path) -> dict[str, Any]:
    """A small JSON object; empty when it is missing or not one."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def blueprints(here: Installation, *, only_servers: bool) -> list[Blueprint]:
    """Everything that shall run, servers first."""
    environment = settings_module.environment_for(here.settings)
    servers = [*_broker(here, environment), *_store(here, environment), *_simulators(here, environment)]
    if only_servers:
        return servers
    needs = tuple(server.name for server in servers)
    built_on = json.dumps(here.addresses())
    roles = [_role(spec, here.run, environment, needs, built_on) for spec in ROLES]
    return servers + [_with_port(role, here.gateway_port) if role.name == GATEWAY else role for role in roles]


def _broker(here: Installation, environment: dict[str, str]) -> list[Blueprint]:
    if not has_broker(here.settings):
        return []
    port = here.ports["broker"]
    return [
        Blueprint(
            "broker",
            lambda: prepare(here.broker()),
            broker_environment(environment),
            lambda _: "" if probe.broker_answers(LOOPBACK, port) else NO_ANSWER,
            ports=(port, here.ports["controller"]),
            start_timeout_s=START_TIMEOUT_S,
        )
    ]


def _store(here: Installation, environment: dict[str, str]) -> list[Blueprint]:
    if not has_store(here.settings):
        return []
    return [_web("store", here.store.command, environment, here.ports["store"])]


def _simulators(here: Installation, environment: dict[str, str]) -> list[Blueprint]:
    if not has_simulators(here.settings):
        return []
    port = here.ports["simulators"]
    argv = (sys.executable, "-P", "-m", "infra.simulators.server", "--port", str(port))
    return [_web("simulators", argv, environment, port)]


def _web(name: str, argv: tuple[str, ...], environment: dict[str, str], port: int) -> Blueprint:
    return Blueprint(
        name,
        lambda: argv,
        environment,
        lambda _: "" if probe.http_answers(LOOPBACK, port) else NO_ANSWER,
        ports=(port,),
        start_timeout_s=START_TIMEOUT_S,
    )


def _role(spec: RoleSpec, run: Path, environment: dict[str, str], needs: tuple[str, ...], built_on: str) -> Blueprint:
    return Blueprint(
        spec.name,
        lambda: spec.command,
        environment,
        lambda pid: waits_for(run, pid),
        needs,
        built_on=built_on,
        niceness=spec.niceness,
    )


def _with_port(role: Blueprint, port: int) -> Blueprint:
    """The same process, told where to listen."""
    return replace(role, environment=role.environment | {"MEDPOST_GATEWAY_PORT": str(port)}, ports=(port,))


def waits_for(run: Path, pid: int) -> str:
    """What the process that wrote its health port under this pid says it lacks; "" when it is ready."""
    port = health_port(run, pid)
    answer = probe.get_json(LOOPBACK, port, "/ready", 0.5) if port else None
    if answer is None:
        return NO_ANSWER
    return "" if answer.get("is_ready") else ", ".join(map(str, answer.get("waits_for", []))) or NO_ANSWER


def health_port(run: Path, pid: int) -> int:
    """The port of `/ready` and `/metrics` of that process; 0 when it has not written one."""
    for file in run.glob("*.json"):
        found = read_json(file)
        if found.get("pid") == pid and isinstance(found.get("port"), int):
            return int(found["port"])
    return 0


def host_and_port(address: str, default_port: int) -> tuple[str, int]:
    """The first host and port of a bootstrap list or URL."""
    first = address.split(",", 1)[0]
    parts = urlsplit(first if "://" in first else f"//{first}")
    return parts.hostname or LOOPBACK, parts.port or default_port
