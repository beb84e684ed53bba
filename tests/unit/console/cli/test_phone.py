"""Tests of `medpost phone`: what the simulated phones show, and that templates are approved there."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from console.cli import phone as cli
from console.sample.phone import Received
from schemas.errors import UnavailableError

Run = Callable[..., tuple[int, str]]
HELD = [
    Received(1, 1_790_000_000_000, "sms", "13800001001", "m1", "", "【和安医院】挂号成功"),
    Received(2, 1_790_000_001_000, "webhook", "app/P0002", "m2", "挂号成功", "心内科"),
]


class Simulated:
    """Phones in memory."""

    def __init__(self, url: str) -> None:
        self.page = f"{url}/phone"

    def received(self, since_ms: int) -> Iterator[Received]:
        """Everything since then."""
        return (one for one in HELD if one.at >= since_ms)

    def approve_templates(self, snapshot: Any) -> int:
        """How many there are."""
        return len(snapshot)

    def push_wechat_to(self, gateway: str) -> str:
        """Where that is."""
        return f"{gateway}/v1/receipts/template"


class Stopped:
    """A clock that stands."""

    def now_ms(self) -> int:
        """Two minutes after the first message."""
        return 1_790_000_120_000


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command with phones in memory: exit code and output."""
    monkeypatch.setattr(cli, "Phone", Simulated)
    monkeypatch.setattr(cli, "SystemClock", Stopped)
    monkeypatch.setattr("console.sample.tour.simulators_of", lambda _settings: "http://sim")
    monkeypatch.setattr("console.sample.tour.snapshot_of", lambda _settings: "three")
    monkeypatch.setattr(cli, "gateway_endpoint", lambda _settings: "http://gate")

    def invoke(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli.app, list(words), standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return int(done.return_value), done.output

    return invoke


def test_messages_are_shown_in_order_and_numbers_starred(run: Run) -> None:
    """A table for people."""
    code, said = run("show")
    assert code == 0
    assert said.index("138****1001") < said.index("挂号成功：心内科")
    assert "13800001001" not in said


def test_one_recipient_may_be_asked_for(run: Run) -> None:
    """By the end of a number or address."""
    _, said = run("show", "--to", "1001", "--format", "json")
    assert [row["message_id"] for row in json.loads(said)] == ["m1"]


def test_nothing_received_is_1(run: Run) -> None:
    """And is said."""
    code, said = run("show", "--to", "nobody")
    assert code == 1
    assert "什么也没有" in said
    assert run("show", "--minutes", "1")[0] == 1


def test_the_page_s_address_is_told(run: Run) -> None:
    """Alone, for one recipient, and below the list; not in what a program reads."""
    assert run("open") == (0, "http://sim/phone\n")
    assert run("open", "--to", "app/P0001") == (0, "http://sim/phone?to=app%2FP0001\n")
    assert "http://sim/phone" in run("show")[1]
    assert "http" not in run("show", "--format", "json")[1]


def test_a_browser_is_started_only_when_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a server there is none."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    run("open")
    assert opened == []
    run("open", "--browser")
    assert opened == ["http://sim/phone"]


def test_without_simulators_no_address_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One where nobody answers would help nobody."""

    def away(_: Simulated, __: int) -> Iterator[Received]:
        raise UnavailableError("the simulated providers do not answer")

    monkeypatch.setattr(Simulated, "received", away)
    with pytest.raises(UnavailableError):
        run("open")


def test_templates_are_approved_and_counted(run: Run) -> None:
    """Those of the registry."""
    approved = "✓ 5 个短信与微信模板已在模拟供应商处报备\n"
    assert run("templates") == (0, f"{approved}✓ 微信送达事件推送到 http://gate/v1/receipts/template\n")


def test_without_a_gateway_nothing_is_pushed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The templates are approved all the same."""

    def none_known(_settings: Any) -> str:
        raise UnavailableError("no gateway", "medpost up")

    monkeypatch.setattr(cli, "gateway_endpoint", none_known)
    assert run("templates") == (0, "✓ 5 个短信与微信模板已在模拟供应商处报备\n")
