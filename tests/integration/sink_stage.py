"""Around the sinks' tests: an installation of its own, simulators and sinks as processes, deliveries by hand."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec import structs

from infra import crypto
from infra.crypto import load_keyring
from infra.kafka import LogReader, Publisher, TopicSpec, provision
from infra.local.ports import any_port
from infra.registry_changes import Writer, changes, read_current
from infra.registry_files import Wanted
from infra.settings import Settings, environment_for
from schemas import topics
from schemas.codec import CONTENT, DELIVERY, EVENT
from schemas.configuration import ChannelConfig, ProviderAccount
from schemas.partitioner import partition_of
from schemas.records import Delivery, Event
from schemas.statuses import Lane, Stage
from sinks.channel import channel_files, channel_names
from sinks.claim import ANSWERS
from tests.channel_samples import delivery, sample_of

ROOT: Final = Path(__file__).parents[2]
SINKS: Final = """
import sys
from infra import settings
from sinks import agents
sys.exit(agents.run(settings.load(), sys.argv[1]))
"""
SECOND: Final = sample_of("sms_tencent")
SAMPLES: Final = {sample_of(name).channel: sample_of(name) for name in reversed(channel_files())}


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


def wait_for(check: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Wait until it holds, looking ten times a second."""
    end_s = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < end_s, f"not in {timeout_s} s: {what}"
        time.sleep(0.1)


