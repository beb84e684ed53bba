"""The `medpost` command: gathers the nouns, and turns errors into one clear line and an exit code.

Exit codes: 0 done, 1 the answer is no, 2 wrong use, 3 something it needs is not there. No traceback reaches a
user. Each noun is a module of this package with `register(app)`; it is imported here and nowhere else.
"""

import importlib
import sys
from typing import Final

import click
import typer

from schemas.errors import MedpostError, UnavailableError

NOUNS: Final = ("servers", "sample", "run", "registry", "publish", "messages", "routing", "token")
"""Modules of `console.cli`, in the order of the help text."""

EXIT_NO: Final = 1
EXIT_MISSING: Final = 3


def build() -> typer.Typer:
    """The whole command."""
    app = typer.Typer(
        name="medpost",
        help="医院外发消息平台 · one interface in, every channel out, every message traced.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for noun in NOUNS:
        importlib.import_module(f"console.cli.{noun}").register(app)
    return app


def _show(problem: MedpostError) -> None:
    typer.secho(f"✗ {problem.detail or problem.reason}", fg=typer.colors.RED, err=True)
    remedy = getattr(problem, "remedy", "")
    if remedy:
        typer.secho(f"  → {remedy}", err=True)


def main() -> None:
    """Run the command line of this process; always leaves through sys.exit."""
    try:
        code = build()(standalone_mode=False)
    except UnavailableError as problem:
        _show(problem)
        sys.exit(EXIT_MISSING)
    except MedpostError as problem:
        _show(problem)
        sys.exit(EXIT_NO)
    except click.exceptions.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
