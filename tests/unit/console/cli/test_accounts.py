"""Tests of `medpost accounts`: one row per account and lane, the worst of its processes, all calls of today."""

import pytest
import typer
from typer.testing import CliRunner

from console.cli import accounts as cli
from schemas.records import AccountUse
from sinks.quota import day_of

NOW_MS = 1_790_000_000_000
TODAY = day_of(NOW_MS)


def use(worker: str, state: str = "open", **told: object) -> AccountUse:
    """One process's report, a second ago."""
    plain = {"channel": "sms", "provider": "aliyun", "lane": "bulk", "at": NOW_MS - 1_000, "day": TODAY, "calls": 10}
    return AccountUse(**{**plain, "worker": worker, "state": state, "used_per_s": 1.5, **told})  # type: ignore[arg-type]


def test_processes_of_a_lane_are_one_row() -> None:
    """The state is the worst, the figures are sums; yesterday's calls and dead processes' rates do not count."""
    found = cli.rows(
        [
            use("a"),
            use("b", "broken", until=NOW_MS + 4_000),
            use("c", "used_up", at=NOW_MS - 3_600_000),
            use("d", at=NOW_MS - 90_000_000, day=TODAY - 1),
            use("e", lane="urgent"),
        ],
        set(),
        NOW_MS,
    )
    assert [(row["lane"], row["state"], row["calls"], row["used_per_s"]) for row in found] == [
        ("紧急 urgent", "可用 open", 10, 1.5),
        ("批量 bulk", "熔断 broken", 30, 3.0),
    ]
    assert found[1]["until"]


@pytest.mark.parametrize("held", [("channel", "sms"), ("provider", "aliyun")])
def test_what_is_held_says_so(held: tuple[str, str]) -> None:
    """Whatever its breaker says."""
    assert cli.rows([use("a", "broken")], {held}, NOW_MS)[0]["state"] == "人工暂停 held"


def test_an_account_without_a_process_says_so() -> None:
    """Nobody would call it; one that was not called today either is not there any more."""
    assert cli.rows([use("a", at=NOW_MS - 3_600_000, calls=0)], set(), NOW_MS) == []
    assert cli.rows([use("a", at=NOW_MS - 3_600_000)], set(), NOW_MS)[0]["state"] == "空闲"


@pytest.mark.parametrize(("state", "code"), [("open", 0), ("paused", 1)])
def test_the_exit_code_says_whether_all_are_open(monkeypatch: pytest.MonkeyPatch, state: str, code: int) -> None:
    """For a script."""
    monkeypatch.setattr(cli, "read", lambda _settings: [])
    monkeypatch.setattr(cli, "uses", lambda _settings: [use("a", state, at=2**50)])
    app = typer.Typer()
    cli.register(app)
    app.command("other")(lambda: None)
    done = CliRunner().invoke(app, ["accounts", "--format", "json"], standalone_mode=False)
    assert (done.return_value, "aliyun" in done.output) == (code, True)
