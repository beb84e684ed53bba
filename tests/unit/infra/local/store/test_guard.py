"""What the store refuses: files of the host, foreign hosts, sessions, second statements."""

import pytest

from infra.local.store.guard import RefusedError, check
from infra.local.store.sql import parse

REACHING_OUT = [
    "SELECT file('/etc/passwd')",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT FILE ('/etc/passwd')",
    "SELECT `file`('/etc/passwd')",
    "SELECT \"file\"('/etc/passwd')",
    r"SELECT `fi\x6ce`('/etc/passwd')",
    "SELECT file/**/('/etc/passwd')",
    "DESCRIBE file('/etc/passwd', 'LineAsString')",
    "EXPLAIN SELECT * FROM url('http://127.0.0.1/', 'LineAsString')",
    "SELECT * FROM s3Cluster('c', 'http://x')",
    "SELECT * FROM remoteSecure('127.0.0.1', 'system', 'one')",
    "SELECT * FROM clusterAllReplicas('c', 'system', 'one')",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM Python(reader)",
    "SELECT $$'$$, file('/etc/passwd')",
    "SELECT ‘'’, file('/etc/passwd')",
    "SELECT '\\'', file('/etc/passwd') -- '",
]


@pytest.mark.parametrize("sql", REACHING_OUT)
def test_reader_reaches_nothing_outside(sql: str) -> None:
    """However it is written, a read-only user's call of a file, host or program is refused."""
    with pytest.raises(RefusedError) as caught:
        check(parse(sql.encode()), may_write=False)
    assert caught.value.code == 497


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t FORMAT CSV\n1",
        "DROP TABLE t",
        "KILL QUERY WHERE 1",
        "SYSTEM STOP MERGES",
        "",
    ],
)
def test_reader_only_reads(sql: str) -> None:
    """A read-only user may not write, drop or kill."""
    with pytest.raises(RefusedError, match="ACCESS_DENIED"):
        check(parse(sql.encode()), may_write=False)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM events FINAL WHERE app_id = 'his'",
        "WITH profile AS (SELECT 1) SELECT * FROM profile",
        "SELECT quantile(0.5)(latency_ms), url FROM t",
        "SHOW TABLES",
        "DESCRIBE TABLE t",
        "EXPLAIN SELECT 1",
        "SELECT * FROM volume_by_month(d1 = '2026-01-01', d2 = '2026-06-30')",
    ],
)
def test_reader_reads_tables(sql: str) -> None:
    """Ordinary questions pass."""
    check(parse(sql.encode()), may_write=False)


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT 1 INTO OUTFILE '/tmp/x'", 48),
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", 48),
        ("SET max_threads = 1", 48),
        ("USE other", 48),
        ("CREATE TEMPORARY TABLE t (a UInt8)", 48),
        ("SELECT 1; DROP TABLE t", 62),
    ],
)
def test_nobody_writes_host_files_or_keeps_a_session(sql: str, code: int) -> None:
    """Full users neither: a server would refuse it, or it would leak into the next request."""
    with pytest.raises(RefusedError) as caught:
        check(parse(sql.encode()), may_write=True)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1;",
        "SELECT ';', 'INTO OUTFILE'",
        "INSERT INTO t VALUES (1, 'a; b')",
        "SELECT file('x')",
        "DROP TABLE t;",
    ],
)
def test_full_user_may(sql: str) -> None:
    """A closing semicolon, semicolons in strings, and the owner's own files pass."""
    check(parse(sql.encode()), may_write=True)
