"""The supervisor's parts: one per home, logs bounded, strangers' records removed."""

import json
from pathlib import Path

import pytest

from infra.local import supervisor
from infra.local.installation import Installation
from infra.local.supervisor import Supervisor, bound_logs, sole_supervisor
from infra.settings import Settings

PORTS = {"broker": 19092, "controller": 19093, "store": 18123, "simulators": 18780, "gateway": 18790}


def test_there_is_one_supervisor(tmp_path: Path) -> None:
    """While one holds the lock the next is told so; afterwards it is free."""
    with sole_supervisor(tmp_path) as first, sole_supervisor(tmp_path) as second:
        assert (first, second) == (True, False)
    with sole_supervisor(tmp_path) as third:
        assert third


def test_grown_log_is_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log above its bound is moved to `.1`; an open writer goes on at the start."""
    monkeypatch.setattr(supervisor, "LOG_BYTES", 10)
    with (tmp_path / "broker.log").open("ab", buffering=0) as writer:
        writer.write(b"x" * 11)
        bound_logs(tmp_path)
        writer.write(b"new")
    assert (tmp_path / "broker.log").read_bytes() == b"new"
    assert (tmp_path / "broker.log.1").read_bytes() == b"x" * 11


def test_small_log_is_left(tmp_path: Path) -> None:
    """A log below its bound stays."""
    (tmp_path / "store.log").write_bytes(b"x")
    bound_logs(tmp_path)
    assert not (tmp_path / "store.log.1").exists()


def test_end_is_written_down(tmp_path: Path) -> None:
    """After stopping all, servers.json is gone and status says down."""
    settings = Settings(home=tmp_path, kafka="k:1", clickhouse="http://c:1", simulators="http://s:1")
    settings.run_folder.mkdir()
    (settings.run_folder / "servers.json").write_text("{}")
    Supervisor(Installation(settings, PORTS), only_servers=True).stop_all()
    assert not (settings.run_folder / "servers.json").exists()
    assert json.loads((settings.run_folder / "status.json").read_text())["phase"] == "down"
