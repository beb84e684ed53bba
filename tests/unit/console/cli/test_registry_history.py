"""Tests of `medpost registry history`: readable, narrowed, and machine-readable."""

import json
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner

from console.cli import registry_history as cli
from infra.registry_history import Applied
from schemas.configuration import ConfigChange, ConfigVersion, MemberChange

LANE = ConfigChange(2, 2, "duty", "types", "lab_report", "changed", members=[MemberChange("lane", "normal", "urgent")])
PEOPLE = ConfigChange(2, 2, "duty", "recipients", "", "added", 62)
HISTORY = [
    Applied(ConfigVersion(2, 1_800_000_060_000, "张工"), (LANE, PEOPLE)),
    Applied(ConfigVersion(1, 1_800_000_000_000, "李工"), ()),
]
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command over `HISTORY`: exit code and what is printed."""
    monkeypatch.setattr(cli, "read_history", lambda _settings: HISTORY)
    app = typer.Typer()
    cli.register(app)
    app.command("other")(lambda: None)  # typer collapses an app of one command

    def invoke(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["history", *words], standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return int(done.return_value or 0), done.output

    return invoke


def test_the_newest_is_first_with_who_what_and_when(run: Run) -> None:
    """People are counted; what is older than the history says so."""
    code, said = run()
    assert code == 0
    assert said.splitlines() == [
        "版本 2 · 2027-01-15 16:01:00.000 · 张工",
        "  修改消息类型 lab_report",
        "      通道由 普通 normal 改为 紧急 urgent",
        "  新增收件人 62 人",
        "版本 1 · 2027-01-15 16:00:00.000 · 李工",
        "  （没有细目：早于变更记录）",
    ]


def test_one_object_is_asked_for(run: Run) -> None:
    """And nothing else is shown; what never changed is exit code 1."""
    assert "收件人" not in run("--kind", "types", "--id", "lab_report")[1]
    assert run("--kind", "apps")[0] == 1
    assert "版本 1" not in run("--limit", "1")[1]


def test_a_wrong_kind_is_refused(run: Run) -> None:
    """With those that there are."""
    with pytest.raises(typer.BadParameter, match="recipients"):
        run("--kind", "type")


def test_lines_hold_every_member(run: Run) -> None:
    """For a program: before and after as they were."""
    first = json.loads(run("--format", "jsonl")[1].splitlines()[0])
    assert (first["version"], first["at"]) == (2, "2027-01-15T08:01:00.000+00:00")
    assert first["members"] == [{"member": "lane", "before": "normal", "after": "urgent"}]
