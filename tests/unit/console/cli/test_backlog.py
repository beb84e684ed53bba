"""Tests of `medpost backlog`: the chosen lines in words, the silent named, and both accounts of what is open."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from console.cli import backlog as cli
from infra import backlog as live
from infra import settings as settings_module
from infra.app_queries import OpenCount
from infra.backlog import Line, Told, lines
from infra.settings import Settings
from schemas.records import Backlog, BacklogApp, BacklogLine
from schemas.statuses import LANES

NOW_MS = 1_790_000_000_000
WAITING = BacklogLine("sms", "his", 120, 3, NOW_MS - 61_000, 20.0)
CLOSED = BacklogLine("webhook", "lis", 7, 0, NOW_MS - 1_000, 0.0, NOW_MS + 60_000, "transient")


def told(lane: str = "normal") -> Told:
    """One partition's word of now."""
    return Told(
        Backlog(lane, 0, "w", NOW_MS, [BacklogApp("his", 150), BacklogApp("lis", 9)], [WAITING, CLOSED]), NOW_MS
    )


class Standing:
    """A clock."""

    def now_ms(self) -> int:
        """Always the same."""
        return NOW_MS


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Told]:
    """What partitions told: of each lane the only one."""
    found = [told(lane) for lane in LANES]
    monkeypatch.setattr(settings_module, "load", lambda: Settings(home=tmp_path, kafka="nowhere:0", partitions=1))
    monkeypatch.setattr(live, "read", lambda _: found)
    monkeypatch.setattr(cli, "SystemClock", Standing)
    return found


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command."""
    app = typer.Typer()
    app.callback()(lambda: None)
    cli.register(app)
    result = CliRunner().invoke(app, ["backlog", *arguments], standalone_mode=False)
    return result.return_value, result.stdout, result.stderr


def test_what_waits_is_told_in_words(said: list[Told]) -> None:
    """Depth, age, rate, time left, and why nothing is sent."""
    code, out, err = run("--lane", "normal")
    assert (code, err, len(said)) == (0, "", 3)
    first, second, last = out.splitlines()[1:]
    for word in ("his", "普通 normal", "sms", "120", "3", "1 分 01 秒", "20.0", "6.00 秒"):
        assert word in first
    assert "暂时故障 transient，至 " in second
    assert last == "未结束 159 条（含定时与待回执）；排队 127，进行中 3，每秒派发 20.0"


def test_programs_get_figures(said: list[Told]) -> None:
    """Of the application and channel asked for, in every lane."""
    code, out, _ = run("--app", "his", "--channel", "sms", "--format", "json")
    found = json.loads(out)
    assert (code, len(found), len(said)) == (0, 3, 3)
    assert {"waiting": 120, "in_flight": 3, "oldest_age_s": 61.0, "issued_per_s": 20.0, "eta_s": 6.0}.items() <= (
        found[0].items()
    )


def test_a_silent_partition_is_named_and_the_answer_is_no(said: list[Told]) -> None:
    """What it told last is still counted."""
    said[1] = Told(said[1].backlog, NOW_MS - 60_000)
    said.pop()
    code, out, err = run()
    assert code == 1
    assert "未结束 318 条" in out
    assert "normal/0 无人负责或正在追赶：最后报告" in err
    assert "bulk/0 无人负责或正在追赶：从未报告" in err


def test_nobody_waits(said: list[Told]) -> None:
    """One line says so."""
    said[:] = [Told(Backlog(lane, 0, "w", NOW_MS), NOW_MS) for lane in LANES]
    assert run() == (0, "未结束 0 条（含定时与待回执）；排队 0，进行中 0，每秒派发 0\n", "")


class Followed:
    """The live backlog as it changes from look to look."""

    looks = 0
    is_closed = False

    def __init__(self, _settings: Settings) -> None:
        """Nothing is followed."""

    def start(self) -> None:
        """Begin."""

    def wait_ready(self, timeout_s: float) -> None:
        """At once."""
        assert timeout_s > 0

    def close(self) -> None:
        """End."""
        Followed.is_closed = True

    @property
    def told(self) -> list[Told]:
        """Each time more are open."""
        Followed.looks += 1
        return [Told(Backlog(lane, 0, "w", NOW_MS, [BacklogApp("his", Followed.looks)]), NOW_MS) for lane in LANES]


def test_it_is_watched_until_somebody_has_seen_enough(said: list[Told], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second anew; the follower ends with it."""
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise RuntimeError("enough")

    monkeypatch.setattr(cli, "Backlogs", Followed)
    monkeypatch.setattr("time.sleep", sleep)
    app = typer.Typer()
    app.callback()(lambda: None)
    cli.register(app)
    result = CliRunner().invoke(app, ["backlog", "--watch"])
    assert str(result.exception) == "enough"
    shown = [line.split("（")[0] for line in result.stdout.splitlines()]
    assert shown == ["未结束 3 条", "未结束 6 条"]
    assert (pauses, Followed.is_closed, len(said)) == ([cli.WATCH_S] * 2, True, 3)


def count(live_low: int, live_high: int, app_id: str = "his") -> OpenCount:
    """The store's word."""
    return OpenCount(app_id=app_id, lane="normal", messages=live_high, at_least=live_low, at_most=live_high)


class Time:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        """Since the beginning."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.now_s += seconds


def test_both_accounts_agree_when_the_store_has_caught_up() -> None:
    """Asked again until then; the live count may be any of the span in which it was told."""
    time, answers = Time(), [[count(90, 100)], [count(148, 152), count(9, 9, "lis")]]
    found = cli.reconciled([told()], lambda: answers.pop(0), time.monotonic_s, time.sleep)
    assert [(one.app_id, one.live, one.store, one.difference) for one in found] == [
        ("his", 150, 152, 0), ("lis", 9, 9, 0),
    ]  # fmt: skip
    assert (time.now_s, answers) == (1.0, [])


def test_a_difference_that_stays_is_told() -> None:
    """To either side, and also of who is known to one account only."""
    time = Time()
    found = cli.reconciled(
        [told()], lambda: [count(140, 145), count(3, 3, "emr"), count(0, 0, "old")], time.monotonic_s, time.sleep
    )
    assert [(one.app_id, one.difference) for one in found] == [("emr", -3), ("his", 5), ("lis", 9)]
    assert time.now_s == cli.PATIENCE_S


def test_lines_are_chosen_by_all_that_is_asked() -> None:
    """An empty word means any."""
    found: list[Line] = lines([told()])
    assert len(cli.chosen(found, cli.Wanted())) == 2
    assert [one.channel for one in cli.chosen(found, cli.Wanted("lis", "normal", "webhook"))] == ["webhook"]
    assert cli.chosen(found, cli.Wanted("lis", "urgent")) == []
