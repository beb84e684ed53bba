"""What people see of up, down, status and doctor: states in Chinese, exit codes, no password."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from console.cli import servers
from infra.local import control
from infra.local.child import State
from infra.local.control import Row


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """The four commands over an empty home."""
    monkeypatch.setenv("MEDPOST_HOME", str(tmp_path / "home"))
    made = typer.Typer()
    servers.register(made)
    return made


def _row(state: str) -> Row:
    return Row("broker", 7, state, 3, 93_784, 220, 9092, "why")


def test_every_state_has_its_word() -> None:
    """No state reaches a user as its English name."""
    assert set(State) <= set(servers._STATE)


@pytest.mark.parametrize(
    ("rows", "code"), [([], 3), ([_row("running")], 0), ([_row("running"), _row("crash loop")], 1)]
)
def test_status_exit_codes(app: typer.Typer, monkeypatch: pytest.MonkeyPatch, rows: list[Row], code: int) -> None:
    """0 all run, 1 one does not, 3 nothing is up."""
    monkeypatch.setattr(control, "look", lambda _: rows)
    assert CliRunner().invoke(app, ["status"]).exit_code == code


def test_status_as_json(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One object a process, for programs."""
    monkeypatch.setattr(control, "look", lambda _: [_row("running")])
    (found,) = json.loads(CliRunner().invoke(app, ["status", "--format", "json"]).stdout)
    assert (found["name"], found["memory_mb"], found["port"]) == ("broker", 220, 9092)


def test_fresh_asks_first(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A no keeps the data."""
    monkeypatch.setattr(control, "wipe", lambda _: pytest.fail("wiped"))
    assert CliRunner().invoke(app, ["up", "--fresh"], input="n\n").exit_code == 1


def test_password_is_not_shown(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses printed by up leave out user and password of a DSN."""
    monkeypatch.setenv("MEDPOST_KAFKA", "k:9092")
    monkeypatch.setenv("MEDPOST_CLICKHOUSE", "http://u:secret@c:8123/d")
    monkeypatch.setattr(control, "prepare_up", lambda _: None)
    monkeypatch.setattr(control, "begin", lambda _, **__: False)
    monkeypatch.setattr(control, "follow", lambda _: iter(()))
    said = CliRunner().invoke(app, ["up"]).output
    assert "c:8123/d" in said
    assert "secret" not in said


def _late(note: str) -> dict[str, object]:
    return {"name": "intake", "state": "starting", "note": note}


@pytest.mark.parametrize(
    ("note", "told", "is_led"),
    [
        ("waits for the configuration registry", "在等 配置登记（", True),
        ("waits for the registry", "在等 配置登记（", True),
        ("waits for the consumer group, the registry and the recipients", "消费组、配置登记与收件人（", True),
        ("waits for the store", "在等 存储（", False),
    ],
)
def test_what_is_waited_for_is_said_in_chinese_with_the_next_step(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch, note: str, told: str, *, is_led: bool
) -> None:
    """An installation without a configuration is led to its first one; waiting is no failure."""
    monkeypatch.setenv("MEDPOST_KAFKA", "k:9092")
    monkeypatch.setenv("MEDPOST_CLICKHOUSE", "http://c:8123/d")
    monkeypatch.setattr(control, "prepare_up", lambda _: None)
    monkeypatch.setattr(control, "begin", lambda _, **__: False)
    monkeypatch.setattr(control, "follow", lambda _: iter([_late(note)]))
    done = CliRunner().invoke(app, ["up", "--only-servers"])
    assert (done.exit_code, told in done.output) == (0, True)
    assert ("medpost registry apply --sample" in done.output) is is_led


@pytest.mark.parametrize(("simulators", "is_told"), [("http://s:1", True), ("", False)])
def test_where_the_phones_are_is_told(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch, simulators: str, *, is_told: bool
) -> None:
    """Where there are simulated providers."""
    monkeypatch.setenv("MEDPOST_KAFKA", "k:9092")
    monkeypatch.setenv("MEDPOST_CLICKHOUSE", "http://c:8123/d")
    monkeypatch.setenv("MEDPOST_SIMULATORS", simulators)
    monkeypatch.setattr(control, "prepare_up", lambda _: None)
    monkeypatch.setattr(control, "begin", lambda _, **__: False)
    monkeypatch.setattr(control, "follow", lambda _: iter(()))
    assert ("http://s:1/phone" in CliRunner().invoke(app, ["up", "--only-servers"]).output) is is_told


@pytest.mark.parametrize(("seconds", "shown"), [(5, "00:00:05"), (93_784, "1d 02:03:04")])
def test_duration(seconds: int, shown: str) -> None:
    """Days only when there are some."""
    assert servers.duration(seconds) == shown
