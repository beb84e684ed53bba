"""The dead letters of an installation and what was decided about them: read, put back, put aside.

Called by `medpost dlq`. A letter may have been written more than once (its writer was killed): it counts once, by its
origin. A decision is a record of its own, the newest one counts. Reads without a group; never changes a letter.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from infra import settings as settings_module
from infra.crypto import Ring
from infra.dead import Content, opened, origin_of
from infra.kafka import LogReader, LogRecord
from infra.settings import Settings
from schemas import topics
from schemas.codec import DEAD_LETTER, DEAD_MARK
from schemas.errors import Permanent, Reason, UnavailableError
from schemas.records import DeadLetter, DeadMark
from schemas.statuses import LANES

REDRIVEN: Final = "redriven"
DROPPED: Final = "dropped"
WAITING: Final = "waiting"
"""Nothing was decided yet."""

RETURNABLE: Final = ("messages.", "events.", "deliveries.")
"""Families of topics whose records may be put back; what others hold is made again by whoever wrote it."""


class Case(Struct, frozen=True):
    """A dead letter and how it stands: waiting, redriven or dropped, and by whom and when that was decided."""

    origin: str
    letter: DeadLetter
    standing: str = WAITING
    mark: DeadMark = DeadMark()


class Selection(Struct, frozen=True):
    """Which cases: empty members choose all. `topic` is a name without namespace, or the beginning of one."""

    origins: tuple[str, ...] = ()
    reason: str = ""
    topic: str = ""
    since_ms: int = 0
    standing: str = ""


def read(settings: Settings) -> list[Case]:
    """Every case as it is now, oldest first. Raises UnavailableError."""
    with LogReader(settings_module.kafka_endpoint(settings)) as reader:
        letters = [letter_in(record) for record in _records(reader, settings.topic(topics.DEAD.name))]
        marks = [
            mark for record in _records(reader, settings.topic(topics.DEAD_MARKS.name)) for mark in marks_in(record)
        ]
    return cases(letters, marks)


def _records(reader: LogReader, topic: str) -> Iterator[LogRecord]:
    if reader.partitions(topic) == 0:
        raise UnavailableError(f"topic {topic} does not exist", "run `medpost up`, which provisions topics")
    return (record for record in reader.read_all(topic) if record.value is not None)


def letter_in(record: LogRecord) -> DeadLetter:
    """The letter in a record; one that holds none is a dead letter itself, and does not hide the others."""
    try:
        letter: DeadLetter = DEAD_LETTER.decode(record.value)
    except Permanent as problem:
        place = (record.topic, record.partition, record.offset, record.timestamp)
        return DeadLetter(problem.reason, problem.detail, *place, at=record.timestamp)
    return letter


def marks_in(record: LogRecord) -> list[DeadMark]:
    """The decision in a record; none where it holds none: the letter waits."""
    try:
        return [DEAD_MARK.decode(record.value)]
    except Permanent:
        return []


def cases(letters: Iterable[DeadLetter], marks: Iterable[DeadMark]) -> list[Case]:
    """Letters and marks in any order, as cases."""
    newest: dict[str, DeadMark] = {}
    for mark in sorted(marks, key=lambda one: one.at):
        newest[mark.origin] = mark
    found: dict[str, Case] = {}
    for letter in letters:
        origin = place_of(letter)
        decided = newest.get(origin)
        found.setdefault(
            origin, Case(origin, letter, decided.action, decided) if decided is not None else Case(origin, letter)
        )
    return sorted(found.values(), key=lambda case: (case.letter.at, case.origin))


def place_of(letter: DeadLetter) -> str:
    """What a letter is called: topic/partition/offset of the record."""
    return origin_of(letter.origin_topic, letter.origin_partition, letter.origin_offset).decode()


def chosen(found: Iterable[Case], by: Selection, settings: Settings) -> list[Case]:
    """The cases of a selection."""
    return [case for case in found if _is_chosen(case, by, settings)]


def _is_chosen(case: Case, by: Selection, settings: Settings) -> bool:
    letter = case.letter
    return (
        (not by.origins or case.origin in by.origins)
        and by.reason in ("", letter.reason)
        and bare_name(letter.origin_topic, settings).startswith(by.topic)
        and letter.at >= by.since_ms
        and by.standing in ("", case.standing)
    )


def bare_name(topic: str, settings: Settings) -> str:
    """A topic's name without this installation's namespace."""
    prefix = f"{settings.namespace}." if settings.namespace else ""
    return topic.removeprefix(prefix)


def content_of(case: Case, ring: Ring, settings: Settings) -> Content:
    """Key, value and headers of the record; one too long for a letter is read where it stood.

    Raises Permanent(decode_error) when it cannot be opened, Permanent(expired) when its topic keeps it no longer.
    """
    content = opened(case.letter, ring)
    if not content.is_cut:
        return content
    letter = case.letter
    with LogReader(settings_module.kafka_endpoint(settings)) as reader:
        at = letter.origin_offset
        for record in reader.read(letter.origin_topic, letter.origin_partition, at, at + 1):
            if record.offset == at:
                return Content(record.key, record.value, list(record.headers))
    raise Permanent(Reason.EXPIRED, f"{case.origin}: the record was too long for its letter, and its topic lost it")


def may_return(case: Case, settings: Settings) -> bool:
    """Whether its record can be put back where it came from."""
    return bare_name(case.letter.origin_topic, settings).startswith(RETURNABLE)


def is_message(case: Case, settings: Settings) -> bool:
    """Whether it is a message that intake refused to handle: then it is judged as at its first append."""
    return bare_name(case.letter.origin_topic, settings) in {topics.messages(lane).name for lane in LANES}
