"""Tests of `medpost routing explain` without a broker: the decision in words."""

from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from console.cli import routing as cli
from infra.registry_changes import Current
from schemas.configuration import DISABLED, Address, ChannelConfig, TypeChannel
from schemas.errors import Permanent, Reason
from streams.route import order, route
from tests.hospital import APP, OPTED_OUT, PATIENT, entry, kind, message, snapshot

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command on a small registry: exit code and output."""
    monkeypatch.setenv("MEDPOST_HOME", str(tmp_path))
    both = [entry("webhook", 0.5), entry("sms", 0.9)]
    held = snapshot(
        kind(name="检验报告"),
        kind("both", both, threshold=0.5),
        kind("weak", both, threshold=1.0),
        kind("strange", [entry("webhook"), entry("fax", 0.4)]),
        kind("daily", both, repeat_days=1, repeat_times=7),
    )
    current = Current(held, {one.person_id: one for one in (PATIENT, OPTED_OUT)})
    monkeypatch.setattr(cli, "read_current", lambda _settings, _keyring: current)
    app = typer.Typer()
    cli.register(app)
    app.command("other")(lambda: None)  # typer collapses an app of one command

    def invoke(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["routing", "explain", *words], standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return int(done.return_value or 0), done.output

    return invoke


def test_always_and_fallback_are_told_in_their_order(run: Run) -> None:
    """With the threshold that decided."""
    code, said = run("--type", "lab_report")
    lines = said.splitlines()
    assert code == 0
    assert lines[0].startswith("检验报告 lab_report · 检验 · 普通 normal · 版本 7")
    assert lines[2].split()[:4] == ["1", "webhook", "0.9", "立即"]
    assert lines[3].split()[:4] == ["2", "sms", "0.5", "备用"]


def test_channels_sent_together_share_a_step(run: Run) -> None:
    """Both are step 1."""
    _, said = run("--type", "both")
    assert [line.split()[0] for line in said.splitlines()[2:]] == ["1", "1"]


def test_without_an_always_channel_the_heaviest_begins(run: Run) -> None:
    """And the explanation says that it stands for one."""
    _, said = run("--type", "weak")
    assert "无立即渠道，由权重最高者先发" in said
    assert [line.split()[:2] for line in said.splitlines()[2:]] == [["1", "sms"], ["2", "webhook"]]


def test_a_skipped_channel_says_why(run: Run) -> None:
    """Opted out, and not chosen by the sender."""
    code, said = run("--type", "lab_report", "--recipient", "patient_id:P2")
    assert (code, "此地址登记为已退订 recipient_opted_out" in said) == (0, True)
    _, said = run("--type", "lab_report", "--channels", "sms")
    assert "发送方未选此渠道" in said


@pytest.mark.parametrize(
    ("channels", "entries", "addresses", "told"),
    [
        ({}, [entry("sms")], "sms", "渠道未登记 config_missing"),
        ({"sms": ChannelConfig("sms", status=DISABLED)}, [entry("sms")], "sms", "本院已停用此渠道 config_missing"),
        ({"sms": ChannelConfig("sms")}, [TypeChannel("sms", 0.9)], "sms", "该类型没有此渠道的模板 config_missing"),
        ({"sms": ChannelConfig("sms")}, [entry("sms")], "fax", "接收人没有此渠道的地址 config_missing"),
    ],
)
def test_what_a_channel_lacks_is_said_as_intake_found_it(
    channels: dict[str, ChannelConfig], entries: list[TypeChannel], addresses: str, told: str
) -> None:
    """One cause, not three to choose from."""
    routed = route(message(), (APP, kind(channels=entries)), channels, {addresses: Address(addresses, "a")})
    assert [each.skip for each in routed] == [Reason.CONFIG_MISSING]
    (row,) = cli.rows(routed, 0.6)
    assert row["reason"] == told


def test_the_command_says_what_is_lacking(run: Run) -> None:
    """The registry of the test has no channel of that name."""
    _, said = run("--type", "strange")
    assert "渠道未登记 config_missing" in said


def test_nothing_usable_is_exit_code_one(run: Run) -> None:
    """The answer is no."""
    code, _ = run("--type", "lab_report", "--recipient", "patient_id:P2", "--channels", "sms")
    assert code == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--type", "nothing"], Reason.TYPE_UNKNOWN),
        (["--type", "lab_report", "--channels", "fax"], Reason.CHANNEL_NOT_GRANTED),
        (["--type", "lab_report", "--recipient", "patient_id:P9"], Reason.RECIPIENT_UNKNOWN),
        (["--type", "lab_report", "--recipient", "P1"], Reason.RECIPIENT_UNKNOWN),
    ],
)
def test_what_intake_would_refuse_is_refused_here(run: Run, words: list[str], reason: Reason) -> None:
    """With the same word."""
    with pytest.raises(Permanent) as refused:
        run(*words)
    assert refused.value.reason is reason


def test_every_usable_channel_is_listed_once() -> None:
    """Rows are the order, and then what is skipped."""
    from streams.route import Routed

    routed = [Routed(entry("a", 0.9)), Routed(entry("b", 0.2), "config_missing"), Routed(entry("c", 0.4))]
    rows = cli.rows(routed, 0.6)
    always, fallbacks = order(routed, 0.6)
    assert [row["channel"] for row in rows] == [each.entry.channel for each in always + fallbacks] + ["b"]
    assert [row["step"] for row in rows] == ["1", "2", "—"]


def test_a_type_that_repeats_says_how_often(run: Run) -> None:
    """In the first line."""
    _, said = run("--type", "daily")
    assert "普通 normal · 每 1 天一次，共 7 次 · 版本 7" in said.splitlines()[0]
