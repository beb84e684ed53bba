"""The `medpost` command: gathers the nouns, and turns errors into one clear line and an exit code.

Exit codes: 0 done, 1 the answer is no, 2 wrong use, 3 something it needs is not there, 70 a defect of ours. No
traceback reaches a user. Each noun is a module of this package with `register(app)`.
It is imported here and nowhere else.
"""

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Final

import typer
from typer.exceptions import TyperException

from console import frame, words
from console.phrasebook import chinese
from schemas.errors import MedpostError, UnavailableError

NOUNS: Final = (
    "servers",
    "sample",
    "phone",
    "run",
    "registry",
    "publish",
    "messages",
    "asking",
    "series",
    "dlq",
    "hold",
    "accounts",
    "backlog",
    "routing",
    "token",
    "analyst",
    "check_record",
)
"""Modules of `console.cli`, in the order of the help text."""

EXIT_NO: Final = 1
EXIT_USAGE: Final = 2
EXIT_MISSING: Final = 3
EXIT_FAULT: Final = 70
EXIT_INTERRUPTED: Final = 130


def build() -> typer.Typer:
    """The whole command."""
    frame.set_up()
    app = typer.Typer(
        name="medpost",
        help="医院外发消息平台：一个入口，多个渠道，条条可查，一条不丢，急的不迟。",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for noun in NOUNS:
        importlib.import_module(f"console.cli.{noun}").register(app)
    return app


def _show(problem: MedpostError) -> None:
    told = "\n".join(map(chinese, problem.detail.splitlines()))
    typer.secho(f"✗ {told or words.of_reason(problem.reason)}", fg=typer.colors.RED, err=True)
    remedy = getattr(problem, "remedy", "")
    if remedy:
        typer.secho(f"  → {chinese(remedy)}", err=True)


def code_of(command: Callable[[], object]) -> int:
    """Run the command and turn whatever it ends with into an exit code and, for an error, a clear line."""
    try:
        code = command()
    except MedpostError as problem:
        _show(problem)
        return EXIT_MISSING if isinstance(problem, UnavailableError) else EXIT_NO
    except (typer.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except TyperException as problem:
        frame.show(problem)
        return EXIT_USAGE
    except Exception as fault:  # noqa: BLE001 - the last door: a user never sees a traceback
        return _bury(fault)
    return code if isinstance(code, int) else 0


def _bury(fault: Exception) -> int:
    """Keep the traceback in a private file and say where it is."""
    descriptor, path = tempfile.mkstemp(prefix="medpost-fault-", suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        traceback.print_exception(fault, file=out)
    typer.secho(f"✗ 内部错误：{type(fault).__name__}", fg=typer.colors.RED, err=True)
    typer.secho(f"  → 这是程序缺陷，请附上 {path} 报告", err=True)
    return EXIT_FAULT


def main() -> None:
    """Run the command line of this process; always leaves through sys.exit."""
    sys.exit(code_of(lambda: build()(standalone_mode=False)))


if __name__ == "__main__":
    main()
