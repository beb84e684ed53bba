"""The configuration registry as every process sees it: one immutable snapshot, swapped whole.

A thread follows `config.versions`. Its records close a set of changes: the objects of each kind are then read up to
the offsets named there, laid over the ones already known, and the new snapshot takes the place of the old in one
assignment. So nobody ever sees half a change. Reads only; writing is `infra.registry_changes`.

Until a closing record is read to the log's end there is no snapshot to decide by, and the registry is not ready: an
empty registry rejects nothing, it waits. An object that cannot be read keeps its old value and is counted.
"""

import threading
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import structlog
from msgspec import Struct
from prometheus_client import Counter, Gauge

from infra import settings as settings_module
from infra.crypto import Keyring, load_keyring
from infra.follow import keep_reading
from infra.kafka import LogReader, LogRecord
from infra.settings import Settings
from infra.snapshot import EMPTY, Snapshot, key_place, open_channel_secrets, resolve_simulators, resolved
from schemas import topics
from schemas.codec import Codec
from schemas.configuration import (
    APP_CONFIG,
    CHANNEL_CONFIG,
    CONFIG_VERSION,
    MESSAGE_TYPE,
    AppConfig,
    ChannelConfig,
    ConfigVersion,
    MessageType,
)
from schemas.errors import Permanent, UnavailableError

__all__ = ["EMPTY", "KINDS", "Registry", "Snapshot", "Stage", "key_place", "resolved"]

log = structlog.get_logger(__name__)

KINDS: Final[Mapping[str, Codec[AppConfig] | Codec[MessageType] | Codec[ChannelConfig]]] = {
    "apps": APP_CONFIG,
    "types": MESSAGE_TYPE,
    "channels": CHANNEL_CONFIG,
}
"""Kinds of objects, each a compacted topic `config.<kind>` whose keys are the objects' ids."""

SIMULATORS_S: Final = 1.0
"""How often it is looked whether the simulators listen elsewhere."""

BAD_RECORDS: Final = Counter(
    "medpost_registry_bad_records_total", "Registry objects that could not be read; the old value stands", ["kind"]
)

STANDING_BAD: Final = Gauge(
    "medpost_registry_bad_objects", "Registry objects whose newest record cannot be read; mend: apply again", ["kind"]
)
"""Above zero until the objects are applied again: the alarm, where the counter is the history."""

Object = AppConfig | MessageType | ChannelConfig


class BadRecord(Struct, frozen=True):
    """An object whose newest record cannot be read: kind, id, offset; whether an older value is in force instead."""

    kind: str
    object_id: str
    offset: int
    has_old_value: bool


class Stage:
    """Objects as read so far, and how far; becomes a snapshot when a closing record says so. One reader, one stage."""

    def __init__(self, namespace: str, *, is_quiet: bool = False) -> None:
        """`is_quiet`: bad records are kept in `bad` only, for a command that tells of them itself."""
        self._is_quiet = is_quiet
        self._topics = {kind: topics.CONFIG[kind].named(namespace) for kind in KINDS}
        self._positions = dict.fromkeys(KINDS, 0)
        self._objects: dict[str, dict[str, Object]] = {kind: {} for kind in KINDS}
        self._bad: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}

    @property
    def bad(self) -> tuple["BadRecord", ...]:
        """Objects whose newest record cannot be read, so that the old value stands (or none)."""
        return tuple(
            BadRecord(kind, object_id, offset, object_id in self._objects[kind])
            for kind, found in self._bad.items()
            for object_id, offset in sorted(found.items())
        )

    def close_at(self, reader: LogReader, closing: ConfigVersion) -> Snapshot:
        """Read every kind up to the closing record's offsets. Raises UnavailableError, with nothing half applied."""
        if any(closing.offsets.get(kind, 0) < position for kind, position in self._positions.items()):
            self._restart()
        for kind in KINDS:
            self._advance(reader, kind, closing.offsets.get(kind, 0))
        apps, types, channels = (MappingProxyType(dict(self._objects[kind])) for kind in KINDS)
        recipients_end = closing.offsets.get("recipients", 0)
        return Snapshot(closing.version, closing.at, closing.author, recipients_end, apps, types, channels)  # type: ignore[arg-type]  # one dict per kind, each of that kind's records

    def _restart(self) -> None:
        """The topics were made anew: what was known belongs to another log."""
        self._positions = dict.fromkeys(KINDS, 0)
        self._objects = {kind: {} for kind in KINDS}
        self._bad = {kind: {} for kind in KINDS}

    def _advance(self, reader: LogReader, kind: str, end: int) -> None:
        start = self._positions[kind]
        if start >= end:
            return
        for record in list(reader.read(self._topics[kind], 0, start, end)):
            self.lay(kind, record)
        self._positions[kind] = end

    def lay(self, kind: str, record: LogRecord) -> None:
        """Lay one record over what is known; a bad one leaves the old value."""
        object_id = (record.key or b"").decode("utf-8", "replace")
        self._bad[kind].pop(object_id, None)
        if record.value is None:
            self._objects[kind].pop(object_id, None)
            return
        try:
            self._objects[kind][object_id] = KINDS[kind].decode(record.value)
        except Permanent as problem:
            BAD_RECORDS.labels(kind).inc()
            self._bad[kind][object_id] = record.offset
            if self._is_quiet:
                return
            log.warning(
                "registry object cannot be read, the old value stands",
                kind=kind, id=object_id, offset=record.offset, reason=problem.reason, detail=problem.detail,
            )  # fmt: skip


