"""What is held by hand: types, channels, applications and providers of which nothing is sent until they are released.

Written by `medpost hold | release`, read by settle and by every sink right before a claim. A hold is one record of the
compacted topic `config.holds` and takes effect when it is read, well within a second; it stays until it is released,
across restarts. Reading never blocks a caller: before the topic was read once nothing counts as held.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

import structlog
from prometheus_client import Gauge

from infra import settings as settings_module
from infra.follow import Follower
from infra.kafka import LogReader, LogRecord, publish_one
from infra.settings import Settings
from schemas import topics
from schemas.configuration import HOLD, Hold
from schemas.errors import Permanent, Reason, UnavailableError

ACK_S: Final = 10.0
HELD: Final = Gauge("medpost_held", "1 while it is held by hand", ["scope", "name"])

log = structlog.get_logger(__name__)


class Scope(StrEnum):
    """What can be held."""

    TYPE = "type"
    CHANNEL = "channel"
    APP = "app"
    PROVIDER = "provider"


Held: TypeAlias = Mapping[tuple[str, str], Hold]
"""What is held now, by scope and name."""


class Holds:
    """What is held, followed by a thread of its own; every method may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._held: Held = MappingProxyType({})
        self._version = 0
        self._laid: dict[tuple[str, str], tuple[int, int]] = {}
        self._follower = Follower(settings, topics.HOLDS, self.lay)

    @property
    def version(self) -> int:
        """Grows whenever something is held or released."""
        return self._version

    @property
    def held(self) -> Held:
        """Everything that is held now."""
        return self._held

    @property
    def is_ready(self) -> bool:
        """The topic has been read once to its end."""
        return self._follower.is_ready

    def start(self) -> None:
        """Begin to follow the topic; returns at once."""
        self._follower.start()

    def wait_ready(self, timeout_s: float) -> None:
        """Return when what is held is known; raises UnavailableError when it is not in time."""
        self._follower.wait_ready(timeout_s)

    def close(self) -> None:
        """Stop following; what was read stays."""
        self._follower.close()

    def is_held(self, app_id: str, type: str, channel: str, provider: str = "") -> bool:  # noqa: A002 - the field's word
        """Whether a message of that application and type may not go out on that channel now."""
        held = self._held
        return bool(held) and (
            (Scope.TYPE, type) in held
            or (Scope.CHANNEL, channel) in held
            or (Scope.APP, app_id) in held
            or (bool(provider) and (Scope.PROVIDER, provider) in held)
        )

    def scope_of(self, app_id: str, type: str, channel: str) -> str:  # noqa: A002 - as above
        """What a hold of that channel ("channel"), or of that type or application ("message") speaks of; "": none."""
        held = self._held
        if not held:
            return ""
        if (Scope.CHANNEL, channel) in held:
            return "channel"
        return "message" if (Scope.TYPE, type) in held or (Scope.APP, app_id) in held else ""

    def lay(self, record: LogRecord, *, is_quiet: bool = False) -> None:
        """Lay one record over what is known; one that cannot be read leaves it as it was. `is_quiet`: log nothing.

        After the broker was away the topic is read from its beginning: what was laid before is passed over, or an old
        release would let go for a moment what is held. Older is what stands before it and was appended no later: a
        topic that was made anew counts.
        """
        try:
            hold = HOLD.decode(record.value)
        except Permanent as problem:
            log.warning("hold cannot be read, left as it was", offset=record.offset, detail=problem.detail)
            return
        place = (hold.scope, hold.name)
        offset, appended_at = self._laid.get(place, (-1, -1))
        if record.offset <= offset and record.timestamp <= appended_at:
            return
        self._laid[place] = (record.offset, record.timestamp)
        if hold.is_held == (place in self._held):
            return
        others = {each: known for each, known in self._held.items() if each != place}
        self._held = MappingProxyType({**others, place: hold} if hold.is_held else others)
        self._version += 1
        HELD.labels(*place).set(hold.is_held)
        if not is_quiet:
            log.info("held" if hold.is_held else "released", scope=hold.scope, name=hold.name, by=hold.by)


def read(settings: Settings) -> list[Hold]:
    """What is held now, by scope and name; raises UnavailableError."""
    holds = Holds(settings)
    with LogReader(settings_module.kafka_endpoint(settings)) as reader:
        for record in reader.read_all(topics.HOLDS.named(settings.namespace)):
            holds.lay(record, is_quiet=True)
    return [holds.held[place] for place in sorted(holds.held)]


def key_of(hold: Hold) -> bytes:
    """The key of a hold's record."""
    return f"{hold.scope}/{hold.name}".encode()


def write(settings: Settings, hold: Hold) -> None:
    """Write a hold or a release; returns when the broker has it. Raises UnavailableError, Permanent(param_invalid)."""
    if hold.scope not in set(Scope) or not hold.name:
        raise Permanent(Reason.PARAM_INVALID, "a hold names a type, channel, app or provider")
    bootstrap, topic = settings_module.kafka_endpoint(settings), topics.HOLDS.named(settings.namespace)
    if not publish_one(bootstrap, topic, HOLD.encode(hold), key_of(hold), ACK_S):
        raise UnavailableError("the broker did not take it; nothing changed", "is the broker reachable? try again")
