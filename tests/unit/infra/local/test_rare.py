"""Tests of the doctor's rare cases: each is one clear line and how to mend it, and silence when all is well."""

import json
import socket
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from infra.local import doctor, jars, ports, rare
from infra.local.doctor import Finding, examine
from infra.registry import BadRecord
from infra.rollup import DirtyDay
from infra.settings import Settings
from schemas.errors import UnavailableError

MINUTE_MS = 60_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two jars with their manifest."""
    made = tmp_path / "kafka-1"
    made.mkdir()
    for name in ("a.jar", "b.jar"):
        (made / name).write_bytes(b"12345")
    (made / jars.MANIFEST).write_text(json.dumps({"a.jar": 5, "b.jar": 5}), "utf-8")
    return made


def test_whole_jars_and_none_at_all_are_no_trouble(folder: Path, tmp_path: Path) -> None:
    """Never fetched is what the first start is for."""
    assert rare.jar_trouble(folder) is None
    assert rare.jar_trouble(tmp_path / "kafka-2") is None


@pytest.mark.parametrize(
    ("breaks", "told"),
    [
        (lambda folder: (folder / "b.jar").write_bytes(b"123"), "1 of 2 jars"),
        (lambda folder: (folder / "b.jar").unlink(), "1 of 2 jars"),
        (lambda folder: (folder / jars.MANIFEST).unlink(), "half-way"),
        (lambda folder: folder.rename(folder.with_name("kafka-1.part")), "half-way"),
    ],
)
def test_half_fetched_jars_are_told(folder: Path, breaks: Callable[[Path], object], told: str) -> None:
    """Cut, removed, without their list, or still in the folder of the fetch."""
    breaks(folder)
    trouble = rare.jar_trouble(folder)
    assert trouble is not None
    assert told in trouble.detail
    assert "medpost up" in trouble.remedy


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listening:
        listening.bind((ports.LOOPBACK, 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_whoever_holds_a_port_is_named(stranger: int, tmp_path: Path) -> None:
    """By program and pid, in the doctor's line for that port."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ports.json").write_text(json.dumps({"store": stranger}), "utf-8")
    said = [one for one in doctor._ports(Settings(home=tmp_path)) if f"store {stranger}" in one.detail]
    assert [(one.is_well, "(pid " in one.detail) for one in said] == [(False, True)]
    assert rare.holder_of(1) == ""


@pytest.mark.parametrize(
    ("behind_ms", "is_trouble"), [(0, False), (-MINUTE_MS, False), (29_000, False), (31_000, True)]
)
def test_a_clock_behind_the_broker_s_is_told(behind_ms: int, is_trouble: bool) -> None:
    """A record from the future; an old one says nothing."""
    trouble = rare.clock_trouble(1_800_000_000_000 + behind_ms, 1_800_000_000_000, doctor.CLOCK_SKEW_S)
    assert (trouble is not None) == is_trouble
    assert trouble is None or "31 s behind" in trouble.detail


def test_bad_records_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first few, and how many more."""
    bad = [BadRecord("types", f"t{one}", one, has_old_value=True) for one in range(7)]
    monkeypatch.setattr(rare, "read_bad", lambda _settings: tuple(bad))
    trouble = rare.registry_trouble(Settings(home=tmp_path))
    assert trouble is not None
    assert (
        trouble.detail
        == "unreadable: types/t0, types/t1, types/t2, types/t3, types/t4 and 2 more; the old value stands"
    )
    bad.clear()
    assert rare.registry_trouble(Settings(home=tmp_path)) is None


def day(newest: str) -> DirtyDay:
    """A day whose newest mark is that, seen at noon."""
    return DirtyDay(date(2026, 11, 1), f"2026-11-01 {newest}.000000", "2026-11-01 12:00:00.000000")


def test_figures_that_nobody_counts_are_told() -> None:
    """Ten minutes after the mark, not before."""
    assert rare.rollup_trouble([day("11:50:01")]) is None
    trouble = rare.rollup_trouble([day("11:59:59"), day("11:30:00"), day("11:40:00")])
    assert trouble is not None
    assert trouble.detail == "2 days wait to be counted, for 30 minutes"


def found(settings: Settings, what: str) -> Finding:
    """The doctor's finding of that name."""
    return next(one for one in examine(settings) if one.what == what)


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a `java` on the path that prints that banner."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")

    def make(banner: str) -> None:
        (place / "java").write_text(f"#!/bin/sh\necho '{banner}' >&2\n", "utf-8")
        (place / "java").chmod(0o755)

    return make


@pytest.mark.parametrize(
    ("banner", "told"), [('openjdk version "11.0.2"', "version 11"), ("no idea", "version unknown")]
)
def test_a_java_that_is_too_old_is_told(java: Callable[[str], None], tmp_path: Path, banner: str, told: str) -> None:
    """With its path, what is needed, and the package."""
    java(banner)
    said = found(Settings(home=tmp_path / "home"), "java")
    assert (said.is_well, said.code) == (False, 3)
    assert told in said.detail
    assert "openjdk-17" in said.remedy


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Here because a file stands where the folder should be."""
    (tmp_path / "home").write_text("", "utf-8")
    said = found(Settings(home=tmp_path / "home"), "home")
    assert not said.is_well
    assert "cannot write to" in said.detail
    assert "MEDPOST_HOME" in said.remedy


def test_a_full_disk_is_told_in_megabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where zero gigabytes would say less."""
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 300 << 20})())
    said = found(Settings(home=tmp_path), "disk")
    assert (said.is_well, said.code) == (False, 3)
    assert said.detail.startswith("only 300 MB free")
    assert "1024 MB" in said.remedy


def test_what_cannot_be_asked_is_no_fault_of_its_own() -> None:
    """A broker without the topics yet, a store that went away between two questions."""

    def ask() -> rare.Trouble | None:
        raise UnavailableError("no answer", "wait")

    (said,) = doctor._asked("figures", ask, "well")
    assert (said.is_well, said.code, said.detail) == (False, 0, "no answer")
    (said,) = doctor._asked("figures", lambda: rare.Trouble("bad", "mend"), "well")
    assert (said.is_well, said.code, said.remedy) == (False, 1, "mend")
    (said,) = doctor._asked("figures", lambda: None, "well")
    assert (said.is_well, said.detail) == (True, "well")
