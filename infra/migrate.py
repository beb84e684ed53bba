"""Brings the store's tables up to date from the numbered files in `infra/migrations`.

Called by the trace writer before its first insert and by tests. Every statement may be repeated (the plan refuses
one that could not), so several processes may do this at once, and one that is killed in the middle is made good by
the next. What was applied is recorded with its checksum: a released file is never edited, a new one is added.
It never drops a table and never goes back.
"""

import hashlib
import re
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from msgspec import Struct

from infra.clickhouse import Store, without_database
from schemas.errors import UnavailableError

_FILE_NAME: Final = re.compile(r"(?P<number>[0-9]{4})_(?P<name>[a-z0-9_]+)\.sql")
_COMMENT: Final = re.compile(r"--[^\n]*")
_REPEATABLE: Final = re.compile(
    r"CREATE (TABLE|MATERIALIZED VIEW|VIEW) IF NOT EXISTS\s"
    r"|CREATE OR REPLACE VIEW\s"
    r"|ALTER TABLE \w+ (ADD (COLUMN|INDEX|PROJECTION) IF NOT EXISTS|MODIFY (QUERY|COLUMN|SETTING|TTL|COMMENT))\s"
    r"|DROP (VIEW|INDEX) IF EXISTS\s"
)
RECORD: Final = """
CREATE TABLE IF NOT EXISTS migrations (
    number UInt16, name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
) ENGINE = ReplacingMergeTree(applied_at) ORDER BY (number, checksum)
"""
NOTE: Final = """
INSERT INTO migrations (number, name, checksum) VALUES ({number:UInt16}, {name:String}, {checksum:String})
"""


class Migration(Struct, frozen=True):
    """One file: its number, its name, its statements, and the SHA-256 of its text."""

    number: int
    name: str
    checksum: str
    statements: tuple[str, ...]

    @property
    def title(self) -> str:
        """As the file is called, without the ending."""
        return f"{self.number:04}_{self.name}"


def parse(file_name: str, text: str) -> Migration:
    """A migration from its file; raises ValueError for a bad name, no statement, or one that cannot be repeated."""
    match = _FILE_NAME.fullmatch(file_name)
    if match is None:
        raise ValueError(f"migration {file_name!r}: not named NNNN_words.sql")
    statements = tuple(part.strip() for part in _COMMENT.sub("", text).split(";") if part.strip())
    if not statements:
        raise ValueError(f"migration {file_name}: no statement")
    for statement in statements:
        if not _REPEATABLE.match(" ".join(statement.split()) + " "):
            raise ValueError(f"migration {file_name}: cannot be repeated safely: {statement.splitlines()[0]!r}")
    return Migration(int(match["number"]), match["name"], hashlib.sha256(text.encode()).hexdigest(), statements)


def in_order(migrations: Iterable[Migration]) -> list[Migration]:
    """Sorted by number; raises ValueError for a gap or a number taken twice."""
    ordered = sorted(migrations, key=lambda migration: migration.number)
    for expected, migration in enumerate(ordered, start=1):
        if migration.number != expected:
            raise ValueError(f"migration {migration.title}: expected number {expected:04}")
    return ordered


def released(folder: Traversable | None = None) -> list[Migration]:
    """All migrations of this version of medpost. Raises ValueError for a bad file."""
    place = folder or resources.files("infra").joinpath("migrations")
    files = (path for path in place.iterdir() if path.name.endswith(".sql"))
    return in_order(parse(path.name, path.read_text("utf-8")) for path in files)


def plan(migrations: Iterable[Migration], applied: dict[int, set[str]]) -> list[Migration]:
    """Those still to be applied; `applied` is number -> recorded checksums.

    A store that is ahead of this version is left as it is. Raises UnavailableError when an applied file was edited.
    """
    missing = []
    for migration in migrations:
        recorded = applied.get(migration.number)
        if recorded is None:
            missing.append(migration)
        elif recorded != {migration.checksum}:
            raise UnavailableError(
                f"store migration {migration.title} was applied with another text",
                "restore the released file and put the change into a new migration",
            )
    return missing


def apply(store: Store, migrations: Iterable[Migration] | None = None) -> list[Migration]:
    """Create the database when it is missing and apply what is missing; returns what was applied by this call.

    Raises UnavailableError when the store is not there or an applied file was edited.
    """
    _create_database(store)
    store.command(RECORD)
    applied: dict[int, set[str]] = {}
    for row in store.rows("SELECT number, checksum FROM migrations FINAL"):
        applied.setdefault(row["number"], set()).add(row["checksum"])
    missing = plan(released() if migrations is None else migrations, applied)
    for migration in missing:
        for statement in migration.statements:
            store.command(statement)
        store.command(NOTE, number=migration.number, name=migration.name, checksum=migration.checksum)
    return missing


def _create_database(store: Store) -> None:
    """Asks first, because an account that may not create databases may still use one."""
    with Store(without_database(store.dsn)) as server:
        there = server.rows("SELECT 1 FROM system.databases WHERE name = {name:String}", name=store.database)
        if not there:
            server.command("CREATE DATABASE IF NOT EXISTS {name:Identifier}", name=store.database)
