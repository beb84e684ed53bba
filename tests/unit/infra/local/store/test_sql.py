"""Reading SQL for HTTP: what a statement is, its format, and where its data begin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.store.sql import Kind, find_load, parse, tokens, without_format


@pytest.mark.parametrize(
    ("sql", "kind", "verb", "name"),
    [
        (b"SELECT 1", Kind.READ, "SELECT", ""),
        (b"select 1 format CSV", Kind.READ, "SELECT", "CSV"),
        (b"SELECT 1 FORMAT JSON;", Kind.READ, "SELECT", "JSON"),
        (b"SELECT 1 FORMAT TSV SETTINGS max_threads = 1", Kind.READ, "SELECT", "TSV"),
        (b"SELECT 1 SETTINGS max_threads = 1 FORMAT TSV", Kind.READ, "SELECT", "TSV"),
        (b"SELECT ' FORMAT CSV'", Kind.READ, "SELECT", ""),
        (b"SELECT 1 -- FORMAT CSV", Kind.READ, "SELECT", ""),
        (b"SELECT format('{}', x) FROM t", Kind.READ, "SELECT", ""),
        (b"SELECT a AS format, b FROM t", Kind.READ, "SELECT", ""),
        (b"SELECT * FROM (SELECT 1 FORMAT CSV)", Kind.READ, "SELECT", ""),
        (b"/* x */ WITH 1 AS a SELECT a", Kind.READ, "WITH", ""),
        (b"(SELECT 1) UNION ALL (SELECT 2) FORMAT Native", Kind.READ, "SELECT", "Native"),
        (b"INSERT INTO t VALUES (1)", Kind.OTHER, "INSERT", ""),
        (b"INSERT INTO t FORMAT Values (1)", Kind.OTHER, "INSERT", ""),
        (b"INSERT INTO t SELECT 'FORMAT CSV' FORMAT TSV", Kind.OTHER, "INSERT", ""),
        (b"CREATE TABLE t (a UInt8) ENGINE = Memory", Kind.OTHER, "CREATE", ""),
        (b"SHOW TABLES FORMAT JSON", Kind.OTHER, "SHOW", "JSON"),
        (b"", Kind.OTHER, "", ""),
    ],
)
def test_statement_is_recognised(sql: bytes, kind: Kind, verb: str, name: str) -> None:
    """Kind, first word and trailing format, whatever strings, comments and brackets say."""
    found = parse(sql)
    assert (found.kind, found.verb, found.format) == (kind, verb, name)


@pytest.mark.parametrize(
    ("sql", "text", "settings", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2\n", "INSERT INTO t ", "", b"1,2\n"),
        (b"INSERT INTO t (a, b) FORMAT CSV\r\n1,2", "INSERT INTO t (a, b) ", "", b"1,2"),
        (b'INSERT INTO t FORMAT JSONEachRow {"a":1}', "INSERT INTO t ", "", b'{"a":1}'),
        (b"INSERT INTO t FORMAT TSV;\n1\t2", "INSERT INTO t ", "", b"1\t2"),
        (b"INSERT INTO t SETTINGS a = 1 FORMAT Native\n\x01\x02", "INSERT INTO t ", "SETTINGS a = 1 ", b"\x01\x02"),
        ("INSERT INTO `表` FORMAT Native\n\n\x00".encode(), "INSERT INTO `表` ", "", b"\n\x00"),
        (b"insert into `a format b` format RowBinary\n ' ", "insert into `a format b` ", "", b" ' "),
    ],
)
def test_data_are_cut_off_their_statement(sql: bytes, text: str, settings: str, data: bytes) -> None:
    """The data begin after the format and one line end, and are not looked into."""
    found = parse(sql)
    assert found.kind is Kind.LOAD
    assert (found.text, found.settings, sql[found.data_at :]) == (text, settings, data)


@pytest.mark.parametrize("cut", range(len(b"INSERT INTO t FORMAT Native\n") + 1))
def test_half_a_head_is_not_taken_for_whole(cut: int) -> None:
    """While the head may still grow (`FORMAT Nat`), no statement is found in it."""
    assert find_load(b"INSERT INTO t FORMAT Native\n\x01\x02"[:cut]) is None


def test_whole_head_is_found() -> None:
    """With its data begun the statement is found, the format's name whole."""
    found = find_load(b"INSERT INTO t FORMAT Native\n\x01\x02")
    assert found is not None
    assert found.format == "Native"


@pytest.mark.parametrize("sql", ["SELECT 1 FORMAT Native", "SELECT 1 FORMAT Native;", "SELECT 1;", "SELECT 1"])
def test_format_can_be_taken_off(sql: str) -> None:
    """What is left can stand in brackets."""
    assert without_format(sql) == "SELECT 1"


def test_format_is_taken_off_before_settings() -> None:
    """A SETTINGS clause behind the format stays."""
    assert without_format("SELECT 1 FORMAT CSV SETTINGS a = 1").split() == ["SELECT", "1", "SETTINGS", "a", "=", "1"]


@given(st.binary(max_size=200))
def test_tokens_lie_in_order_and_inside(sql: bytes) -> None:
    """Whatever the bytes, tokens do not overlap, do not leave the text, and no parse raises."""
    at = 0
    for token in tokens(sql):
        assert at <= token.start < token.end <= len(sql)
        at = token.end
    parse(sql)


@pytest.mark.parametrize(
    "quoted", ["'it''s'", r"'it\'s'", "`a``b`", '"a""b"', "$$it's$$", "$x$ it's $$ $x$", "‘it's’", "“it's”"]
)
def test_quotes_end_where_the_engine_ends_them(quoted: str) -> None:
    """Doubled and escaped quotes, heredocs and typographic quotes do not swallow what follows."""
    assert [token.text for token in tokens(f"SELECT {quoted}, file".encode())][-1] == "file"