class Registry:
    """The registry of this process; `start` it once, then read `snapshot` as often as you like, from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keyring: Keyring | None = None
        self._stage = Stage(settings.namespace)
        self._latest: ConfigVersion | None = None
        self._is_caught_up = False
        self._read = EMPTY
        self._simulators = ""
        self._look_again_s = 0.0
        self._snapshot = EMPTY
        self._ready = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)

    @property
    def snapshot(self) -> Snapshot:
        """The configuration now; `EMPTY` (version 0) until ready."""
        return self._snapshot

    @property
    def is_ready(self) -> bool:
        """A closed set has been read to the log's end."""
        return self._ready.is_set()

    def start(self) -> None:
        """Begin to follow the log; returns at once."""
        self._thread.start()

    def wait_ready(self, timeout_s: float) -> Snapshot:
        """The snapshot once it is ready; raises UnavailableError with what to do when it is not in time."""
        if not self._ready.wait(timeout_s):
            raise UnavailableError(
                "the configuration registry is empty or cannot be read", "run `medpost registry apply` with your files"
            )
        return self._snapshot

    def channel_secrets(self, config: ChannelConfig) -> dict[str, str]:
        """The channel's secrets in clear; never log them."""
        return open_channel_secrets(self.keyring, config)

    @property
    def keyring(self) -> Keyring:
        """The keys of this process, loaded at first use."""
        if self._keyring is None:
            self._keyring = load_keyring(self._settings)
        return self._keyring

    def close(self) -> None:
        """Stop following; the snapshot stays."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        keep_reading(self._settings, "registry", self._follow, self._stopped)

    def _follow(self, reader: LogReader) -> None:
        def on_record(record: LogRecord) -> None:
            self._note(record)
            if self._is_caught_up:
                self._swap(reader)

        def on_caught_up() -> None:
            self._is_caught_up = True
            self._swap(reader)

        self._is_caught_up = False
        versions = topics.CONFIG["versions"].named(self._settings.namespace)
        reader.follow(versions, on_record, self._is_stopped, on_caught_up)

    def _note(self, record: LogRecord) -> None:
        """Remember the closing record; a bad one is counted and passed over, and so is its set until the next."""
        try:
            self._latest = CONFIG_VERSION.decode(record.value)
        except Permanent as problem:
            BAD_RECORDS.labels("versions").inc()
            log.warning("registry version cannot be read", offset=record.offset, detail=problem.detail)

    def _swap(self, reader: LogReader) -> None:
        if self._latest is None:
            return
        self._read = self._stage.close_at(reader, self._latest)
        for kind in KINDS:
            STANDING_BAD.labels(kind).set(sum(one.kind == kind for one in self._stage.bad))
        self._publish()
        self._ready.set()
        log.info("registry in effect", version=self._read.version, types=len(self._read.types))

    def _publish(self) -> None:
        self._simulators = settings_module.simulators_endpoint(self._settings)
        self._snapshot = resolve_simulators(self._read, self._simulators)

    def _is_stopped(self) -> bool:
        """Asked many times a second by the reader; once a second it looks whether the simulators have moved."""
        if self.is_ready and time.monotonic() >= self._look_again_s:
            self._look_again_s = time.monotonic() + SIMULATORS_S
            if settings_module.simulators_endpoint(self._settings) != self._simulators:
                self._publish()
        return self._stopped.is_set()
