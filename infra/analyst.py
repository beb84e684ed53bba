"""The analyst's account: a user of the store who reads, within limits, and whose password is in `$MEDPOST_HOME`.

On the embedded store the front holds the account to these limits; for a server of your own the same is printed as SQL,
which an administrator runs. Called by the store, `medpost analyst` and the tests. Never prints a password by itself.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from schemas.errors import UnavailableError

USER: Final = "analyst"
FILE: Final = "analyst.json"
TABLES: Final = ("events", "message_facts", "rollup_day", "dirty_days", "built_days")
"""What there is to read; `docs/analytics.md` tells what every column means."""
LIMITS: Final[Mapping[str, int]] = {
    "max_execution_time": 60,
    "max_memory_usage": 400_000_000,
    "max_result_rows": 1_000_000,
    "max_result_bytes": 256 << 20,
    "max_threads": 1,
}
"""Seconds, bytes, rows, bytes, threads of one query: half of what the embedded store has, one of its cores."""


class Account(Struct, frozen=True):
    """User and password; prints without the password."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Account({self.user!r})"


def account_file(home: Path) -> Path:
    """Where an installation keeps the account of its embedded store."""
    return home / "store" / FILE


def ensure_account(file: Path) -> Account:
    """The account in that file (mode 600), made when there is none; raises UnavailableError when it cannot be."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_account(file)
    except OSError as problem:
        raise UnavailableError(f"cannot write {file}: {problem.strerror}", "make its folder writable") from None
    made = Account(USER, secrets.token_urlsafe(24))
    with os.fdopen(handle, "w") as out:
        json.dump({"user": made.user, "password": made.password}, out)
    return made


def read_account(file: Path) -> Account:
    """The account in that file; raises UnavailableError when there is none or it is not readable."""
    try:
        found = json.loads(file.read_text("utf-8"))
        return Account(str(found["user"]), str(found["password"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise UnavailableError(
            f"no analyst's account in {file}", "restart the store (`medpost down`, `medpost up`); it makes one"
        ) from None


def statements(account: Account, database: str) -> list[str]:
    """The SQL that gives a ClickHouse server the same account, to be run by an administrator; holds no password.

    Without grants on sources (FILE, URL, REMOTE …) a server refuses their table functions; `readonly = 1` refuses
    everything but reading, and every SET.
    """
    digest = hashlib.sha256(account.password.encode()).hexdigest()
    name = f"{database}_analyst"
    limits = ", ".join(["readonly = 1", *(f"{setting} = {value}" for setting, value in LIMITS.items())])
    user = f"CREATE USER IF NOT EXISTS {account.user} IDENTIFIED WITH sha256_hash BY '{digest}'"
    grants = [f"GRANT SELECT ON {database}.{table} TO {name}" for table in TABLES]
    return [
        f"CREATE SETTINGS PROFILE IF NOT EXISTS {name} SETTINGS {limits}",
        f"CREATE ROLE IF NOT EXISTS {name} SETTINGS PROFILE {name}",
        *grants,
        f"{user} DEFAULT DATABASE {database} SETTINGS PROFILE {name}",
        f"GRANT {name} TO {account.user}",
        f"SET DEFAULT ROLE {name} TO {account.user}",
    ]
