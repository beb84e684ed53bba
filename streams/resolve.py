"""Whom a message is for: from any identifier of a person to an address per channel.

Pure step of intake. Where people are looked up is a port: a directory on local disk now, another lookup later. An
address that the sender gives (`contact`) goes before the directory's; whether it may give one was asked before.
"""

from typing import Final, Protocol

from msgspec import Struct

from infra import crypto
from schemas.configuration import Address, Recipient
from schemas.errors import Permanent, Reason
from schemas.records import Message
from streams.skips import INVALID, MALFORMED, NO_ADDRESS, OPTED_OUT, UNREACHABLE, USABLE, Skip

MAX_ADDRESS_CHARS: Final = 256
ACTIVE: Final = "active"
_SKIP_BY_STATUS: Final = {"opted_out": OPTED_OUT, "invalid": INVALID}


class Directory(Protocol):
    """Where people are found."""

    def find(self, id_type: str, id_value: str) -> Recipient | None:
        """The person known by that identifier; None when nobody is."""
        ...


class Resolved(Struct, frozen=True):
    """The recipient's pseudonym, the address per channel, and the directory's id of the person ("": not in it)."""

    recipient_key: bytes
    addresses: dict[str, Address]
    person_id: str = ""


def resolve(message: Message, directory: Directory, pseudonyms: crypto.Ring) -> Resolved:
    """Who is meant, and where each channel reaches them; raises Permanent(recipient_unknown)."""
    asked = message.recipient
    if asked is None or not asked.id_value:
        return _by_contact_alone(message, pseudonyms)
    person = directory.find(asked.id_type, asked.id_value)
    if person is None and not message.contact:
        raise Permanent(Reason.RECIPIENT_UNKNOWN, "nobody in the directory has this identifier")
    addresses = {address.channel: address for address in person.addresses} if person is not None else {}
    addresses.update(_given(message))
    known_as = person.person_id if person is not None else ""
    return Resolved(crypto.recipient_key(pseudonyms, asked.id_type, asked.id_value), addresses, known_as)


def _by_contact_alone(message: Message, pseudonyms: crypto.Ring) -> Resolved:
    given = _given(message)
    if not given:
        raise Permanent(Reason.RECIPIENT_UNKNOWN, "the message names no recipient")
    first = given[min(given)]
    return Resolved(crypto.recipient_key(pseudonyms, f"contact.{first.channel}", first.value), given)


def _given(message: Message) -> dict[str, Address]:
    return {channel: Address(channel, value) for channel, value in message.contact.items()}


def obstacle(address: Address | None) -> Skip:
    """Why the address cannot be used; USABLE when it can."""
    if address is None or not address.value:
        return NO_ADDRESS
    if address.status != ACTIVE:
        return _SKIP_BY_STATUS.get(address.status, UNREACHABLE)
    if len(address.value) > MAX_ADDRESS_CHARS or not address.value.isprintable():
        return MALFORMED
    return USABLE
