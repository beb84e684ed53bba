import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from console.cli import main
from schemas.errors import Permanent, Reason, UnavailableError


def raising(problem: BaseException) -> Callable[[], object]:
    """A command that ends so."""

    def command() -> object:
        raise problem

    return command


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Permanent(Reason.TYPE_UNKNOWN, "no such type"), 1),
        (typer.BadParameter("not so"), 2),
        (UnavailableError("no broker", "start it"), 3),
        (RuntimeError("a defect"), 70),
        (KeyboardInterrupt(), 130),
        (typer.Abort(), 130),
    ],
)
def test_every_end_has_its_exit_code(problem: BaseException, code: int) -> None:
    """Whatever a command raises becomes one of the documented exit codes."""
    assert main.code_of(raising(problem)) == code


def test_an_answer_is_the_exit_code() -> None:
    """A command's own number is the exit code; anything else is success."""
    assert main.code_of(lambda: 1) == 1
    assert main.code_of(lambda: None) == 0


def test_what_is_missing_comes_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """The user reads what is missing and how to mend it."""
    main.code_of(raising(UnavailableError("no broker answers", "medpost up")))
    shown = capsys.readouterr().err
    assert "no broker answers" in shown
    assert "medpost up" in shown


def test_a_defect_shows_no_traceback_and_keeps_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The traceback goes to a private file whose name is shown."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    main.code_of(raising(ValueError("secret of a patient")))
    shown = capsys.readouterr().err
    (kept,) = tmp_path.iterdir()
    assert "Traceback" not in shown
    assert "secret of a patient" not in shown
    assert kept.name in shown
    assert "ValueError" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_every_noun_is_there() -> None:
    """The command is built from every module that is listed."""
    app = main.build()
    named = {str(one.name or getattr(one.callback, "__name__", "")) for one in app.registered_commands}
    grouped = {str(group.name) for group in app.registered_groups}
    assert {"up", "down", "status", "doctor", "sample", "run"} <= named
    assert {"registry", "publish", "messages"} <= grouped
