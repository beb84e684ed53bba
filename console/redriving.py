"""Putting dead letters back where they came from, at a pace, each once; and putting them aside.

Called by `medpost dlq`. A record is appended again first and marked after, both acknowledged: killed between the two,
the next run appends it once more, which everybody downstream recognises by its derived id. Prints nothing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from msgspec import Struct

from infra.clock import Clock
from infra.crypto import Ring
from infra.dead import Content
from infra.dead_letters import REDRIVEN, Case, content_of, is_message, may_return
from infra.kafka import PublishFailure
from infra.redrive import HEADER, Origin, stamped
from infra.settings import Settings
from schemas import topics
from schemas.codec import DEAD_MARK
from schemas.errors import MedpostError, Permanent, Reason, UnavailableError
from schemas.records import DeadMark

FLUSH_S: Final = 30.0
PORTIONS_PER_S: Final = 5
"""So often a second records are let go and waited for; a portion is a fifth of the rate."""


class Publishing(Protocol):
    """`infra.kafka.Publisher`, as far as it is needed here."""

    def publish(  # noqa: D102 - see there
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int = -1,
        on_report: Callable[[PublishFailure | None], None] | None = None,
    ) -> None: ...
    def flush(self, timeout_s: float) -> int: ...  # noqa: D102


class Desk(Struct, frozen=True):
    """What a run works with; `by` is who decides, `note` why."""

    settings: Settings
    ring: Ring
    publisher: Publishing
    clock: Clock
    by: str
    note: str = ""


class Told(Struct, frozen=True):
    """How one case ended: put back, or why not."""

    case: Case
    problem: MedpostError | None = None


def redrive(
    desk: Desk, chosen: Sequence[Case], rate_per_s: float, pause: Callable[[float], None], told: Callable[[Told], None]
) -> Counter[str]:
    """Put the records back, at most `rate_per_s` of them; `told` hears of each. Counts by `redriven` or reason.

    Raises UnavailableError when the broker does not acknowledge: what was told of is safe, the rest can be tried again.
    """
    counted: Counter[str] = Counter()
    size = max(1, round(rate_per_s / PORTIONS_PER_S))
    begun_s = desk.clock.monotonic_s()
    for first in range(0, len(chosen), size):
        pause(max(0.0, begun_s + first / rate_per_s - desk.clock.monotonic_s()))
        for one in _portion(desk, chosen[first : first + size]):
            counted[REDRIVEN if one.problem is None else one.problem.reason] += 1
            told(one)
    return counted


def _portion(desk: Desk, portion: Sequence[Case]) -> list[Told]:
    failed: dict[str, PublishFailure] = {}
    ended: dict[str, Told] = {}
    for case in portion:
        try:
            _put_back(desk, case, failed)
            ended[case.origin] = Told(case)
        except Permanent as problem:
            ended[case.origin] = Told(case, problem)
    _acknowledged(desk.publisher)
    for origin, failure in failed.items():
        if not failure.is_permanent:
            raise UnavailableError(f"publishing to {failure.topic}: {failure.name}", "is the broker reachable?")
        ended[origin] = Told(ended[origin].case, Permanent(failure.reason, failure.name))
    mark(desk, [one.case for one in ended.values() if one.problem is None], REDRIVEN)
    return list(ended.values())


def _put_back(desk: Desk, case: Case, failed: dict[str, PublishFailure]) -> None:
    if not may_return(case, desk.settings):
        topic = case.letter.origin_topic
        raise Permanent(Reason.PARAM_INVALID, f"主题 {topic} 的记录不能重投：请用 `medpost dlq drop` 放弃")
    content = content_of(case, desk.ring, desk.settings)

    def report(failure: PublishFailure | None) -> None:
        if failure is not None:
            failed[case.origin] = failure

    letter = case.letter
    desk.publisher.publish(
        letter.origin_topic, content.value, content.key, _headers(desk, case, content), letter.origin_partition, report
    )


def _headers(desk: Desk, case: Case, content: Content) -> list[tuple[str, bytes]]:
    """A message says where it stood first; one that came back before says so already."""
    if not is_message(case, desk.settings) or any(name == HEADER for name, _ in content.headers):
        return content.headers
    letter = case.letter
    first = Origin(letter.origin_topic, letter.origin_partition, letter.origin_offset, letter.origin_timestamp)
    return [*content.headers, stamped(first, (content.value, content.headers), desk.ring)]


def mark(desk: Desk, decided: Sequence[Case], action: str) -> None:
    """Write down what was decided, acknowledged. Raises UnavailableError."""
    topic = desk.settings.topic(topics.DEAD_MARKS.name)
    reports: list[PublishFailure | None] = []
    for case in decided:
        made = DeadMark(case.origin, action, desk.by, desk.clock.now_ms(), desk.note)
        desk.publisher.publish(topic, DEAD_MARK.encode(made), case.origin.encode(), on_report=reports.append)
    _acknowledged(desk.publisher)
    refused = next(filter(None, reports), None)
    if refused is not None:
        raise UnavailableError(f"publishing to {refused.topic}: {refused.name}", "is the broker reachable?")


def _acknowledged(publisher: Publishing) -> None:
    if publisher.flush(FLUSH_S):
        raise UnavailableError(
            f"broker 在 {FLUSH_S:.0f} 秒内没有确认", "检查 broker 是否在运行（`medpost status`）；再次执行无害"
        )
