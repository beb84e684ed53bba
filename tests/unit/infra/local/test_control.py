"""Around the supervisor: what is checked before, what status says, what is wiped."""

import json
import os
from collections import namedtuple
from pathlib import Path

import pytest

from infra.local import control, processes
from infra.settings import Settings
from schemas.errors import UnavailableError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of its own."""
    found = Settings(home=tmp_path / "home")
    found.run_folder.mkdir(parents=True)
    return found


def _write_rows(settings: Settings, **states: str) -> None:
    rows = [
        {"name": name, "pid": 0, "state": state, "restarts": 2, "port": 1, "note": "why"}
        for name, state in states.items()
    ]
    (settings.run_folder / "status.json").write_text(json.dumps({"phase": "up", "processes": rows}))


def test_full_disk_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under 1 GB free nothing starts, and the line says how much is needed."""
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - the shape of shutil's answer
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10 << 30, 9 << 30, 300 << 20))
    with pytest.raises(UnavailableError, match="only 300 MB are free"):
        control.check_home(settings)


def test_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """A home that cannot be a folder is one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="cannot write to"):
        control.check_home(Settings(home=tmp_path / "file" / "home"))


def test_nothing_was_started(settings: Settings) -> None:
    """An empty home has no rows, and ending it stops nothing."""
    assert control.look(settings) == []
    assert control.end(settings) == []


def test_status_believes_the_system(settings: Settings) -> None:
    """A row that says running while its process is gone is shown as dead."""
    _write_rows(settings, broker="running")
    processes.write_record(settings.run_folder / "supervisor.pid", os.getpid())
    rows = {row.name: row for row in control.look(settings)}
    assert rows["supervisor"].pid == os.getpid()
    assert (rows["broker"].state, rows["broker"].pid, rows["broker"].restarts) == ("dead", 0, 2)


def test_process_without_supervisor_is_shown_so(settings: Settings) -> None:
    """What a killed supervisor left is listed as unsupervised, with its memory."""
    _write_rows(settings, broker="running")
    processes.write_record(settings.run_folder / "broker.pid", os.getpid())
    (row,) = control.look(settings)
    assert (row.state, row.pid) == ("unsupervised", os.getpid())
    assert row.memory_mb > 0


def test_follow_ends_when_all_run(settings: Settings) -> None:
    """Each row once, then the end."""
    _write_rows(settings, broker="running", trace="running")
    assert [row["name"] for row in control.follow(settings)] == ["broker", "trace"]


def test_follow_gives_up_on_a_looping_server(settings: Settings) -> None:
    """A broker in a crash loop ends the wait with its note and its log's name."""
    _write_rows(settings, broker="crash loop")
    with pytest.raises(UnavailableError, match="broker does not start: why") as caught:
        list(control.follow(settings))
    assert caught.value.remedy.endswith("broker.log")


def test_follow_says_why_the_supervisor_failed(settings: Settings) -> None:
    """A supervisor that could not begin is one line."""
    (settings.run_folder / "status.json").write_text(json.dumps({"phase": "failed", "note": "no free port"}))
    with pytest.raises(UnavailableError, match="no free port"):
        list(control.follow(settings))


def test_second_begin_starts_nothing(settings: Settings) -> None:
    """With a supervisor that keeps what is asked there is nothing to do."""
    processes.write_record(settings.run_folder / "supervisor.pid", os.getpid())
    assert not control.begin(settings, only_servers=True)


def test_wipe_keeps_the_keys(settings: Settings) -> None:
    """Data go, keys stay."""
    for name in (*control.WIPED, "keys"):
        (settings.home / name).mkdir(exist_ok=True)
    (settings.home / "keys.json").write_text("{}")
    control.wipe(settings)
    assert sorted(path.name for path in settings.home.iterdir()) == ["keys", "keys.json"]


@pytest.mark.parametrize(
    ("state", "note", "well"),
    [
        ("running", "", True),
        ("starting", "waits for the registry", True),
        ("starting", "", False),
        ("restarting", "waits for the registry", False),
        ("crash loop", "ended with exit code 1", False),
    ],
)
def test_waiting_is_well_when_it_says_for_what(state: str, note: str, well: bool) -> None:
    """An empty registry is no fault of the process that waits for it; silence is."""
    assert control.is_well({"state": state, "note": note}) is well
