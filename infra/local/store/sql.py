"""Reads just enough SQL to serve it over HTTP: the kind of a statement, its FORMAT, where its data begin.

Pure: bytes in, positions out; strings, quoted names, heredocs and comments are skipped as the engine's lexer skips
them. Called by the front for every request. Never judges whether a statement is valid: the engine does.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from msgspec import Struct

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?(?:\*/|\Z))
      |(?P<string>'(?:[^'\\]|\\.|'')*(?:'|\Z)|\xe2\x80\x98.*?(?:\xe2\x80\x99|\Z)|(?P<tag>\$\w*\$).*?(?:(?P=tag)|\Z))
      |(?P<name>`(?:[^`\\]|\\.|``)*(?:`|\Z)|"(?:[^"\\]|\\.|"")*(?:"|\Z)|\xe2\x80\x9c.*?(?:\xe2\x80\x9d|\Z))
      |(?P<word>[A-Za-z_]\w*)
      |(?P<other>\d\w*|.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
"""Every byte belongs to exactly one token; what is opened and never closed reaches to the end."""


class Token(Struct, frozen=True):
    """One word, string, quoted name or sign, with its byte positions and how many brackets are open around it."""

    kind: str
    text: str
    start: int
    end: int
    depth: int

    @property
    def keyword(self) -> str:
        """The word in capitals when it stands outside all brackets, else ''."""
        return self.text.upper() if self.kind == "word" and self.depth == 0 else ""


class Kind(StrEnum):
    """What the front does with a statement."""

    READ = "read"
    """SELECT, WITH, FROM or a bracketed one: may be streamed."""
    LOAD = "load"
    """INSERT … FORMAT x: the data follow the statement."""
    OTHER = "other"
    """Everything else, INSERT … VALUES and INSERT … SELECT among them: handed to the engine as it is."""


class Statement(Struct, frozen=True):
    """One statement: its text without data, kind, first word in capitals, and format ('' when it names none)."""

    text: str
    kind: Kind
    verb: str
    format: str = ""
    settings: str = ""
    """LOAD: its SETTINGS clause, which `text` does not hold then; neither does `text` hold the FORMAT."""
    data_at: int = -1
    """LOAD: where in the bytes the data begin; -1 for every other kind."""


def tokens(sql: bytes) -> Iterator[Token]:
    """The tokens of a text, without blanks and comments; positions count bytes."""
    depth = 0
    for found in _TOKEN.finditer(sql.decode("latin-1")):  # one character per byte
        kind = found.lastgroup or "other"
        if kind == "space":
            continue
        text = found.group()
        depth -= text in (")", "]")
        yield Token("string" if kind == "tag" else kind, text, found.start(), found.end(), depth)
        depth += text in ("(", "[")


def parse(sql: bytes) -> Statement:
    """What this text is; of an INSERT … FORMAT only the head needs to be there."""
    stream = tokens(sql)
    first = next((token for token in stream if token.text != "("), None)
    verb = first.text.upper() if first is not None and first.kind == "word" else ""
    if verb == "INSERT":
        return _insert(sql, stream)
    kind = Kind.READ if verb in ("SELECT", "WITH", "FROM") else Kind.OTHER
    return Statement(_text(sql), kind, verb, _trailing_format(sql)[0])


def find_load(head: bytes) -> Statement | None:
    """The INSERT … FORMAT that a body begins with, once its data have begun too; None while (or if) it does not."""
    stream = tokens(head)
    first = next(stream, None)
    if first is None or first.keyword != "INSERT":
        return None
    found = _insert(head, stream)
    # two bytes more than the statement: its format's name and its line end are whole then
    return found if found.kind is Kind.LOAD and len(head) >= found.data_at + 2 else None


def without_format(sql: str) -> str:
    """The statement without its trailing FORMAT and `;`, so that it can stand in brackets."""
    raw = sql.encode("utf-8", "surrogateescape")
    name, start, end = _trailing_format(raw)
    return (_text(raw[:start] + raw[end:]) if name else sql).rstrip("; \t\r\n")


def _text(sql: bytes) -> str:
    return sql.decode("utf-8", "surrogateescape")


def _insert(sql: bytes, stream: Iterator[Token]) -> Statement:
    settings_at = -1
    for token in stream:
        word = token.keyword
        if word in ("SELECT", "WITH", "VALUES", "WATCH"):
            break
        if word == "SETTINGS":
            settings_at = token.start
        if word == "FORMAT":
            return _load(sql, token, next(stream, None), settings_at)
    return Statement(_text(sql), Kind.OTHER, "INSERT")


def _load(sql: bytes, word: Token, name: Token | None, settings_at: int) -> Statement:
    if name is None or name.kind != "word" or name.text.upper() == "VALUES":
        return Statement(_text(sql), Kind.OTHER, "INSERT")
    cut = word.start if settings_at < 0 else settings_at
    text, settings = _text(sql[:cut]), _text(sql[cut : word.start])
    return Statement(text, Kind.LOAD, "INSERT", name.text, settings, _data_start(sql, name.end))


def _data_start(sql: bytes, at: int) -> int:
    """As the engine finds it: after the format's name an optional `;`, blanks, and one line end."""
    blanks = re.compile(rb"[ \t\f]*;?[ \t\f]*(?:\r?\n)?").match(sql, at)
    return blanks.end() if blanks else at


def _trailing_format(sql: bytes) -> tuple[str, int, int]:
    """Name and extent of the last top-level `FORMAT name` when only SETTINGS or `;` follows; else ('', 0, 0)."""
    found = ("", 0, 0)
    start = -1
    for token in tokens(sql):
        if start >= 0 and token.kind == "word":
            found = (token.text, start, token.end)
        elif found[0] and token.keyword == "SETTINGS":
            return found
        elif token.text != ";":
            found = ("", 0, 0)
        start = token.start if token.keyword == "FORMAT" and not found[0] else -1
    return found
