"""How old is the oldest record that a consumer group has not committed? Asked from Kafka, once a second.

Used by `case_closed`. The age of a group is now less the append time of the record at its committed offset; a group
that has committed everything has none. Groups: intake, settle and sinks of every lane. It reads, and joins no group.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from infra.kafka import LogReader
from infra.settings import Settings
from schemas import topics
from schemas.errors import UnavailableError
from schemas.statuses import LANES
from tests.ledger.evidence import PROVIDER_OF

EVERY_S: Final = 1.0
ASK_S: Final = 10.0
LOOK_S: Final = 5.0
"""So long the record at a committed offset is waited for."""
Place = tuple[str, int]
"""Topic and partition."""


def groups(settings: Settings) -> dict[str, list[Place]]:
    """The partitions that each group reads."""
    channels = sorted({*PROVIDER_OF.values()})
    found = {
        settings.group(role, lane): [topic]
        for lane in LANES
        for role, topic in (("intake", topics.messages(lane)), ("settle", topics.events(lane)))
    }
    found |= {settings.group("sinks", lane): [topics.deliveries(name, lane) for name in channels] for lane in LANES}
    return {
        group: [(topic.named(settings.namespace), at) for topic in read for at in range(settings.partitions)]
        for group, read in found.items()
    }


class Group:
    """One group's committed offsets."""

    def __init__(self, name: str, bootstrap: str, places: Sequence[Place]) -> None:
        self.name: Final = name
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": name, "log_level": 0})
        self._places: Final = [TopicPartition(*place) for place in places]

    def owed(self, ends: Mapping[Place, int]) -> dict[Place, int]:
        """The offset of the oldest uncommitted record of each partition that has one; raises KafkaException."""
        committed = self._consumer.committed(self._places, timeout=ASK_S)
        offsets = {(at.topic, at.partition): max(0, at.offset) for at in committed}
        return {place: offset for place, offset in offsets.items() if offset < ends[place]}

    def close(self) -> None:
        """Let the connection go."""
        self._consumer.close()


class Watch:
    """Samples all groups in a thread of its own, within a `with` block; `oldest_s` is the oldest age of each seen."""

    def __init__(self, settings: Settings, bootstrap: str) -> None:
        read = groups(settings)
        self.oldest_s: Final[dict[str, float]] = dict.fromkeys(read, 0.0)
        self.samples = 0
        self._groups = [Group(name, bootstrap, places) for name, places in read.items()]
        self._topics = sorted({topic for places in read.values() for topic, _ in places})
        self._reader = LogReader(bootstrap)
        self._appended: dict[tuple[Place, int], int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watermark", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(ASK_S * len(self._groups))
        for group in self._groups:
            group.close()
        self._reader.close()

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                self._sample()
            except (KafkaException, UnavailableError):
                continue  # asked again in a second: what is not committed only grows older
            self.samples += 1

    def _sample(self) -> None:
        """Ends first: what is appended after that is not owed yet."""
        ends = {(topic, at): end for topic in self._topics for at, end in self._reader.end_offsets(topic).items()}
        owed = {group.name: group.owed(ends) for group in self._groups}
        now_ms = time.time() * 1000
        appended = self._append_times({place: at for places in owed.values() for place, at in places.items()})
        for name, places in owed.items():
            ages = [(now_ms - appended[place]) / 1000 for place in places if place in appended]
            self.oldest_s[name] = max([self.oldest_s[name], *ages])

    def _append_times(self, wanted: Mapping[Place, int]) -> dict[Place, int]:
        """When the record at each of these offsets was appended (UTC ms); what stays owed is read once."""
        known = {
            (place, at): self._appended[place, at] for place, at in wanted.items() if (place, at) in self._appended
        }
        missing = {place: at for place, at in wanted.items() if (place, at) not in known}
        for place, at_ms in _read(self._reader, missing):
            known[place, missing[place]] = at_ms
        self._appended = known
        return {place: at_ms for (place, _), at_ms in known.items()}


def _read(reader: LogReader, wanted: Mapping[Place, int]) -> Iterator[tuple[Place, int]]:
    """The append time of the first record from each offset on; of those that came in time."""
    left, until_s = set(wanted), time.monotonic() + LOOK_S
    if not left:
        return
    for record in reader.watch(wanted):
        if record is not None and (place := (record.topic, record.partition)) in left:
            left.discard(place)
            yield place, record.timestamp
        if not left or time.monotonic() > until_s:
            return


def say(oldest_s: Mapping[str, float]) -> str:
    """The groups by age, the oldest first."""
    ordered: Callable[[str], float] = lambda name: -oldest_s[name]  # noqa: E731 - a key
    return ", ".join(f"{name} {oldest_s[name]:.1f} s" for name in sorted(oldest_s, key=ordered))
