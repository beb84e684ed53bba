"""The installed command, where only a client was installed and where everything was."""

import builtins
import sys
from typing import Any

import pytest

from console import entry


def without(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    """As if that module were not installed and the command line not loaded yet."""
    monkeypatch.delitem(sys.modules, "console.cli.main", raising=False)
    found = builtins.__import__

    def load(name: str, *rest: Any, **named: Any) -> Any:
        if name == "console.cli.main":
            raise ModuleNotFoundError(f"No module named {absent!r}", name=absent)
        return found(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", load)


def test_a_client_alone_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3 and the way out, without a traceback."""
    without(monkeypatch, "typer")
    with pytest.raises(SystemExit) as left:
        entry.main()
    assert left.value.code == 3
    said = capsys.readouterr().err
    assert "typer" in said
    assert "medpost[platform]" in said
    assert "Traceback" not in said


def test_a_module_of_ours_that_is_missing_is_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not hidden behind an advice that would not help."""
    without(monkeypatch, "schemas.records")
    with pytest.raises(ModuleNotFoundError):
        entry.main()


def test_with_everything_it_is_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`medpost --help`."""
    monkeypatch.setattr(sys, "argv", ["medpost", "--help"])
    with pytest.raises(SystemExit) as left:
        entry.main()
    assert left.value.code == 0
    assert "registry" in capsys.readouterr().out
