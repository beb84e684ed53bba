from pathlib import Path

import pytest

from console import registered
from infra.settings import Settings
from infra.snapshot import EMPTY, Snapshot
from schemas.errors import UnavailableError
from tests.hospital import snapshot


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that point nowhere."""
    return Settings(home=tmp_path, kafka="127.0.0.1:9")


def gone(*_: object) -> None:
    """No broker."""
    raise UnavailableError("no broker")


@pytest.mark.parametrize(("read", "is_known"), [(snapshot(), True), (EMPTY, False)])
def test_what_is_applied_is_known(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, read: Snapshot, *, is_known: bool
) -> None:
    """An empty registry knows nothing, which is not that every name is wrong."""
    monkeypatch.setattr(registered, "ping", lambda *_: None)
    monkeypatch.setattr(registered, "read_snapshot", lambda _: read)
    assert registered.glance(settings) is (read if is_known else None)


def test_without_a_broker_nothing_is_known(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """And the command goes on; nor without an address."""
    monkeypatch.setattr(registered, "ping", gone)
    assert registered.glance(settings) is None
    assert registered.glance(Settings(home=settings.home)) is None


def test_a_name_is_answered_by_the_nearest_or_by_all() -> None:
    """So that nobody has to look it up."""
    assert registered.instead("lab_repot", {"lab_report", "bill"}) == "是否应为 lab_report？"
    assert registered.instead("x", {"lab_report", "bill"}) == "已登记：bill、lab_report"
    assert registered.instead("x", ()) == "已登记：无"
    assert registered.instead("zz", [f"t{number:02}" for number in range(25)]).endswith("t19 等")
