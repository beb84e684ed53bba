"""Writing the configuration registry: what files would change, in words, and applying it as one set.

Called by `medpost registry apply | diff`. Objects that are the same already are not written again. The order of an
apply is: recipients, then objects, then, when all of it is acknowledged, the record in `config.versions` that closes
the set; a reader never sees a set that is not closed, and an apply that died half-way is mended by applying again.

Objects that the files do not name stay, unless deleting was asked for: then those of the kinds that the files speak of.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct, field, structs

from infra import settings as settings_module
from infra.crypto import Keyring
from infra.directory import open_person, seal_person
from infra.kafka import LogReader, Publisher, PublishFailure
from infra.registry import KINDS, BadRecord, Object, Stage
from infra.registry_files import Wanted
from infra.registry_history import key_of, records_of
from infra.settings import Settings
from infra.snapshot import EMPTY, Snapshot, key_place, opened_team, sealed_team, secrets_place
from schemas import topics
from schemas.configuration import CONFIG_CHANGE, CONFIG_VERSION, AppConfig, ChannelConfig, ConfigVersion, Recipient
from schemas.errors import Permanent, Reason, UnavailableError

ACK_S: Final = 30.0
FLUSH_EVERY: Final = 20_000
"""Records on their way at once: well under the publisher's queue."""
LOSS_PART: Final = 5
"""More than one in so many deleted of a kind has to be said twice."""
ADDED, CHANGED, REMOVED = "added", "changed", "removed"


class Current(Struct, frozen=True):
    """What the registry holds: the last closed set as written, the recipients by id, opened; what cannot be read."""

    snapshot: Snapshot = EMPTY
    recipients: Mapping[str, Recipient] = field(default_factory=dict)
    bad: tuple[BadRecord, ...] = ()


class Change(Struct, frozen=True):
    """One object that differs: `what` are `(member, before, after)`; secrets and addresses show as stars."""

    kind: str
    object_id: str
    action: str
    what: tuple[tuple[str, str, str], ...] = ()


class Applied(Struct, frozen=True):
    """What an apply did: the version now in force, and the changes; none: nothing was written."""

    version: int
    changes: tuple[Change, ...]


def read_current(settings: Settings, keyring: Keyring) -> Current:
    """The registry as it is on the broker now; raises UnavailableError."""
    with LogReader(settings_module.kafka_endpoint(settings)) as reader:
        stage, snapshot = _staged(reader, settings)
        return Current(snapshot, read_recipients(reader, settings, keyring), stage.bad)


def read_snapshot(settings: Settings) -> Snapshot:
    """The last closed set without the recipients; needs no keys. Raises UnavailableError."""
    with LogReader(settings_module.kafka_endpoint(settings)) as reader:
        return _staged(reader, settings)[1]


def read_bad(settings: Settings) -> tuple[BadRecord, ...]:
    """The objects in force whose newest record cannot be read; needs no keys. Raises UnavailableError."""
    with LogReader(settings_module.kafka_endpoint(settings)) as reader:
        if reader.partitions(topics.CONFIG["versions"].named(settings.namespace)) == 0:
            return ()
        return _staged(reader, settings)[0].bad


def _staged(reader: LogReader, settings: Settings) -> tuple[Stage, Snapshot]:
    """The last closed set, read by a stage of its own."""
    closing, stage = _last_version(reader, settings), Stage(settings.namespace, is_quiet=True)
    return stage, EMPTY if closing is None else stage.close_at(reader, closing)


def _last_version(reader: LogReader, settings: Settings) -> ConfigVersion | None:
    latest = None
    for record in reader.read(topics.CONFIG["versions"].named(settings.namespace), 0):
        try:
            latest = CONFIG_VERSION.decode(record.value)
        except Permanent:
            continue  # readers pass over it too
    return latest


def read_recipients(reader: LogReader, settings: Settings, keyring: Keyring) -> dict[str, Recipient]:
    """Every recipient on the topic by id; what cannot be opened is left out, and so is written anew when wanted."""
    latest: dict[bytes, bytes | None] = {}
    for record in reader.read(topics.RECIPIENTS.named(settings.namespace), 0):
        latest[record.key or b""] = record.value
    people = {}
    for key, value in latest.items():
        try:
            if value is not None:
                person = open_person(keyring.ring("recipients"), key, value)
                people[person.person_id] = person
        except Permanent:
            continue
    return people


