"""The inbox and its journal: what was received is counted, and outlives the process that answered it."""

from pathlib import Path

import pytest

from infra.simulators.inbox import REFUSED, REPEATED, TAKEN, Entry, Inbox, Journal, is_to, masked


def entry(seq: int, outcome: str = TAKEN, **told: str) -> Entry:
    """A call for `recipient` with `key`."""
    return Entry(seq, 1_000 + seq, "aliyun", "sms", outcome, **{"recipient": "r1", "key": f"k{seq}", **told})  # type: ignore[arg-type]


def inbox(*entries: Entry) -> Inbox:
    """With these."""
    made = Inbox()
    for one in entries:
        made.add(one)
    return made


def test_counts_by_provider_code_and_key() -> None:
    """A key that was called twice, and one that was taken twice, are named."""
    made = inbox(
        entry(1), entry(2, REFUSED, code="isv.X", key="k1"), entry(3, key="k9"), entry(4, key="k9"), entry(5, REPEATED)
    )
    assert made.counts() == {
        "calls": {"aliyun": 5},
        "taken": {"aliyun": 3},
        "codes": {"aliyun isv.X": 1},
        "keys": 3,
        "called_again": {"aliyun k1": 2, "aliyun k9": 2},
        "taken_again": {"aliyun k9": 2},
    }


def test_knows_which_keys_were_taken() -> None:
    """An empty key is nobody's, and a refusal takes nothing."""
    made = inbox(entry(1), entry(2, REFUSED), entry(3, key=""))
    assert [made.was_taken("aliyun", key) for key in ("k1", "k2", "")] == [True, False, False]
    assert not made.was_taken("standard", "k1")


def test_finds_by_field_time_and_number() -> None:
    """At most so many, in order."""
    made = inbox(*(entry(seq, recipient=f"r{seq % 2}") for seq in range(1, 7)))
    assert [one["seq"] for one in made.find({"recipient": "r1"}, 0, 0, 10)] == [1, 3, 5]
    assert [one["seq"] for one in made.find({}, 1_004, 0, 2)] == [4, 5]
    assert [one["seq"] for one in made.find({}, 0, 5, 10)] == [6]


def test_clearing_keeps_the_numbering() -> None:
    """So that whoever pages by number misses nothing."""
    made = inbox(entry(1), entry(2))
    made.clear()
    assert (made.counts()["calls"], made.entries, made.next_seq) == ({}, [], 3)


def test_the_journal_outlives_a_torn_line(tmp_path: Path) -> None:
    """What was written whole is read; what comes after a torn line stands on a line of its own."""
    path = tmp_path / "folder" / "journal.jsonl"
    journal = Journal(path)
    journal.append("call", {"seq": 1})
    journal.close()
    with path.open("ab") as file:
        file.write(b'["call", {"se')
    journal = Journal(path)
    journal.append("call", {"seq": 2})
    assert list(journal.facts()) == [("call", {"seq": 1}), ("call", {"seq": 2})]
    journal.close()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("recipient", "shown"),
    [
        ("13800001234", "138****1234"),
        ("+8613800001234", "+861****1234"),
        ("13800001234,13800005678", "138****1234,138****5678"),
        ("ward/3a", "ward/3a"),
        ("app/P0001", "app/P0001"),
        ("app/P20260001234", "app/P202****1234"),
        ("oHeanDemoFollower00000001001", "oHean****1001"),
        ("patient.1002@mail.example", "pa****02@mail.example"),
    ],
)
def test_a_recipient_is_shown_without_its_middle(recipient: str, shown: str) -> None:
    """Every long number is starred, wherever it stands; a ward is not."""
    assert masked(recipient) == shown


@pytest.mark.parametrize(
    ("recipient", "wanted", "is_it"),
    [("13800001001", "1001", True), ("patient.1001@mail.example", "1001", True), ("app/P0001", "app/P0001", True),
     ("patient.1001@mail.example", "1002", False), ("a@mail.example", "mail.example", True)],
)  # fmt: skip
def test_a_recipient_is_found_by_its_end(recipient: str, wanted: str, is_it: bool) -> None:
    """Of a mail address also by the end of its name."""
    assert is_to(recipient, wanted) is is_it