class SinkStage:
    """One lane's deliveries and events, and everything that was started for them."""

    def __init__(self, bootstrap: str, home: Path, lane: Lane) -> None:
        self.lane = lane
        self.port = any_port(2)
        self.settings = Settings(
            home=home,
            kafka=bootstrap,
            namespace=f"sink{uuid.uuid4().hex[:8]}",
            simulators=f"http://127.0.0.1:{self.port}",
        )
        self.keyring = load_keyring(self.settings)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.sent: dict[tuple[bytes, str], Delivery] = {}
        self.publisher = Publisher(bootstrap, linger_ms=1)
        wanted = topics.installation(channel_names())
        partitions = self.settings.partitions
        provision(
            bootstrap,
            [TopicSpec(self.name(topic), topic.partitions or partitions, 1, topic.config) for topic in wanted],
        )
        self.simulators = self._start("simulators", "-m", "infra.simulators.server", "--port", str(self.port))
        try:
            wait_for(self._answers, 90, "simulators listening")
        except BaseException:
            self.close()
            raise
        for sample in (*SAMPLES.values(), SECOND):
            for kind, told in sample.told:
                self.tell(kind, told)

    def name(self, topic: topics.Topic) -> str:
        """A topic's name on the broker."""
        return topic.named(self.settings.namespace)

    # -- processes

    def _start(self, name: str, *argv: str) -> subprocess.Popen[bytes]:
        environment = {**environment_for(self.settings), "PYTHONPATH": str(ROOT)}
        path = self.settings.home / f"{self.settings.namespace}.{len(self.processes)}.{name}.log"
        with path.open("wb") as log:
            started = subprocess.Popen([sys.executable, *argv], env=environment, cwd=ROOT, stdout=log, stderr=log)
        self.processes.append(started)
        return started

    def start_sinks(self) -> subprocess.Popen[bytes]:
        """Start one process of this lane's sinks."""
        return self._start("sinks", "-c", SINKS, self.lane)

    def close(self) -> None:
        """End what was started."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self.publisher.close(1.0)

    # -- simulators

    def _answers(self) -> bool:
        assert self.simulators.poll() is None, "the simulators ended"
        try:
            return bool(self.ask("/sim/counts"))
        except OSError:
            return False

    def ask(self, path: str) -> Any:
        """Ask the simulators."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return json.load(answer)

    def tell(self, kind: str, told: dict[str, Any]) -> None:
        """Tell the simulators something."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/sim/{kind}", json.dumps(told).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310 - our own address
            assert answer.status == 200

    def calls(self) -> list[dict[str, Any]]:
        """Every call that the simulators received."""
        found: list[dict[str, Any]] = self.ask("/sim/messages?outcome=all&limit=100000")["messages"]
        return found

    # -- registry

    def apply(self, second: float = 0.0, *, pulls: bool = False, **told: Any) -> None:
        """Put both channels into the registry, these members changed.

        `second` is the share of a second SMS provider; `pulls`: both SMS providers are asked for receipts.
        """
        pull = {"pull": "on", "queries_per_s": "50"} if pulls else {}
        channels = {
            name: structs.replace(
                ChannelConfig(
                    name,
                    sample.provider,
                    base_url="simulators:" + sample.path,
                    rate_per_s=1000,
                    max_in_flight=200,
                    timeout_ms=2_000,
                    settings={**sample.settings, **(pull if name == "sms" else {})},
                    secrets=json.dumps(dict(sample.secrets)).encode(),
                    success_levels=["accepted"],
                ),
                **told,
            )
            for name, sample in SAMPLES.items()
        }
        if second:
            other = ProviderAccount(
                SECOND.provider,
                weight=second,
                base_url="simulators:" + SECOND.path,
                rate_per_s=1000,
                max_in_flight=200,
                timeout_ms=2_000,
                settings={**SECOND.settings, **pull},
                secrets=json.dumps(dict(SECOND.secrets)).encode(),
            )
            channels["sms"] = structs.replace(channels["sms"], weight=1.0 - second, others=[other])
        wanted = Wanted(channels=channels, kinds=frozenset({"channels"}))
        writer, current = Writer(self.settings, self.keyring), read_current(self.settings, self.keyring)
        writer.apply(current, wanted, changes(current, wanted, self.keyring), "test", now_ms())
        writer.close()

    # -- deliveries and events

    def issue(self, number: int, channel: str = "sms", tail: str = "0000", hold_ms: int = 30_000, **told: Any) -> None:
        """Publish a delivery, as settle would."""
        now = now_ms()
        plain = delivery(
            number, channel, lane=self.lane, accepted_at=now, claim_by=now + hold_ms, expires_at=now + 3_600_000
        )
        place = crypto.part_place(plain.message_id, channel)
        content = CONTENT.encode(SAMPLES[channel].content_for(tail))
        sealed = self.keyring.ring("parts").seal(content, place)
        one = structs.replace(plain, **{"sealed": sealed, **told})
        self.publish(one)
        self.sent[one.message_id, channel] = one

    def publish(self, one: Delivery) -> None:
        """Publish a delivery to its partition."""
        topic = self.name(topics.deliveries(one.channel, self.lane))
        partition = partition_of(one.message_id, self.settings.partitions)
        self.publisher.publish(topic, DELIVERY.encode(one), one.message_id, partition=partition)
        assert self.publisher.flush(20) == 0

    def events(self) -> list[Event]:
        """The lane's log."""
        with LogReader(self.settings.kafka) as reader:
            return [EVENT.decode(record.value) for record in reader.read_all(self.name(topics.events(self.lane)))]

    def answers(self) -> dict[tuple[bytes, str], list[Event]]:
        """Answering events by message and channel."""
        found: dict[tuple[bytes, str], list[Event]] = defaultdict(list)
        for event in self.events():
            if event.stage in ANSWERS:
                found[event.message_id, event.channel].append(event)
        return found

    def await_answers(self, timeout_s: float = 60.0) -> dict[tuple[bytes, str], list[Event]]:
        """Wait until every delivery is answered."""
        wait_for(lambda: self.sent.keys() <= self.answers().keys(), timeout_s, "every delivery answered")
        return self.answers()

    def claims(self) -> Counter[tuple[bytes, str]]:
        """Claims in the log by message and channel."""
        return Counter((event.message_id, event.channel) for event in self.events() if event.stage == Stage.SENDING)

    def calls_by_message(self) -> Counter[tuple[bytes, str]]:
        """Calls that the simulators received, by message and channel."""
        return Counter((bytes.fromhex(call["message_id"]), call["channel"]) for call in self.calls())
