"""A whole installation to measure on: every role in its process, the sample hospital, messages through the SDK.

Used by the cases that ask what a patient would notice. The load is bounded in count and time; everything runs on
loopback, in a folder of its own, and ends with the block. Volumes shrink with BENCH_SECONDS for a trial.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from infra.kafka import LogReader
from producers.publisher import ClientOptions, MedpostClient
from producers.requests import MessageRequest
from schemas import ids, topics
from schemas.codec import EVENT
from schemas.statuses import Lane, Stage
from schemas.topics import Topic
from tests.bench.ground import SECONDS
from tests.ledger.evidence import call_of, unread_of
from tests.ledger.offer import KEYS, KINDS, Kind, values
from tests.ledger.plant import Plant

FULL_S: Final = 15.0
SCALE: Final = min(1.0, SECONDS / FULL_S)
ROOM_S: Final = 120.0
HAPPENING: Final = 1_000
"""Events of one second that are not committed yet."""
BY_TYPE: Final[Mapping[str, Kind]] = {kind.type: kind for kind in KINDS}


class Whole:
    """The installation and the hospital's systems."""

    def __init__(self, plant: Plant, clients: Mapping[str, MedpostClient]) -> None:
        self.plant = plant
        self._clients = clients
        self._number = 0

    def send(self, kind: str, recipients: Sequence[tuple[str, str]], count: int, per_s: float = 0.0) -> list[bytes]:
        """Send that many messages of a type, as fast as they go or `per_s`; ids once all are acknowledged."""
        return self.send_beside([kind], recipients, count, per_s)[kind]

    def send_beside(
        self, kinds: Sequence[str], recipients: Sequence[tuple[str, str]], count: int, per_s: float = 0.0
    ) -> dict[str, list[bytes]]:
        """The same of several types, one of each in turn; `per_s` of each type."""
        begun_s, answers = time.monotonic(), {kind: list[Future[str]]() for kind in kinds}
        for number in range(count):
            if per_s:
                time.sleep(max(0.0, begun_s + number / per_s - time.monotonic()))
            for kind, given in answers.items():
                given.append(self._submit(kind, recipients[number % len(recipients)], number))
        return {kind: [ids.parse(answer.result(ROOM_S)) for answer in given] for kind, given in answers.items()}

    def _submit(self, kind: str, recipient: tuple[str, str], number: int) -> Future[str]:
        of = BY_TYPE[kind]
        self._number += 1
        request = MessageRequest(
            type=kind,
            recipient=recipient,
            personalisation=values(of, number),
            reference=f"bench-{self._number}",
        )
        return self._clients[of.app_id].submit(request)

    def wait_accepted(self, lane: Lane) -> None:
        """Wait until intake has answered everything in a lane; raises AssertionError when it does not."""
        self._wait_read("intake", topics.messages(lane), lane, 0)

    def wait_in_line(self, lane: Lane) -> None:
        """Wait until settle has read what intake accepted in a lane, but for what happens meanwhile."""
        self._wait_read("settle", topics.events(lane), lane, HAPPENING)

    def _wait_read(self, role: str, topic: Topic, lane: Lane, but: int) -> None:
        settings, until_s = self.plant.settings, time.monotonic() + ROOM_S
        name, group = topic.named(settings.namespace), settings.group(role, lane)
        while unread_of(group, self.plant.addresses.kafka, [name], settings) > but:
            assert time.monotonic() < until_s, f"{group} is behind for {ROOM_S:.0f} s"
            time.sleep(0.25)

    def accepted_at(self, lane: Lane, wanted: Sequence[bytes]) -> dict[bytes, int]:
        """When each of these messages was accepted (UTC ms)."""
        topic = topics.events(lane).named(self.plant.settings.namespace)
        among = {*wanted}
        with LogReader(self.plant.addresses.kafka) as reader:
            events = (EVENT.decode(record.value) for record in reader.read_all(topic))
            return {
                event.message_id: event.accepted_at
                for event in events
                if event.stage == Stage.ACCEPTED and event.message_id in among
            }

    def first_calls(self, channel: str = "") -> dict[bytes, int]:
        """When a provider was first called for each message (UTC ms), on one channel or on any."""
        found: dict[bytes, int] = {}
        for row in self.plant.calls():
            call = call_of(row)
            if channel in ("", call.channel):
                found[call.message_id] = min(call.at, found.get(call.message_id, call.at))
        return found

    def latencies_ms(self, lane: Lane, sent: Sequence[bytes], channel: str, within_s: float) -> list[int]:
        """Accepted to the provider's first call, one figure a message; AssertionError when one is never called."""
        until_s = time.monotonic() + within_s
        called = self.first_calls(channel)
        while missing := [one for one in sent if one not in called]:
            assert time.monotonic() < until_s, f"{len(missing)} of {len(sent)} not called within {within_s:.0f} s"
            time.sleep(1.0)
            called = self.first_calls(channel)
        accepted = self.accepted_at(lane, sent)
        return [called[one] - accepted[one] for one in sent]

    def tell(self, kind: str, told: dict[str, Any]) -> None:
        """Tell the simulated providers something."""
        self.plant.tell(kind, told)


@contextmanager
def whole() -> Iterator[Whole]:
    """A whole installation, up; down and removed after the block."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="medpost-bench-", ignore_cleanup_errors=True))
        plant = stack.enter_context(Plant(Path(folder) / "home"))
        options = ClientOptions(lanes={kind.type: str(kind.lane) for kind in KINDS}, queued_records=100_000)
        clients = {
            app: stack.enter_context(MedpostClient(plant.addresses.kafka, app, f"{app}-1", key, options))
            for app, key in KEYS.items()
        }
        yield Whole(plant, clients)


def quantile(figures: Sequence[int], part: float) -> float:
    """The smallest figure that is not less than that part of them."""
    ordered = sorted(figures)
    return float(ordered[min(len(ordered) - 1, int(len(ordered) * part))])
