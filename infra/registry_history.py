"""The registry's history: who changed what when, as one record per object and apply on `config.history`.

Written by `registry_changes.Writer` before a set is closed, read by `medpost registry history`. A set that was never
closed has no history: its records are told from others by version and time. Recipients are only counted, so that
nothing here speaks of a person.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from msgspec import Struct

from infra import settings as settings_module
from infra.kafka import LogReader
from infra.settings import Settings
from schemas import topics
from schemas.configuration import CONFIG_CHANGE, CONFIG_VERSION, ConfigChange, ConfigVersion, MemberChange
from schemas.errors import Permanent

LONGEST_CHARS: Final = 2_000
"""Of a member's text in the history; the rest of a long template is cut."""


class Changed(Protocol):
    """What is written to the history of: `registry_changes.Change`."""

    @property
    def kind(self) -> str: ...  # noqa: D102 - see there
    @property
    def object_id(self) -> str: ...  # noqa: D102
    @property
    def action(self) -> str: ...  # noqa: D102
    @property
    def what(self) -> tuple[tuple[str, str, str], ...]: ...  # noqa: D102


class Applied(Struct, frozen=True):
    """One apply that took effect, and what it changed; no changes: it is older than the history."""

    closing: ConfigVersion
    changes: tuple[ConfigChange, ...]


def records_of(found: Sequence[Changed], version: int, at_ms: int, author: str) -> Iterator[ConfigChange]:
    """What the history keeps of these changes: objects one by one, recipients by number."""
    for change in found:
        if change.kind != "recipients":
            members = [MemberChange(member, _cut(before), _cut(after)) for member, before, after in change.what]
            yield ConfigChange(version, at_ms, author, change.kind, change.object_id, change.action, members=members)
    people = Counter(change.action for change in found if change.kind == "recipients")
    for action, count in sorted(people.items()):
        yield ConfigChange(version, at_ms, author, "recipients", "", action, count)


def key_of(change: ConfigChange) -> bytes:
    """The key of a record of the history."""
    return f"{change.kind}/{change.object_id}".encode()


def read_history(settings: Settings) -> list[Applied]:
    """Every apply that took effect, the newest first; raises UnavailableError when the broker is not there."""
    with LogReader(settings_module.kafka_endpoint(settings)) as reader:
        closings = list(_closings(reader, settings))
        found = list(_changes(reader, settings))
    by_set: dict[tuple[int, int], list[ConfigChange]] = {}
    for change in found:
        by_set.setdefault((change.version, change.at), []).append(change)
    newest = {(closing.version, closing.at): closing for closing in closings}
    return [
        Applied(newest[at], tuple(by_set.get(at, ())))
        for at in sorted(newest, key=lambda one: (one[1], one[0]), reverse=True)
    ]


def matching(history: Sequence[Applied], kind: str, object_id: str) -> list[Applied]:
    """Those that changed such objects, each with only these changes; all of them when nothing is asked for."""
    if not kind and not object_id:
        return list(history)
    narrowed = (
        Applied(
            one.closing,
            tuple(
                change for change in one.changes if kind in ("", change.kind) and object_id in ("", change.object_id)
            ),
        )
        for one in history
    )
    return [one for one in narrowed if one.changes]


def _closings(reader: LogReader, settings: Settings) -> Iterator[ConfigVersion]:
    for record in reader.read(topics.CONFIG["versions"].named(settings.namespace), 0):
        try:
            yield CONFIG_VERSION.decode(record.value)
        except Permanent:
            continue  # counted where the registry is followed


def _changes(reader: LogReader, settings: Settings) -> Iterator[ConfigChange]:
    name = topics.HISTORY.named(settings.namespace)
    if reader.partitions(name) == 0:
        return  # nothing was applied since this version of medpost is here
    for record in reader.read(name, 0):
        try:
            yield CONFIG_CHANGE.decode(record.value)
        except Permanent:
            continue  # one line of a history less


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_CHARS else text[:LONGEST_CHARS] + "…"
