"""What the embedded store refuses before the engine sees it, because the library would allow what a server forbids.

The engine in this process acts with our rights: it would write `INTO OUTFILE` on this host, keep a `SET` for the next
client, and let a read-only user read any file by `file('…')` (seen on engine 26.9: readonly=1 stops the table
function, neither the scalar one, nor DESCRIBE of it, nor OUTFILE). Pure; called by the front for every request.
"""

import re
from itertools import pairwise
from typing import Final

from infra.local.store.sql import Kind, Statement, Token, tokens

READING_VERBS: Final = frozenset({"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN"})

_OUTSIDE: Final = (
    r"(?:file|url|s3|gcs|oss|cosn|hdfs|azureblobstorage|deltalake|iceberg|hudi|paimon|remote|cluster|mysql|postgresql"
    r"|sqlite|mongodb|redis|jdbc|odbc|executable|python|filesystem|arrowflight|ytsaurus|prometheus|input"
    r"|catboostevaluate)(?:cluster|secure|allreplicas|s3|azure|local|hdfs|pool|query|queryrange)*"
)
_IS_OUTSIDE: Final = re.compile(_OUTSIDE, re.IGNORECASE | re.ASCII)
_LOOKS_OUTSIDE: Final = re.compile(rf"\b{_OUTSIDE}[`\"\s]*\(", re.IGNORECASE | re.ASCII)


class RefusedError(Exception):
    """A statement that is not run; `code` is the number ClickHouse gives that error."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {text}. ({name})")
        self.code = code


def check(statement: Statement, *, may_write: bool) -> None:
    """Raises RefusedError for what no client, or no read-only client, may run here."""
    found = list(tokens((statement.text + statement.settings).encode("utf-8", "surrogateescape")))
    _check_for_all(statement, found)
    if not may_write:
        _check_for_reader(statement, found)


def _check_for_all(statement: Statement, found: list[Token]) -> None:
    words = [token.text.upper() for token in found if token.kind == "word"]
    if {"OUTFILE", "INFILE"} & set(words) and not _has_inline_values(statement):
        raise RefusedError(48, "NOT_IMPLEMENTED", "INTO OUTFILE and FROM INFILE are for a client's own disk")
    if statement.verb in ("SET", "USE") or words[:2] == ["CREATE", "TEMPORARY"]:
        raise RefusedError(48, "NOT_IMPLEMENTED", "no sessions here: send settings and database with each request")
    if _has_second_statement(found) and not _has_inline_values(statement):
        raise RefusedError(62, "SYNTAX_ERROR", "Multi-statements are not allowed")


def _has_inline_values(statement: Statement) -> bool:
    """An INSERT that carries its rows as text, which may hold any word."""
    return statement.verb == "INSERT" and statement.kind is Kind.OTHER


def _has_second_statement(found: list[Token]) -> bool:
    return any(first.text == ";" != second.text for first, second in pairwise(found) if first.kind == "other")


def _check_for_reader(statement: Statement, found: list[Token]) -> None:
    if statement.verb not in READING_VERBS:
        raise RefusedError(497, "ACCESS_DENIED", f"a read-only user may not run {statement.verb or 'this'}")
    calls = (first for first, second in pairwise(found) if second.text == "(" and first.kind in ("word", "name"))
    if any(_reaches_outside(token) for token in calls) or _LOOKS_OUTSIDE.search(statement.text):
        raise RefusedError(497, "ACCESS_DENIED", "a read-only user may not reach files, hosts or programs")


def _reaches_outside(token: Token) -> bool:
    if token.kind == "name" and "\\" in token.text:
        return True  # an escaped name can spell anything
    return _IS_OUTSIDE.fullmatch(token.text.strip('`"\u00e2\u0080\u009c\u009d')) is not None
