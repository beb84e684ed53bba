"""Tests of `medpost analyst`: where the store is and with what, and the SQL for another server."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from console.cli import analyst as cli
from infra.analyst import account_file, ensure_account
from schemas.errors import UnavailableError

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in a home with an embedded store at port 8123; what it prints."""
    monkeypatch.setenv("MEDPOST_HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "servers.json").write_text(json.dumps({"clickhouse": "http://127.0.0.1:8123"}), "utf-8")
    app = typer.Typer()
    cli.register(app)

    def invoke(*words: str) -> str:
        done = CliRunner().invoke(app, ["analyst", *words], standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.output

    return invoke


def test_it_tells_how_to_get_in(run: Run, tmp_path: Path) -> None:
    """Address, database, user, password; the password not where it was asked not to."""
    account = ensure_account(account_file(tmp_path))
    assert "http://127.0.0.1:8123  数据库：medpost" in run()
    assert account.password in run()
    assert account.password not in run("--hide-password")


def test_a_store_that_never_started_says_what_to_do(run: Run) -> None:
    """The store makes the account."""
    with pytest.raises(UnavailableError, match="no analyst"):
        run()


def test_another_server_gets_sql(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For its own database; the password stays in the home."""
    monkeypatch.setenv("MEDPOST_CLICKHOUSE", "http://admin:secret@ch:8123/hospital")
    said = run("sql")
    assert "GRANT SELECT ON hospital.message_facts TO hospital_analyst;" in said
    assert ensure_account(account_file(tmp_path)).password not in said
    assert "secret" not in run()
    assert "medpost analyst sql" in run()
