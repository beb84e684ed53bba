"""Shows rows the way the user asked: a table to read, JSON to parse, JSON lines to pipe.

Called by every listing of the command line. It never decides what a row holds.
"""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

UNBOUNDED: Final = 1_000_000
"""More columns than any table has."""


class Format(StrEnum):
    """How a listing is shown."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


FormatOption = Annotated[Format, typer.Option("--format", help="table 表格 | json | jsonl")]


def show(rows: Sequence[Mapping[str, object]], headings: Mapping[str, str], form: Format) -> None:
    """Print rows. A table has the columns of `headings` (member -> heading); JSON has every member of the rows."""
    if form is Format.TABLE:
        _table(rows, headings)
    elif form is Format.JSON:
        typer.echo(json.dumps(list(rows), ensure_ascii=False, indent=2))
    else:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))


def show_one(row: Mapping[str, object], headings: Mapping[str, str], form: Format) -> None:
    """Print one thing: its members below each other in a table, or one JSON object."""
    if form is Format.TABLE:
        lines = [{"name": heading, "value": row.get(name, "")} for name, heading in headings.items()]
        _table([line for line in lines if _cell(line["value"])], {"name": "", "value": ""}, has_head=False)
    else:
        typer.echo(json.dumps(row, ensure_ascii=False, indent=2 if form is Format.JSON else None))


def say_nothing_found(rows: Sequence[object], form: Format) -> None:
    """Tell a person on stderr that a listing is empty: a bare heading looks like a fault."""
    if not rows and form is Format.TABLE:
        typer.echo("没有符合条件的。", err=True)


def _table(rows: Sequence[Mapping[str, object]], headings: Mapping[str, str], *, has_head: bool = True) -> None:
    table = Table(box=None, show_header=has_head, pad_edge=False, header_style="bold")
    for heading in headings.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name))) for name in headings))
    console = Console()
    if not console.is_terminal:  # nothing is cut or folded in a file or pipe
        console.width = Measurement.get(console, console.options.update_width(UNBOUNDED), table).maximum
    console.print(table)


def _cell(value: object) -> str:
    return "" if value is None else "是" if value is True else "" if value is False else str(value)
