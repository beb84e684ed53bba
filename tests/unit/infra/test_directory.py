"""Tests of the recipient directory: what is folded is found, what is gone is not, and the disk shows nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.crypto import Keyring, fresh_keys, parse_keyring
from infra.directory import BAD_RECORDS, PeopleStore, person_key, seal_person
from infra.kafka import LogRecord
from infra.state import Store
from schemas.configuration import Address, Identity, Recipient
from schemas.errors import UnavailableError

KEYRING = parse_keyring(fresh_keys())
MOBILE = "13800001001"


def person(person_id: str, *identities: tuple[str, str], sms: str = MOBILE) -> Recipient:
    """Somebody with these identifiers."""
    return Recipient(person_id, [Identity(*one) for one in identities], [Address("sms", sms)])


class Topic:
    """Appends records to a store as the topic would deliver them."""

    def __init__(self, people: PeopleStore) -> None:
        self.people = people
        self.offset = 0
        self.is_open = True

    def close(self) -> None:
        """Give the folder free."""
        if self.is_open:
            self.people.close()
        self.is_open = False

    def put(self, one: Recipient) -> None:
        """A person as on the topic."""
        self.raw(*seal_person(KEYRING, one))

    def gone(self, person_id: str) -> None:
        """A tombstone."""
        self.raw(person_key(KEYRING.ring("pseudonym"), person_id), None)

    def raw(self, key: bytes, value: bytes | None) -> None:
        """Any record."""
        self.people.fold(LogRecord("recipients", 0, self.offset, 0, key, value, ()))
        self.offset += 1


@pytest.fixture
def topic(tmp_path: Path) -> Iterator[Topic]:
    """An empty directory."""
    people = PeopleStore(Store(tmp_path / "directory"), KEYRING)
    topic = Topic(people)
    yield topic
    topic.close()


def reopened(folder: Path, keyring: Keyring = KEYRING) -> PeopleStore:
    """The directory after a restart."""
    return PeopleStore(Store(folder / "directory"), keyring)


def test_a_person_is_found_by_every_identifier(topic: Topic) -> None:
    """Several identifiers, one person."""
    one = person("P1", ("patient_id", "P1"), ("mobile", MOBILE))
    topic.put(one)
    assert topic.people.find("patient_id", "P1") == one
    assert topic.people.find("mobile", MOBILE) == one
    assert topic.people.find("mobile", "P1") is None
    assert topic.people.find("patient_id", "P2") is None


def test_a_removed_identifier_finds_nobody(topic: Topic) -> None:
    """A number that was given back must not reach its former owner."""
    topic.put(person("P1", ("patient_id", "P1"), ("mobile", MOBILE)))
    assert topic.people.find("mobile", MOBILE)
    topic.put(person("P1", ("patient_id", "P1")))
    assert topic.people.find("mobile", MOBILE) is None
    assert topic.people.find("patient_id", "P1")


def test_a_removed_person_is_found_by_nothing(topic: Topic) -> None:
    """A tombstone takes person and identifiers."""
    topic.put(person("P1", ("patient_id", "P1"), ("mobile", MOBILE)))
    topic.gone("P1")
    assert topic.people.find("patient_id", "P1") is None
    assert topic.people.find("mobile", MOBILE) is None
    topic.gone("P1")  # a tombstone of nobody is nothing


def test_an_identifier_that_moved_stays_with_its_new_owner(topic: Topic) -> None:
    """Even when the former owner's record loses it only later."""
    topic.put(person("P1", ("mobile", MOBILE)))
    topic.put(person("P2", ("mobile", MOBILE)))
    topic.put(person("P1", ("patient_id", "P1")))
    found = topic.people.find("mobile", MOBILE)
    assert found is not None
    assert found.person_id == "P2"


def test_a_changed_address_is_used_at_once(topic: Topic) -> None:
    """What was looked up before the change is not remembered after it."""
    topic.put(person("P1", ("patient_id", "P1")))
    topic.people.find("patient_id", "P1")
    topic.put(person("P1", ("patient_id", "P1"), sms="13800001002"))
    found = topic.people.find("patient_id", "P1")
    assert found is not None
    assert found.addresses[0].value == "13800001002"


def test_the_offset_stands_with_the_rows(topic: Topic, tmp_path: Path) -> None:
    """After a restart reading goes on where the rows are."""
    topic.put(person("P1", ("patient_id", "P1")))
    topic.put(person("P2", ("patient_id", "P2")))
    topic.people.skip_to(7)
    topic.people.skip_to(5)
    topic.close()
    after = reopened(tmp_path)
    assert after.offset == 7
    assert after.find("patient_id", "P2")
    after.close()


def test_a_record_that_cannot_be_opened_leaves_the_old_value(topic: Topic) -> None:
    """And is counted, and does not stop the reading."""
    before = BAD_RECORDS._value.get()
    topic.put(person("P1", ("patient_id", "P1")))
    topic.raw(person_key(KEYRING.ring("pseudonym"), "P1"), b"nonsense")
    topic.put(person("P2", ("patient_id", "P2")))
    assert topic.people.find("patient_id", "P1")
    assert topic.people.find("patient_id", "P2")
    assert BAD_RECORDS._value.get() == before + 1


def test_a_lost_key_is_not_an_unknown_recipient(topic: Topic, tmp_path: Path) -> None:
    """A message must not be refused because this process was given the wrong keys."""
    topic.put(person("P1", ("patient_id", "P1")))
    topic.close()
    rings = {"pseudonym": KEYRING.ring("pseudonym"), "recipients": parse_keyring(fresh_keys()).ring("recipients")}
    after = reopened(tmp_path, Keyring(rings))
    with pytest.raises(UnavailableError):
        after.find("patient_id", "P1")
    after.close()


def test_clearing_forgets_everybody(topic: Topic) -> None:
    """For rows that belong to another log."""
    topic.put(person("P1", ("patient_id", "P1")))
    topic.people.clear()
    assert topic.people.offset == 0
    assert topic.people.find("patient_id", "P1") is None


def test_the_disk_holds_nothing_readable(topic: Topic, tmp_path: Path) -> None:
    """No number and no identifier in clear, in no file."""
    topic.put(person("P1", ("patient_id", "PATIENT-ONE"), ("mobile", MOBILE)))
    topic.close()
    text = b"".join(path.read_bytes() for path in (tmp_path / "directory").iterdir() if path.is_file())
    assert len(text) > 100
    assert MOBILE.encode() not in text
    assert b"PATIENT-ONE" not in text
