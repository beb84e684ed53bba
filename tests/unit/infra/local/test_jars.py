"""The jar cache: complete or not, fetched anew when half there, and what is said when Maven fails."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local import jars
from schemas.errors import UnavailableError


def _fill(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in (f"kafka_2.13-{jars.kafka_version()}.jar", "log4j-core.jar"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("a", "b" * 100)


def _write_manifest(folder: Path) -> None:
    sizes = {jar.name: jar.stat().st_size for jar in folder.glob("*.jar")}
    (folder / jars.MANIFEST).write_text(json.dumps(sizes))


def test_version_is_pinned() -> None:
    """The pom pins one exact Kafka 4 version."""
    assert jars.kafka_version().split(".")[0] == "4"
    assert len(jars.kafka_version().split(".")) == 3


def test_pom_names_no_repository() -> None:
    """Where jars come from is Maven's configuration, not ours."""
    assert "<repository>" not in jars.POM.read_text()


def test_whole_folder_is_complete(tmp_path: Path) -> None:
    """All files of the manifest with their sizes make a complete folder."""
    _fill(tmp_path)
    _write_manifest(tmp_path)
    assert jars.is_complete(tmp_path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda folder: (folder / "log4j-core.jar").write_bytes(b"PK"),
    "removed": lambda folder: (folder / "log4j-core.jar").unlink(),
    "no manifest": lambda folder: (folder / jars.MANIFEST).unlink(),
    "empty manifest": lambda folder: (folder / jars.MANIFEST).write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_folder_is_not_complete(tmp_path: Path, damage: str) -> None:
    """A short or missing jar, or no list of them, is not complete."""
    _fill(tmp_path)
    _write_manifest(tmp_path)
    DAMAGES[damage](tmp_path)
    assert not jars.is_complete(tmp_path)


def test_half_fetched_folder_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed fetch left, in place or beside it, is replaced by a whole one."""
    folder = jars.jar_folder(tmp_path)
    folder.mkdir()
    (folder / "half.jar").write_bytes(b"PK")
    folder.with_name(folder.name + ".part").mkdir()
    monkeypatch.setattr(jars, "require_maven", lambda: "mvn")
    monkeypatch.setattr(jars, "_run_maven", lambda _maven, output: _fill(output))
    assert jars.ensure_jars(tmp_path) == folder
    assert jars.is_complete(folder)
    assert not (folder / "half.jar").exists()


def test_complete_jars_need_no_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second home on the machine starts without Maven."""
    monkeypatch.setenv("PATH", "/nowhere")
    folder = jars.jar_folder(tmp_path)
    _fill(folder)
    _write_manifest(folder)
    assert jars.ensure_jars(tmp_path) == folder


def test_fetch_without_kafka_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maven's success is not believed: without the Kafka jar nothing is put in place."""
    monkeypatch.setattr(jars, "require_maven", lambda: "mvn")
    monkeypatch.setattr(jars, "_run_maven", lambda _maven, output: output.mkdir())
    with pytest.raises(UnavailableError, match="no Kafka jar"):
        jars.ensure_jars(tmp_path)
    assert not jars.jar_folder(tmp_path).exists()


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("[INFO] x\n[ERROR] Could not resolve\n[ERROR] more", "Could not resolve"),
        ("just\nthis", "this"),
        ("", "it said nothing"),
    ],
)
def test_first_error_is_shown(output: str, line: str) -> None:
    """One line of Maven's many is shown, the first that it marks."""
    assert jars.first_error(output) == line
