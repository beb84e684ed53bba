"""The frame around every command, in Chinese: help pages, and what is said of a wrong call.

Set up by `console.cli.main` before anything is parsed. It changes no command, only the words of the library around it.
"""

from typing import Any

import typer
from rich.text import Text
from typer import rich_utils
from typer.exceptions import TyperException

from console.phrasebook import chinese

_USAGE, _HELP = "Usage: ", "Show this message and exit."
_NO_ARGS = "NoArgsIsHelpError"
"""The library's name for "no arguments were given": its text is the whole help page, which is shown already."""


class _Words(rich_utils.OptionHighlighter):
    """Says the two sentences that the library keeps no constant for."""

    def __call__(self, text: str | Text) -> Text:
        """The text with its options highlighted."""
        if isinstance(text, str):
            text = text.replace(_USAGE, "用法：", 1)
        elif text.plain == _HELP:
            text = Text("显示帮助", style=text.style)
        return super().__call__(text)


def set_up() -> None:
    """Let help pages speak Chinese."""
    rich_utils.highlighter = _Words()
    rich_utils.ARGUMENTS_PANEL_TITLE = "参数"
    rich_utils.OPTIONS_PANEL_TITLE = "选项"
    rich_utils.COMMANDS_PANEL_TITLE = "命令"
    rich_utils.DEFAULT_STRING = "[缺省：{}]"
    rich_utils.REQUIRED_LONG_STRING = "[必填]"


def show(problem: TyperException) -> None:
    """Print what is wrong with the call, how it is called, and where its help is."""
    if type(problem).__name__ == _NO_ARGS:
        return
    context: Any = getattr(problem, "ctx", None)
    typer.secho(f"✗ {chinese(problem.format_message())}", fg=typer.colors.RED, err=True)
    if context is not None:
        typer.secho(f"  {context.get_usage().replace(_USAGE, '用法：', 1)}", err=True)
        typer.secho(f"  → 查看帮助：{context.command_path} --help", err=True)
