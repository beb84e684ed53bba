"""Tests of `medpost check-record`: what it reads, what it says, and its exit code."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from console.cli import check_record as cli
from infra.registry_changes import sealed
from tests.hospital import APP, KEYRING, kind, snapshot
from tests.unit.producers.foreign import RAW

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command on a file with these bytes: exit code and output."""
    monkeypatch.setenv("MEDPOST_HOME", str(tmp_path))
    monkeypatch.setattr(cli, "registry_of", lambda _settings: None)
    app = typer.Typer()
    cli.register(app)
    app.command("other")(lambda: None)  # typer collapses an app of one command

    def invoke(raw: bytes, *words: str) -> tuple[int, str]:
        file = tmp_path / "record"
        file.write_bytes(raw)
        done = CliRunner().invoke(app, ["check-record", *(words or (str(file),))], standalone_mode=False, input=raw)
        if done.exception is not None:
            raise done.exception
        return int(done.return_value), done.output

    return invoke


def test_a_good_record_is_0_and_says_what_was_not_checked(run: Run) -> None:
    """Without a registry it says so."""
    code, said = run(RAW)
    assert code == 0
    assert "✓" in said
    assert "连不上登记库" in said


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (RAW.hex(" ", 4).encode(), ["--hex", "-"]),
        (base64.encodebytes(RAW), ["--base64", "-"]),
        (RAW, ["-", "--offline"]),
    ],
)
def test_it_reads_texts_of_bytes_and_standard_input(run: Run, raw: bytes, words: list[str]) -> None:
    """Hexadecimal, base64, and bytes themselves."""
    assert run(raw, *words)[0] == 0


def test_a_bad_record_is_1_in_chinese(run: Run) -> None:
    """With what to do."""
    code, said = run(b"\0\0\0\0\7" + RAW[10:])
    assert code == 1
    assert "Confluent" in said
    assert "KafkaAvroSerializer" in said


def test_json_output_names_the_levels(run: Run, tmp_path: Path) -> None:
    """For a vendor's own tests."""
    code, said = run(RAW, "-", "--offline", "--key", "50303031", "--topic", "outcomes", "--format", "json")
    assert code == 1
    assert {row["level"] for row in json.loads(said)} == {"ok", "warning", "error"}


def test_headers_come_as_options_or_as_a_file(run: Run, tmp_path: Path) -> None:
    """A token then stands in no shell history; it is never shown."""
    file = tmp_path / "headers"
    file.write_text("authorization: Bearer aaa.bbb.ccc\n", "utf-8")
    code, said = run(RAW, "-", "--offline", "--header", f"@{file}")
    assert code == 1
    assert "token_malformed" in said
    assert "aaa.bbb" not in said


@pytest.mark.parametrize(
    "words",
    [
        ["nowhere.bin"],
        ["-", "--hex", "--base64"],
        ["-", "--hex"],
        ["-", "--base64"],
        ["-", "--key", "xyz"],
        ["-", "--header", "Bearer"],
    ],
)
def test_wrong_use_is_named(run: Run, words: list[str]) -> None:
    """As a wrong option, which is exit code 2."""
    with pytest.raises(typer.BadParameter):
        run(RAW, *words)


def test_the_registry_is_asked_when_it_is_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then intake's refusals are told."""
    held = snapshot(kind(), app=sealed(APP, KEYRING))  # type: ignore[arg-type]  # sealed() keeps the class
    monkeypatch.setattr(cli, "registry_of", lambda _settings: (held, KEYRING))
    code, said = run(RAW)
    assert code == 1
    assert "param_invalid" in said
