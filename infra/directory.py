"""The recipient directory on local disk: every person of the topic `recipients`, found by any of their identifiers.

Used by intake, one copy a process. A thread folds the topic into rows: the person as sealed on the topic, one row per
identifier, and the offset, all in one batch. What is personal stays sealed on disk; identifiers are pseudonyms.
Other lookups (an EMPI) will answer the same question; nothing here decides what a message may do.
"""

import threading
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Counter

from infra import crypto
from infra.crypto import Keyring
from infra.follow import keep_reading
from infra.kafka import LogReader, LogRecord
from infra.settings import Settings
from infra.state import Rows, Store, open_free
from schemas import topics
from schemas.configuration import RECIPIENT, Recipient
from schemas.errors import Permanent, UnavailableError

log = structlog.get_logger(__name__)

POLL_S: Final = 0.3
"""How often the end of the topic is asked for; a changed address is in use within a second."""
CACHED: Final = 20_000
"""People kept opened in memory: a lookup from disk costs 40 us, from memory 3 us."""
LOCK_WAIT_S: Final = 5.0

_PERSON: Final = b"p"
_ALIAS: Final = b"a"
_OFFSET: Final = b"o"

BAD_RECORDS: Final = Counter(
    "medpost_recipients_bad_records_total", "recipients that could not be opened; the old value stands"
)


def person_key(ring: crypto.Ring, person_id: str) -> bytes:
    """The key of a person on the topic and on disk, 16 bytes."""
    return ring.digest("person", person_id)


def person_place(key: bytes) -> bytes:
    """What a sealed person is bound to."""
    return b"recipient/" + key


def seal_person(keyring: Keyring, person: Recipient) -> tuple[bytes, bytes]:
    """(key, value) of the topic's record for that person."""
    key = person_key(keyring.ring("pseudonym"), person.person_id)
    return key, keyring.ring("recipients").seal(RECIPIENT.encode(person), person_place(key))


def open_person(ring: crypto.Ring, key: bytes, value: bytes) -> Recipient:
    """The person behind a record; raises Permanent(decode_error)."""
    return RECIPIENT.decode(ring.open(value, person_place(key)))


class PeopleStore:
    """The rows: folded by one thread, read by another."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store = store
        self._ring = keyring.ring("recipients")
        self._pseudonyms = keyring.ring("pseudonym")
        self._cache: dict[tuple[str, str], Recipient] = {}
        self._offset = int.from_bytes(store.get(_OFFSET) or b"", "big")

    @property
    def offset(self) -> int:
        """The next offset of the topic to fold."""
        return self._offset

    def find(self, id_type: str, id_value: str) -> Recipient | None:
        """The person known by that identifier; None when nobody is."""
        cache = self._cache  # replaced whole by the fold: what was read before a change is not remembered after it
        found = cache.get((id_type, id_value))
        if found is None:
            found = self._read(id_type, id_value)
            if found is not None and len(cache) < CACHED:
                cache[id_type, id_value] = found
        return found

    def _read(self, id_type: str, id_value: str) -> Recipient | None:
        key = self._store.get(_ALIAS + crypto.recipient_key(self._pseudonyms, id_type, id_value))
        try:
            return None if key is None else self._person(key)
        except Permanent as problem:  # it could be opened when it was folded: the keyring lost a key, nobody is unknown
            raise UnavailableError("a recipient cannot be opened", "give this process the older keys too") from problem

    def _person(self, key: bytes) -> Recipient | None:
        value = self._store.get(_PERSON + key)
        return None if value is None else open_person(self._ring, key, value)

    def fold(self, record: LogRecord) -> None:
        """Lay one record over what is known; one that cannot be opened leaves the old value, and is counted."""
        rows = Rows()
        try:
            self._change(rows, record.key or b"", record.value)
        except Permanent as problem:
            BAD_RECORDS.inc()
            log.warning("recipient cannot be opened, the old value stands", offset=record.offset, detail=problem.detail)
            rows = Rows()
        self._move(rows, record.offset + 1)

    def skip_to(self, offset: int) -> None:
        """Nothing is left before that offset (compaction removed it)."""
        if offset > self._offset:
            self._move(Rows(), offset)

    def _move(self, rows: Rows, offset: int) -> None:
        rows.put(_OFFSET, offset.to_bytes(8, "big"))
        self._store.write(rows)
        self._offset = offset
        self._cache = {}

    def _change(self, rows: Rows, key: bytes, value: bytes | None) -> None:
        fresh = None if value is None else open_person(self._ring, key, value)
        for alias in self._aliases(self._person_before(key)):
            if self._store.get(alias) == key:
                rows.delete(alias)
        if fresh is None or value is None:
            rows.delete(_PERSON + key)
            return
        for alias in self._aliases(fresh):
            rows.put(alias, key)
        rows.put(_PERSON + key, value)

    def _person_before(self, key: bytes) -> Recipient | None:
        try:
            return self._person(key)
        except Permanent:
            return None  # sealed with a key that is gone: its identifiers are overwritten or stay without a person

    def _aliases(self, person: Recipient | None) -> list[bytes]:
        return [
            _ALIAS + crypto.recipient_key(self._pseudonyms, known.id_type, known.id_value)
            for known in (person.identities if person is not None else ())
        ]

    def clear(self) -> None:
        """Forget everything: the rows belong to another log."""
        rows = Rows()
        for prefix in (_PERSON, _ALIAS):
            rows.delete_range(prefix, bytes([prefix[0] + 1]))
        self._move(rows, 0)

    def close(self) -> None:
        """Give the folder free."""
        self._store.close()


class RecipientDirectory:
    """The directory of this process: opens the rows, and keeps them at the topic's end in a thread."""

    def __init__(self, settings: Settings, keyring: Keyring, name: str) -> None:
        self._settings = settings
        self._people = PeopleStore(open_free(_folder(settings, name), LOCK_WAIT_S), keyring)
        self._topic = topics.RECIPIENTS.named(settings.namespace)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="directory", daemon=True)
        self._is_caught_up = False

    @property
    def offset(self) -> int:
        """Everything before it is folded."""
        return self._people.offset

    @property
    def is_ready(self) -> bool:
        """The topic has been read to its end once."""
        return self._is_caught_up

    def start(self) -> None:
        """Begin to follow the topic; returns at once."""
        self._thread.start()

    def find(self, id_type: str, id_value: str) -> Recipient | None:
        """The person known by that identifier; None when nobody is."""
        return self._people.find(id_type, id_value)

    def close(self) -> None:
        """Stop following and give the folder free."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
        self._people.close()

    def _run(self) -> None:
        keep_reading(self._settings, "directory", self._follow, self._stopped)

    def _follow(self, reader: LogReader) -> None:
        while not self._stopped.is_set():
            end = reader.end_offset(self._topic, 0)
            if end < self.offset:
                self._people.clear()
            for record in reader.read(self._topic, 0, self.offset, end) if end > self.offset else ():
                self._people.fold(record)
                if self._stopped.is_set():
                    return
            self._people.skip_to(end)
            self._is_caught_up = True
            self._stopped.wait(POLL_S)


def _folder(settings: Settings, name: str) -> Path:
    return settings.state_folder / "directory" / name