def opened(record: Any, keyring: Keyring) -> Any:
    """A record of the registry with its keys and secrets in clear, as `Wanted` has them; b"?" for what is not ours."""

    def plain(sealed: bytes, place: bytes) -> bytes:
        try:
            return keyring.ring("registry").open(sealed, place) if sealed else b""
        except Permanent:
            return b"?"

    match record:
        case AppConfig():
            keys = [
                structs.replace(key, sealed=plain(key.sealed, key_place(record.app_id, key.key_id)))
                for key in record.keys
            ]
            return structs.replace(record, keys=keys, team=_team_in_clear(record, keyring))
        case ChannelConfig():
            return _with_secrets(record, plain)
        case _:
            return record


def sealed(record: Object, keyring: Keyring) -> Object:
    """The reverse of `opened`: what may stand on the topic."""
    seal = keyring.ring("registry").seal
    match record:
        case AppConfig():
            keys = [
                structs.replace(key, sealed=seal(key.sealed, key_place(record.app_id, key.key_id)))
                for key in record.keys
            ]
            return structs.replace(record, keys=keys, team=sealed_team(record, keyring.ring("registry")))
        case ChannelConfig():
            return _with_secrets(record, lambda secrets, place: seal(secrets, place) if secrets else b"")
        case _:
            return record


def _team_in_clear(app: AppConfig, keyring: Keyring) -> list[str]:
    try:
        return opened_team(app, keyring.ring("registry"))
    except Permanent:
        return ["?"]


def _with_secrets(config: ChannelConfig, change: Callable[[bytes, bytes], bytes]) -> ChannelConfig:
    """The channel with every provider's secrets sealed, or opened."""
    place = secrets_place(config.channel)
    others = [structs.replace(other, secrets=change(other.secrets, place)) for other in config.others]
    return structs.replace(config, secrets=change(config.secrets, place), others=others)


def changes(current: Current, wanted: Wanted, keyring: Keyring, *, deletes: bool = False) -> list[Change]:
    """What an apply would write, in the order of kinds and ids."""
    found: list[Change] = []
    for kind in (*KINDS, "recipients"):
        before, after = _of_kind(current, kind), _of_kind(wanted, kind)
        plain = {object_id: opened(record, keyring) for object_id, record in before.items()}
        gone = before.keys() - after.keys() if deletes and kind in wanted.kinds else set()
        found += [Change(kind, object_id, ADDED) for object_id in sorted(after.keys() - before.keys())]
        found += [
            Change(kind, object_id, CHANGED, tuple(_differences(plain[object_id], after[object_id])))
            for object_id in sorted(after.keys() & before.keys())
            if plain[object_id] != after[object_id]
        ]
        found += [
            Change(kind, one.object_id, CHANGED, (("record", f"unreadable at offset {one.offset}", "written anew"),))
            for one in current.bad
            if one.kind == kind and one.object_id in after and plain.get(one.object_id) == after[one.object_id]
        ]
        found += [Change(kind, object_id, REMOVED) for object_id in sorted(gone)]
    return found


class Loss(Struct, frozen=True):
    """How many objects of a kind would go, out of how many, and their ids (none for recipients: they are people)."""

    kind: str
    gone: int
    held: int
    ids: tuple[str, ...] = ()


def great_losses(current: Current, found: Sequence[Change]) -> list[Loss]:
    """The kinds of which more than a fifth would be deleted: a cut-off file looks so, and an intention may too."""
    losses = []
    for kind in (*KINDS, "recipients"):
        ids = tuple(change.object_id for change in found if change.kind == kind and change.action == REMOVED)
        held = len(_of_kind(current, kind))
        if len(ids) * LOSS_PART > held:
            losses.append(Loss(kind, len(ids), held, () if kind == "recipients" else ids))
    return losses


def _of_kind(held: Current | Wanted, kind: str) -> Mapping[str, Any]:
    if isinstance(held, Current) and kind != "recipients":
        return getattr(held.snapshot, kind)  # type: ignore[no-any-return]  # a mapping for every kind
    return getattr(held, kind)  # type: ignore[no-any-return]  # as above


_HIDDEN: Final = ("sealed", "secrets", "addresses", "identities")
_NAMES: Final = ("channel", "key_id", "name", "id_type", "provider")


