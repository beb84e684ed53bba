"""Whether a producer has lost its way to a partition: records lie ready, nothing is under way, and it sends none.

Fed by the publisher with librdkafka's statistics. A broker that is shut down, or was fenced, answers that a partition
has no leader; librdkafka 2.16 then now and then never asks again (its issue 5430), and records of that partition time
out for as long as the producer lives. Whether the broker is there is for the publisher to ask. Pure; knows no clock.
"""

from typing import Final

import msgspec
from msgspec import Struct

INTERVAL_MS: Final = 2_000
STILL_MS: Final = 6_000
"""Nothing that is well waits so long: librdkafka comes back to a refused request after a second at most."""
_READY: Final = "Assigned"


class _Partition(Struct):
    msgq_cnt: int = 0
    xmit_msgq_cnt: int = 0
    msgs_inflight: int = 0
    txmsgs: int = 0


class _Topic(Struct):
    partitions: dict[str, _Partition]


class _Idempotence(Struct):
    idemp_state: str = _READY


class _Told(Struct):
    """What is read of the statistics (librdkafka's STATISTICS.md); `ts` in microseconds of its own clock."""

    ts: int
    txmsgs: int = 0
    topics: dict[str, _Topic] = msgspec.field(default_factory=dict)
    eos: _Idempotence = msgspec.field(default_factory=_Idempotence)


class Standstill:
    """The partitions of one producer that have something to send, and since when they send nothing."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], tuple[int, int]] = {}
        self.topics: frozenset[str] = frozenset()
        """Topics with a partition that has stood still for STILL_MS."""
        self.sent = 0
        """Records sent so far, those sent again included."""

    def learn(self, statistics: str) -> None:
        """The next statistics, as librdkafka tells them: JSON."""
        told = msgspec.json.decode(statistics, type=_Told)
        self.sent = told.txmsgs
        before, self._since = self._since, {}
        if told.eos.idemp_state == _READY:
            for name, topic in told.topics.items():
                self._look(name, topic, told.ts, before)
        still = {key[0] for key, (since, _) in self._since.items() if told.ts - since >= STILL_MS * 1_000}
        self.topics = frozenset(still)

    def _look(self, name: str, topic: _Topic, ts: int, before: dict[tuple[str, str], tuple[int, int]]) -> None:
        """Partition -1 keeps what has no partition yet; it has sent what all of them have."""
        sent_of_all = sum(each.txmsgs for each in topic.partitions.values())
        for number, each in topic.partitions.items():
            if each.msgs_inflight or not each.msgq_cnt + each.xmit_msgq_cnt:
                continue
            sent = sent_of_all if number == "-1" else each.txmsgs
            since, sent_then = before.get((name, number), (ts, sent))
            self._since[name, number] = (since, sent) if sent == sent_then else (ts, sent)
