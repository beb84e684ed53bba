"""A small hospital for tests of intake: one application, a few types, two channels, two people, keys that lie open.

Used by unit and integration tests and by the bench. Times are around `T0_MS`, handed in by the caller.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from infra.crypto import Keyring, fresh_keys, parse_keyring
from infra.snapshot import Snapshot
from infra.tokens import Verifier, mint
from schemas.codec import MESSAGE
from schemas.configuration import (
    Address,
    AppConfig,
    AppKey,
    ChannelConfig,
    Identity,
    MessageType,
    Parameter,
    Recipient,
    Template,
    TypeChannel,
)
from schemas.records import Message, RecipientRef
from streams.accept import Desk, Rings

T0_MS: Final = 1_800_000_000_000
SECRET: Final = b"a-secret-of-at-least-thirty-two-bytes"
KEYRING: Final[Keyring] = parse_keyring(fresh_keys())
MOBILE: Final = "13800001001"


class Incoming(Struct, frozen=True):
    """A record of `messages.*` without a broker."""

    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp: int = T0_MS
    topic: str = "messages.normal"
    partition: int = 0
    offset: int = 0
    key: bytes | None = None


class People:
    """A directory in memory."""

    def __init__(self, *people: Recipient) -> None:
        self.by_identity = {(known.id_type, known.id_value): one for one in people for known in one.identities}

    def find(self, id_type: str, id_value: str) -> Recipient | None:
        """The person known by that identifier."""
        return self.by_identity.get((id_type, id_value))


PATIENT: Final = Recipient(
    "P1",
    [Identity("patient_id", "P1"), Identity("mobile", MOBILE)],
    [Address("sms", MOBILE), Address("webhook", "app/P1")],
)
OPTED_OUT: Final = Recipient(
    "P2", [Identity("patient_id", "P2")], [Address("sms", "13800001002", "opted_out"), Address("webhook", "app/P2")]
)


def entry(channel: str, weight: float = 0.9, **template: Any) -> TypeChannel:
    """A channel of a type whose template says the item."""
    said = Template(**{"text": "{{ item }}好了", "version": 3, **template})
    return TypeChannel(channel, weight, "accepted", 30_000, said)


def kind(type_id: str = "lab_report", channels: Sequence[TypeChannel] | None = None, **changes: Any) -> MessageType:
    """A message type; by default webhook always and sms in reserve."""
    good: dict[str, Any] = {
        "type": type_id,
        "threshold": 0.6,
        "expiry_ms": 3_600_000,
        "max_expiry_ms": 7_200_000,
        "parameters": [Parameter("item", max_chars=10), Parameter("note", required=False)],
        "channels": list(channels) if channels is not None else [entry("webhook", 0.9), entry("sms", 0.5)],
    }
    return MessageType(**{**good, **changes})


APP: Final = AppConfig("lis", "检验", keys=[AppKey("lis-1", sealed=SECRET)], types=["*"], channels=["*"])


def snapshot(
    *kinds: MessageType, app: AppConfig = APP, channels: Mapping[str, ChannelConfig] | None = None
) -> Snapshot:
    """A registry of version 7 with that application and those types."""
    both = {name: ChannelConfig(name) for name in ("sms", "webhook")}
    return Snapshot(
        7,
        apps={app.app_id: app},
        types={one.type: one for one in kinds or (kind(),)},
        channels=both if channels is None else channels,
    )


def desk(held: Snapshot | None = None, people: People | None = None) -> Desk:
    """A desk at that registry."""
    held = held or snapshot()
    rings = Rings(KEYRING.ring("parts"), KEYRING.ring("pseudonym"), KEYRING.ring("registry"))
    verifier = Verifier(held.apps, lambda _app, key: key.sealed)
    return Desk(held, verifier, people or People(PATIENT, OPTED_OUT), rings, "intake@test")


def message(**changes: Any) -> Message:
    """A good message to the patient."""
    good = Message(
        app_id="lis",
        type="lab_report",
        recipient=RecipientRef("patient_id", "P1"),
        personalisation={"item": "血常规"},
        reference="R-1",
    )
    return msgspec.structs.replace(good, **changes)


def token(app_id: str = "lis", at_ms: int = T0_MS, secret: bytes = SECRET) -> tuple[str, bytes]:
    """The header with a token of the application."""
    return "authorization", b"Bearer " + mint(app_id, f"{app_id}-1", "HS256", secret, at_ms / 1000).encode()


def incoming(one: Message | None = None, **changes: Any) -> Incoming:
    """A good message as a record with its token."""
    record = Incoming(MESSAGE.encode(one or message()), [token()])
    return msgspec.structs.replace(record, **changes)
