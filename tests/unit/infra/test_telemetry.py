"""Health and logs: what is missing is named, what could name a person is not logged."""

import json
import os
from pathlib import Path

from infra import telemetry
from infra.telemetry import Health, frames_only, own_file


def test_is_ready_when_every_condition_holds() -> None:
    """The answer names what is missing."""
    ready = [False]
    health = Health()
    health.ready_when(lambda: ready[0], "the registry")
    health.ready_when(lambda: True, "the broker")
    assert health.missing() == ["the registry"]
    ready[0] = True
    assert health.missing() == []


def test_is_live_while_the_loop_ticks() -> None:
    """30 s without a tick and it is not."""
    health = Health()
    assert health.is_live()
    health._ticked_s -= telemetry.LIVE_S
    assert not health.is_live()
    health.tick()
    assert health.is_live()


def test_an_exceptions_text_is_not_logged() -> None:
    """Its class and place are."""
    try:
        int("Mr X, 13800138000")
    except ValueError as fault:
        entry = frames_only(None, "error", {"event": "failed", "exc_info": fault})
    assert entry["fault"] == "ValueError"
    assert "test_telemetry.py" in entry["frames"][-1]
    assert "Mr X" not in json.dumps(entry)


def test_a_log_line_without_an_exception_stays_as_it_is() -> None:
    """Nothing is added."""
    assert frames_only(None, "info", {"event": "stopped"}) == {"event": "stopped"}


def test_a_second_process_of_a_role_writes_a_file_of_its_own(tmp_path: Path) -> None:
    """Unless the first is gone."""
    wanted = tmp_path / "intake.urgent.json"
    assert own_file(wanted) == wanted
    wanted.write_text(json.dumps({"pid": os.getppid(), "port": 1}))
    assert own_file(wanted) == tmp_path / f"intake.urgent.{os.getpid()}.json"
    wanted.write_text(json.dumps({"pid": 2**22 + 1, "port": 1}))
    assert own_file(wanted) == wanted
    wanted.write_text("not json")
    assert own_file(wanted) == wanted
