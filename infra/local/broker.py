"""The embedded broker: one Apache Kafka node (KRaft, broker and controller) on the loopback, data in one folder.

Called by the supervisor and by the test fixtures. Its settings are for one machine: single replicas, small heap,
small segments, no topic made by a typo. Never used where `MEDPOST_KAFKA` names another cluster.
"""

import base64
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from infra.local import probe, processes
from infra.local.jars import ensure_jars
from infra.local.java import require_java
from infra.local.ports import LOOPBACK
from schemas.errors import UnavailableError

HEAP_MB: Final = 512
START_TIMEOUT_S: Final = 180.0
"""Alone it takes 2.5 s; beside a test run on a full machine it took 40."""
STOP_GRACE_S: Final = 30.0
_FORMAT_TIMEOUT_S: Final = 120
_LOGGING: Final = Path(__file__).with_name("log4j2.properties")

_JVM: Final = (
    "-Xms128m",
    f"-Xmx{HEAP_MB}m",
    "-XX:MaxDirectMemorySize=128m",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Dlog4j2.disable.jmx=true",
    f"-Dlog4j2.configurationFile={_LOGGING}",
)

_FIXED: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    # a mistyped topic name is an error, not a new topic
    "auto.create.topics.enable": "false",
    "num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # one node: one replica of everything, few partitions of what Kafka keeps for itself
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # small on disk: retention frees whole segments, and an index is laid out at full size
    "log.segment.bytes": str(64 << 20),
    "log.index.size.max.bytes": str(1 << 20),
    "metadata.log.segment.bytes": str(16 << 20),
    # the cleaner's default buffer is a quarter of our heap
    "log.cleaner.dedupe.buffer.size": str(16 << 20),
    "num.network.threads": "2",
    "num.io.threads": "4",
    # after a kill the controller waits out the dead node's session: 13.7 s to start with the default 9 s, 4.1 s with 2;
    # but with 2 s a machine whose cores are all busy fences its only broker, and every partition loses its leader
    "broker.session.timeout.ms": "5000",
    "broker.heartbeat.interval.ms": "500",
}


class BrokerSite(Struct, frozen=True):
    """Where one embedded broker lives: its folder, its two loopback ports, and the folder of complete jars."""

    folder: Path
    port: int
    controller_port: int
    jars: Path

    @property
    def bootstrap(self) -> str:
        """What clients connect to."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def properties_file(self) -> Path:
        """The file the broker is started with; written anew at every start."""
        return self.folder / "server.properties"

    @property
    def log_folder(self) -> Path:
        """Topics and metadata."""
        return self.folder / "data"


def properties(site: BrokerSite, log_folder: Path) -> str:
    """The text of server.properties for one node that keeps its logs in `log_folder`."""
    own = {
        "controller.quorum.voters": f"1@{LOOPBACK}:{site.controller_port}",
        "listeners": f"PLAINTEXT://{site.bootstrap},CONTROLLER://{LOOPBACK}:{site.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{site.bootstrap}",
        "log.dirs": str(log_folder),
    }
    return "".join(f"{key}={value}\n" for key, value in sorted({**_FIXED, **own}.items()))


def command(site: BrokerSite, *main: str) -> tuple[str, ...]:
    """The command line that runs one of Kafka's main classes with our heap and logging."""
    return (require_java(), *_JVM, "-cp", str(site.jars / "*"), *main)


def prepare(site: BrokerSite) -> tuple[str, ...]:
    """Formats the storage when it is new, writes server.properties, and returns the command that starts the broker.

    Raises UnavailableError when Java is missing or the storage cannot be formatted.
    """
    try:
        site.folder.mkdir(parents=True, exist_ok=True)
        if not (site.log_folder / "meta.properties").exists():
            _format(site)
        site.properties_file.write_text(properties(site, site.log_folder), "utf-8")
    except OSError as problem:
        raise UnavailableError(f"cannot write to {site.folder}: {problem}", "make that folder writable") from problem
    return command(site, "kafka.Kafka", str(site.properties_file))


def _format(site: BrokerSite) -> None:
    """Formats beside the final place and renames, so that a kill in between leaves nothing half-made."""
    part = site.folder / "data.part"
    shutil.rmtree(part, ignore_errors=True)
    settings = site.folder / "format.properties"
    settings.write_text(properties(site, part), "utf-8")
    cluster = cluster_id(secrets.token_bytes(16))
    tool = command(site, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings))
    done = subprocess.run(tool, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False)  # noqa: S603 - built by us
    if done.returncode != 0:
        said = (done.stderr + done.stdout).strip().splitlines()
        raise UnavailableError(f"the broker's storage cannot be formatted: {said[-1:]}", f"see or remove {site.folder}")
    part.rename(site.log_folder)
    settings.unlink()


def start(site: BrokerSite, environment: Mapping[str, str], *, ends_with_parent: bool = False) -> processes.Record:
    """Starts the broker and waits until it answers; raises UnavailableError with its log's name when it does not."""
    launch = processes.Launch(
        "broker",
        prepare(site),
        broker_environment(environment),
        site.folder / "broker.log",
        site.folder / "broker.pid",
        ends_with_parent=ends_with_parent,
    )
    return processes.start(launch, lambda: probe.broker_answers(LOOPBACK, site.port), START_TIMEOUT_S)


def cluster_id(chance: bytes) -> str:
    """A cluster's name from 16 random bytes; never with a leading dash, which the tool takes for an option."""
    return base64.urlsafe_b64encode(bytes([chance[0] & 0x7F]) + chance[1:]).decode().rstrip("=")


def broker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The broker's environment: ours, with few malloc arenas (they cost memory, not speed, with few threads)."""
    return {**environment, "MALLOC_ARENA_MAX": "2"}


def site_under(folder: Path, port: int, controller_port: int) -> BrokerSite:
    """A site in that folder, with the shared jars, which are fetched when they are not complete."""
    return BrokerSite(folder, port, controller_port, ensure_jars())