def _differences(before: Struct, after: Struct) -> Iterator[tuple[str, str, str]]:
    old, new = _flat(before), _flat(after)
    for path in sorted(old.keys() | new.keys()):
        if old.get(path) != new.get(path):
            is_hidden = any(part in _HIDDEN for part in path.split("."))
            yield (path, "***", "***") if is_hidden else (path, old.get(path, "—"), new.get(path, "—"))


def _flat(record: Struct) -> dict[str, str]:
    """Members by dotted path, each as text; members of lists go by their name where they have one."""
    flat: dict[str, str] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for name, item in value.items():
                walk(item, f"{path}.{name}" if path else name)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for index, item in enumerate(value):
                name = next((str(item[key]) for key in _NAMES if key in item), str(index))
                walk(item, f"{path}.{name}")
        else:
            flat[path] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    walk(msgspec.to_builtins(record), "")
    return flat


class Writer:
    """Writes one set of changes; every record is acknowledged before the set is closed."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._settings = settings
        self._keyring = keyring
        self._publisher = Publisher(settings_module.kafka_endpoint(settings), log_level=0)
        self._failures: list[PublishFailure] = []

    def close(self) -> None:
        """Let the connection go."""
        self._publisher.close(ACK_S)

    def apply(self, current: Current, wanted: Wanted, found: list[Change], author: str, now_ms: int) -> Applied:
        """Write the changes and close the set; raises UnavailableError when not all of it is in: nothing takes effect.

        Raises Permanent(reference_conflict) when somebody else applied meanwhile.
        """
        if not found:
            return Applied(current.snapshot.version, ())
        for number, change in enumerate(found, start=1):
            self._write(change, wanted)
            if number % FLUSH_EVERY == 0:
                self._acknowledged()
        self._acknowledged()
        version = self._close_set(current, found, now_ms, author)
        return Applied(version, tuple(found))

    def _write(self, change: Change, wanted: Wanted) -> None:
        after = _of_kind(wanted, change.kind).get(change.object_id)
        if change.kind == "recipients":
            person = after or Recipient(person_id=change.object_id)
            key, value = seal_person(self._keyring, person)
            self._send(topics.RECIPIENTS, key, None if after is None else value)
        else:
            written = None if after is None else KINDS[change.kind].encode(sealed(after, self._keyring))  # type: ignore[arg-type]  # the kind's own record
            self._send(topics.CONFIG[change.kind], change.object_id.encode(), written)

    def _send(self, topic: topics.Topic, key: bytes, value: bytes | None) -> None:
        def report(failure: PublishFailure | None) -> None:
            if failure is not None:
                self._failures.append(failure)

        self._publisher.publish(topic.named(self._settings.namespace), value, key, on_report=report)

    def _acknowledged(self) -> None:
        left = self._publisher.flush(ACK_S)
        if left or self._failures:
            name = self._failures[0].name if self._failures else f"{left} records not acknowledged"
            raise UnavailableError(f"writing the registry: {name}; nothing took effect", "apply again")

    def _close_set(self, current: Current, found: list[Change], now_ms: int, author: str) -> int:
        with LogReader(settings_module.kafka_endpoint(self._settings)) as reader:
            latest = _last_version(reader, self._settings)
            if latest is not None and latest.version != current.snapshot.version:
                raise Permanent(
                    Reason.REFERENCE_CONFLICT,
                    f"version {latest.version} was applied meanwhile: look at it, and apply again",
                )
            named = {kind: topics.CONFIG[kind] for kind in KINDS} | {"recipients": topics.RECIPIENTS}
            offsets = {
                kind: reader.end_offset(topic.named(self._settings.namespace), 0) for kind, topic in named.items()
            }
            closing = ConfigVersion(current.snapshot.version + 1, now_ms, author, offsets)
            after = Stage(self._settings.namespace, is_quiet=True).close_at(reader, closing)
            closing = structs.replace(closing, counts={kind: len(getattr(after, kind)) for kind in KINDS})
        for change in records_of(found, closing.version, now_ms, author):
            self._send(topics.HISTORY, key_of(change), CONFIG_CHANGE.encode(change))
        self._acknowledged()
        self._send(topics.CONFIG["versions"], str(closing.version).encode(), CONFIG_VERSION.encode(closing))
        self._acknowledged()
        return closing.version
