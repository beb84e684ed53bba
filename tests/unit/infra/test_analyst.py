"""Tests of the analyst's account: made once, private, and the same as SQL for another server."""

import hashlib
from pathlib import Path

import pytest

from infra.analyst import LIMITS, TABLES, Account, ensure_account, read_account, statements
from schemas.errors import UnavailableError


def test_an_account_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    """Mode 600 from its first moment; a second start keeps the password."""
    file = tmp_path / "store" / "analyst.json"
    made = ensure_account(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(made.password) >= 32
    assert ensure_account(file) == read_account(file) == made
    assert made.password not in repr(made)


def test_a_missing_account_says_what_to_do(tmp_path: Path) -> None:
    """Also one that is no account."""
    for text in (None, "{}", "nonsense"):
        if text is not None:
            (tmp_path / "a").write_text(text, "utf-8")
        with pytest.raises(UnavailableError, match="no analyst's account"):
            read_account(tmp_path / "a")


def test_the_sql_gives_reading_and_nothing_else() -> None:
    """No password in clear, every limit, one grant a table, no grant of a source or on everything."""
    said = statements(Account("analyst", "s3cret-word"), "medpost")
    text = "\n".join(said)
    assert "s3cret-word" not in text
    assert hashlib.sha256(b"s3cret-word").hexdigest() in text
    assert all(f"{name} = {value}" in said[0] for name, value in LIMITS.items())
    assert "readonly = 1" in said[0]
    grants = [one for one in said if one.startswith("GRANT SELECT")]
    assert grants == [f"GRANT SELECT ON medpost.{table} TO medpost_analyst" for table in TABLES]
    assert "*" not in text
