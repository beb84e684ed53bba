from pathlib import Path

import pytest

from infra import migrate
from infra.migrate import Migration, in_order, parse, plan, released
from schemas.errors import UnavailableError
from schemas.statuses import FINAL_RANK

GOOD = """-- why; how
CREATE TABLE IF NOT EXISTS t (a UInt8) ENGINE = Null;
ALTER TABLE t ADD COLUMN IF NOT EXISTS b UInt8;
"""


def test_a_file_becomes_numbered_statements() -> None:
    """Comments go, also those with a semicolon in them; the checksum covers the whole text."""
    found = parse("0007_more_columns.sql", GOOD)
    assert found.title == "0007_more_columns"
    assert found.statements == (
        "CREATE TABLE IF NOT EXISTS t (a UInt8) ENGINE = Null",
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS b UInt8",
    )
    assert found.checksum != parse("0007_more_columns.sql", GOOD + "\n").checksum


@pytest.mark.parametrize("name", ["7_x.sql", "0007-x.sql", "0007_X.sql", "x.sql", "0007_.sql"])
def test_a_bad_name_is_refused(name: str) -> None:
    """The number orders them, the words say what they are."""
    with pytest.raises(ValueError, match="not named"):
        parse(name, GOOD)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE t (a UInt8) ENGINE = Null",
        "ALTER TABLE t ADD COLUMN b UInt8",
        "INSERT INTO t VALUES (1)",
        "DROP TABLE IF EXISTS t",
        "TRUNCATE TABLE t",
        "ALTER TABLE t DELETE WHERE 1",
    ],
)
def test_a_statement_that_cannot_be_repeated_is_refused(statement: str) -> None:
    """Two processes may start at once, and one may be killed in the middle."""
    with pytest.raises(ValueError, match="cannot be repeated"):
        parse("0001_x.sql", GOOD + statement)


def test_an_empty_file_is_refused() -> None:
    """A number spent on nothing is a mistake."""
    with pytest.raises(ValueError, match="no statement"):
        parse("0001_x.sql", "-- nothing yet\n")


def numbered(*numbers: int) -> list[Migration]:
    """Migrations with these numbers."""
    return [Migration(number, "x", f"sum-{number}", ("CREATE",)) for number in numbers]


@pytest.mark.parametrize("numbers", [(1, 3), (2,), (1, 1), (1, 2, 2)])
def test_a_gap_or_a_number_taken_twice_is_refused(numbers: tuple[int, ...]) -> None:
    """Two branches that each added the next number must notice."""
    with pytest.raises(ValueError, match="expected number"):
        in_order(numbered(*numbers))


def test_only_what_is_missing_is_planned() -> None:
    """In order; a store that is ahead of us is left as it is."""
    first, second, third = in_order(numbered(3, 1, 2))
    assert plan([first, second, third], {1: {"sum-1"}}) == [second, third]
    assert plan([first], {1: {"sum-1"}, 2: {"sum-2"}}) == []


def test_an_edited_file_is_refused() -> None:
    """What was applied must be what is written; also when two versions raced."""
    for recorded in ({"other"}, {"sum-1", "other"}):
        with pytest.raises(UnavailableError, match="another text") as caught:
            plan(numbered(1), {1: recorded})
        assert "new migration" in caught.value.remedy


def test_the_released_files_are_good() -> None:
    """Every file of this version parses, in order."""
    assert [migration.name for migration in released()] == [
        "events",
        "message_facts",
        "rollup",
        "fewer_merges",
        "requests_apart",
        "acceptances_apart",
    ]


def test_a_stray_file_stops_the_start(tmp_path: Path) -> None:
    """A file that is not numbered would silently not be applied."""
    (tmp_path / "0001_x.sql").write_text(GOOD, "utf-8")
    assert len(released(tmp_path)) == 1
    (tmp_path / "more.sql").write_text(GOOD, "utf-8")
    with pytest.raises(ValueError, match=r"more\.sql"):
        released(tmp_path)


def test_the_ranks_in_the_store_are_the_ranks_in_the_contract() -> None:
    """One list in two languages; both say the same."""
    sql = " ".join(" ".join(released()[1].statements).split())
    listed = ", ".join(f"'{status}'" for status in sorted(FINAL_RANK, key=lambda status: FINAL_RANK[status]))
    assert f"indexOf([ {listed} ], e.status)" in sql


def test_what_tells_rows_apart_follows_from_the_event_alone() -> None:
    """The same event, appended again, is the same row: of an acceptance it is when its request was appended."""
    (view,) = (" ".join(statement.split()) for statement in released()[-1].statements)
    assert "stage = 'accepted', toString(toUnixTimestamp64Milli(e.accepted_at))" in view
    assert [word for word in ("now", "rand", "generateUUID") if f"{word}(" in view] == []


def test_the_record_of_migrations_can_be_repeated_too() -> None:
    """It is created by every start."""
    assert "IF NOT EXISTS" in migrate.RECORD
