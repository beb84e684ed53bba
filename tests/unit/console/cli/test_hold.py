"""Tests of `medpost hold | release | holds`: one thing at a time, by a name that is registered."""

import json
from collections.abc import Callable
from types import MappingProxyType

import pytest
import typer
from typer.testing import CliRunner

from console.cli import hold as cli
from infra.registry_changes import Current
from infra.settings import Settings
from infra.snapshot import Snapshot
from schemas.configuration import AppConfig, ChannelConfig, Hold, MessageType, ProviderAccount
from schemas.errors import Permanent

Run = Callable[..., tuple[int, str]]
SNAPSHOT = Snapshot(
    1,
    apps=MappingProxyType({"his": AppConfig("his")}),
    types=MappingProxyType({"lab_report": MessageType("lab_report")}),
    channels=MappingProxyType({"sms": ChannelConfig("sms", "aliyun", others=[ProviderAccount("tencent")])}),
)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Hold]:
    """What is held, in the place of the topic."""
    now: dict[tuple[str, str], Hold] = {}

    def write(_settings: Settings, hold: Hold) -> None:
        now.pop((hold.scope, hold.name), None)
        if hold.is_held:
            now[hold.scope, hold.name] = hold

    monkeypatch.setattr(cli, "write", write)
    monkeypatch.setattr(cli, "read", lambda _settings: [*now.values()])
    monkeypatch.setattr(cli, "load_keyring", lambda _settings: None)
    monkeypatch.setattr(cli, "read_current", lambda _settings, _keyring: Current(SNAPSHOT))
    return now


@pytest.fixture
def run(held: dict[tuple[str, str], Hold]) -> Run:
    """The commands: exit code and output."""
    app = typer.Typer()
    cli.register(app)

    def invoke(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, list(words), standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.return_value or 0, done.output

    return invoke


@pytest.mark.parametrize(
    ("scope", "name"),
    [("type", "lab_report"), ("channel", "sms"), ("app", "his"), ("provider", "aliyun"), ("provider", "tencent")],
)
def test_what_is_registered_is_held_listed_and_released(
    run: Run, held: dict[tuple[str, str], Hold], scope: str, name: str
) -> None:
    """With who, when and why; and the way back is told."""
    code, said = run("hold", f"--{scope}", name, "--note", "维护")
    assert (code, held[scope, name].note) == (0, "维护")
    assert held[scope, name].by
    assert f"medpost release --{scope} {name}" in said
    assert name in run("holds")[1]
    assert run("release", f"--{scope}", name)[0] == 0
    assert not held
    assert "没有暂停" in run("holds")[1]


@pytest.mark.parametrize("scope", ["type", "channel", "app", "provider"])
def test_a_misspelt_name_is_refused(run: Run, held: dict[tuple[str, str], Hold], scope: str) -> None:
    """Nobody shall believe that something is held which is not."""
    with pytest.raises(Permanent, match="什么也没有暂停"):
        run("hold", f"--{scope}", "lab_reprot")
    assert not held


@pytest.mark.parametrize("words", [("hold",), ("hold", "--type", "x", "--app", "his"), ("release",)])
def test_one_thing_at_a_time(run: Run, words: tuple[str, ...]) -> None:
    """Neither none nor two."""
    with pytest.raises(typer.BadParameter):
        run(*words)


def test_releasing_what_is_not_held_says_so(run: Run) -> None:
    """And the exit code does."""
    code, said = run("release", "--channel", "sms")
    assert (code, "并未暂停" in said) == (1, True)


def test_the_list_for_programs(run: Run) -> None:
    """An empty list is one."""
    assert run("holds", "--format", "json")[1].strip() == "[]"


def test_programs_read_the_contracts_words(run: Run, held: dict[tuple[str, str], Hold]) -> None:
    """No Chinese scope, and a time with its zone."""
    held["channel", "sms"] = Hold("channel", "sms", is_held=True, by="ops", at=1_767_225_600_000, note="维护")
    (told,) = json.loads(run("holds", "--format", "json")[1])
    assert told == {
        "scope": "channel", "name": "sms", "since": "2026-01-01T08:00:00.000+08:00", "by": "ops", "note": "维护",
    }  # fmt: skip
    assert "渠道 channel" in run("holds")[1]
