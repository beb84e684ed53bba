"""The doctor's findings and the exit code each calls for."""

import os
from pathlib import Path

import pytest

from infra.local import doctor, processes
from infra.local.doctor import Finding, examine
from infra.settings import Settings


def _findings(settings: Settings) -> dict[str, Finding]:
    return {finding.what: finding for finding in examine(settings)}


def test_missing_java_means_it_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Java the code is 3 and the remedy names a package."""
    monkeypatch.setenv("PATH", "/nowhere")
    found = _findings(Settings(home=tmp_path / "home"))["java"]
    assert (found.is_well, found.code) == (False, 3)
    assert "openjdk" in found.remedy


def test_nothing_up_is_code_1(tmp_path: Path) -> None:
    """Servers that are not up are no missing part: the answer is only no."""
    found = _findings(Settings(home=tmp_path / "home"))
    assert [(found[name].is_well, found[name].code) for name in ("broker", "store")] == [(False, 1), (False, 1)]


def test_other_cluster_needs_no_java(tmp_path: Path) -> None:
    """With MEDPOST_KAFKA neither Java nor jars are looked at, and the remedy names the variable."""
    found = _findings(Settings(home=tmp_path / "home", kafka="127.0.0.1:1"))
    assert "java" not in found
    assert "jars" not in found
    assert found["broker"].remedy == "check MEDPOST_KAFKA"


def test_wrong_clock_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock more than the tokens' tolerance from the store's is a fault."""
    assert doctor._clock(None).is_well
    assert not doctor._clock(0.0).is_well
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert not doctor._clock(None).is_well


def test_processes_without_a_supervisor_are_said_and_their_ports_are_not_blamed(tmp_path: Path) -> None:
    """It was killed: what it kept up runs on, and nobody would start it again."""
    settings = Settings(home=tmp_path / "home")
    settings.run_folder.mkdir(parents=True)
    processes.write_record(settings.run_folder / "trace.pid", os.getpid())
    found = _findings(settings)
    assert (found["supervisor"].is_well, found["supervisor"].code) == (False, 1)
    assert "trace" in found["supervisor"].detail
    assert "port" not in found
