"""The engine step, ours and four peers': decode a 198-byte Avro record, change a field, encode, produce keyed.

One process each, 4 partitions, acks=all, from the beginning of one filled topic. Peers run in virtual environments
of their own under `peers/`, because their pins exclude each other.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from typing import Any, Final

from infra.kafka import Publisher, QueueFullError, TopicSpec, provision
from tests.bench.ground import ROOT, SECONDS, Case
from tests.bench.step_medpost import PEERS, peers_record

SOURCE: Final = "step.in"
TARGET: Final = "step.out"
PARTITIONS: Final = 4
SPARE: Final = 1.6
"""So many times what the fastest peer needs is filled in."""
PROBE_S: Final = 4.0
PROBE_RECORDS: Final = 600_000


def peer_command(peer: str) -> list[str]:
    """The command of a peer, its environment installed when it is missing or its pins have changed."""
    folder = PEERS / peer
    pins = hashlib.sha256((folder / "requirements.txt").read_bytes()).hexdigest()
    python, stamp = folder / ".venv" / "bin" / "python", folder / ".venv" / "pins"
    if not stamp.exists() or stamp.read_text("utf-8") != pins:
        venv.create(folder / ".venv", with_pip=True, clear=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "--require-hashes", "-r", folder / "requirements.txt"], check=True
        )
        stamp.write_text(pins, "utf-8")
    return [str(python), str(folder / "program.py")]


def medpost_command() -> list[str]:
    """The command of our own program."""
    return [sys.executable, "-m", "tests.bench.step_medpost"]


def run_once(command: list[str], kafka: str, seconds: float) -> dict[str, Any]:
    """One run of a program; its last line is JSON with `count` and `seconds`. Raises RuntimeError without one."""
    arguments = [*command, kafka, SOURCE, TARGET, str(seconds)]
    with tempfile.TemporaryDirectory(prefix="medpost-bench-") as home:
        environment = {**os.environ, "MEDPOST_HOME": home, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            arguments, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 90, check=False
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{") and '"cpu_us"' in line]
    if not lines:
        raise RuntimeError(f"{command[-1]} measured nothing: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


class Filled:
    """The source topic, filled once per bench run with enough for the fastest program."""

    def __init__(self) -> None:
        self._count = 0

    def ensure(self, kafka: str) -> None:
        """Fill it, as much as a short run of plain confluent-kafka says."""
        if self._count:
            return
        small = {"segment.bytes": "67108864", "retention.bytes": "67108864"}
        provision(kafka, [TopicSpec(SOURCE, PARTITIONS), TopicSpec(TARGET, PARTITIONS, 1, small)])
        self._fill(kafka, PROBE_RECORDS)
        probe = run_once(peer_command("confluent"), kafka, PROBE_S)
        per_s = probe["count"] / probe["seconds"]
        self._fill(kafka, int(per_s * SECONDS * SPARE) - self._count)

    def _fill(self, kafka: str, count: int) -> None:
        publisher = Publisher(kafka, linger_ms=20)
        sample: bytes = peers_record().sample(0)
        rest = sample[37:]
        for number in range(self._count, self._count + max(0, count)):
            key = b"%036d" % number
            _push(publisher, sample[:1] + key + rest, key)
        self._count += max(0, count)
        if publisher.close(60):
            raise RuntimeError("the source topic could not be filled")


def _push(publisher: Publisher, value: bytes, key: bytes) -> None:
    while True:
        try:
            publisher.publish(SOURCE, value, key)
        except QueueFullError:
            publisher.flush(0.05)
        else:
            return


FILLED: Final = Filled()


def step(command: Callable[[], list[str]]) -> Callable[[str], float]:
    """A case's run: records a second of one program."""

    def run(kafka: str) -> float:
        FILLED.ensure(kafka)
        found = run_once(command(), kafka, SECONDS)
        if found["seconds"] < SECONDS * 0.95:
            raise RuntimeError(f"only {found['seconds']:.1f} s measured: the source topic was too small")
        return float(found["count"] / found["seconds"])

    return run


def peer(name: str) -> Callable[[], list[str]]:
    """The command of a peer, made when it is needed."""
    return lambda: peer_command(name)


CONDITIONS: Final = "198 B Avro, 4 partitions, acks=all, one process, embedded broker on the same machine"
CASES: Final = [
    Case("step.medpost", "msg/s", step(medpost_command), 0, CONDITIONS),
    *(Case(f"step.{name}", "msg/s", step(peer(name)), 0, CONDITIONS) for name in ("confluent", "quixstreams")),
    *(Case(f"step.{name}", "msg/s", step(peer(name)), 0, CONDITIONS) for name in ("arroyo", "faust")),
]
