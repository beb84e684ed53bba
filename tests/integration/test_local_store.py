"""The embedded store, for real: clickhouse-connect sync and async, plain HTTP, errors, kill -9, and what it refuses."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, Error, StreamFailureError

from infra.local import processes, store_site
from infra.local.ports import any_port


@pytest.fixture
def database(clickhouse: str) -> Iterator[str]:
    """A URL with a fresh database that holds one table `t (a UInt64, s String)`."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    with clickhouse_connect.get_client(dsn=f"{clickhouse}/default") as client:
        client.command(f"CREATE DATABASE {name}")
        client.command(f"CREATE TABLE {name}.t (a UInt64, s LowCardinality(String)) ENGINE = MergeTree ORDER BY a")
        yield f"{clickhouse}/{name}"
        client.command(f"DROP DATABASE {name}")


def _ask(url: str, body: bytes = b"", query: str = "", method: str = "POST") -> tuple[int, dict[str, str], bytes]:
    """One plain HTTP request, as curl makes it."""
    parts = urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as link:
        link.request(method, f"/?database={parts.path[1:]}&{query}", body or None)
        answer = link.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_insert_and_select(database: str, compress: bool | str) -> None:
    """Rows go in and come out equal, whatever packs them; parameters and settings arrive."""
    rows = [(number, f"第{number}号") for number in range(2000)]
    with clickhouse_connect.get_client(dsn=database, compress=compress) as client:
        assert client.insert("t", rows, column_names=["a", "s"]).written_rows == 2000
        found = client.query(
            "SELECT a, s FROM t WHERE a >= {low:UInt64} ORDER BY a", parameters={"low": 10}, settings={"max_threads": 1}
        )
        assert found.result_rows == rows[10:]


def test_empty_result_has_columns(database: str) -> None:
    """No rows, but names and types, as from a server."""
    with clickhouse_connect.get_client(dsn=database) as client:
        found = client.query("SELECT a, s AS `名` FROM t WHERE a = 7")
    assert found.column_names == ("a", "名")
    assert [kind.name for kind in found.column_types] == ["UInt64", "LowCardinality(String)"]


async def test_async_client(database: str) -> None:
    """The async client inserts and asks, more at a time than there are handles."""
    async with await clickhouse_connect.get_async_client(dsn=database) as client:
        await client.insert("t", [(1, "a"), (2, "b")], column_names=["a", "s"])
        answers = await asyncio.gather(*(client.command(f"SELECT {n} + sleep(0.01)") for n in range(20)))
        assert answers == list(range(20))
        assert (await client.query("SELECT sum(a) FROM t")).result_rows == [(3,)]


def test_stream_is_whole(database: str) -> None:
    """A large result comes in blocks and completely."""
    with (
        clickhouse_connect.get_client(dsn=database) as client,
        client.query_row_block_stream("SELECT number FROM numbers(1000000)") as stream,
    ):
        assert sum(len(block) for block in stream) == 1_000_000


def test_abandoned_streams_free_their_handles(database: str) -> None:
    """Clients that walk away do not use the handles up."""
    for _ in range(8):
        with clickhouse_connect.get_client(dsn=database) as client:
            with client.query_row_block_stream("SELECT number FROM numbers(20000000)") as stream:
                next(iter(stream))
            assert client.command("SELECT 5") == 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_failure_midway_is_a_failure(database: str) -> None:
    """An error after the first block raises at the client, and does not look like the end."""
    with (
        clickhouse_connect.get_client(dsn=database) as client,
        pytest.raises(StreamFailureError, match="throwIf"),
        client.query_row_block_stream("SELECT throwIf(number = 1900000), number FROM numbers(2000000)") as stream,
    ):
        _ = [len(block) for block in stream]


@pytest.mark.parametrize(
    ("sql", "code"),
    [("SELECT * FROM nowhere", 60), ("SELECT nothing", 47), ("SELEC 1", 62), ("SELECT 1 SETTINGS nosuch = 1", 115)],
)
def test_error_codes_arrive(database: str, sql: str, code: int) -> None:
    """The client's exception names the engine's code, and so does the header."""
    with clickhouse_connect.get_client(dsn=database) as client, pytest.raises(DatabaseError, match=f"code: {code}"):
        client.query(sql)
    status, headers, body = _ask(database, sql.encode())
    assert status in (400, 404)
    assert headers["X-ClickHouse-Exception-Code"] == str(code)
    assert body.startswith(f"Code: {code}. DB::Exception".encode())


def test_unknown_database_is_404(clickhouse: str) -> None:
    """A database that was never made is refused by its code."""
    status, headers, _ = _ask(f"{clickhouse}/nowhere", b"SELECT 1")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (404, "81")


def test_curl_inserts_and_reads(database: str) -> None:
    """With curl itself: CSV in the body, statement in the URL, JSON back, with summary."""
    where = database.replace("/t_", "/?database=t_")
    subprocess.run(
        ["curl", "-sSf", f"{where}&query=INSERT%20INTO%20t%20FORMAT%20CSV", "--data-binary", '1,"x"\n2,"y;z"\n'],
        check=True,
        timeout=60,
    )
    shown = subprocess.run(
        ["curl", "-sSf", where, "--data-binary", "SELECT a, s FROM t ORDER BY a FORMAT JSONCompact"],
        check=True,
        timeout=60,
        capture_output=True,
    )
    assert json.loads(shown.stdout)["data"] == [[1, "x"], [2, "y;z"]]


def test_bad_row_lands_nothing(database: str) -> None:
    """One unreadable row refuses its whole insert."""
    status, _, _ = _ask(database, b"1,a\nx,b\n", "query=INSERT+INTO+t+FORMAT+CSV")
    assert status == 400
    assert _ask(database, b"SELECT count() FROM t")[2] == b"0\n"


def test_settings_do_not_leak_to_the_next(database: str) -> None:
    """What one request sets, the next on the same handles does not have."""
    for _ in range(12):
        _ask(database, b"SELECT 1", "max_block_size=77")
    values = {_ask(database, b"SELECT getSetting('max_block_size')")[2] for _ in range(12)}
    assert values == {b"65409\n"}
    assert _ask(database, b"SELECT getSetting('compile_expressions')", "compile_expressions=1")[2] == b"true\n"
    assert _ask(database, b"SELECT getSetting('compile_expressions')")[2] == b"false\n"


def test_get_never_writes(database: str) -> None:
    """A link that somebody follows cannot change data."""
    status, _, _ = _ask(database, query="query=INSERT+INTO+t+VALUES+(1,'a')", method="GET")
    assert status >= 400
    assert _ask(database, query="query=SELECT+count()+FROM+t", method="GET")[2] == b"0\n"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT file('/etc/passwd')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "DESCRIBE file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT 1 INTO OUTFILE '/tmp/medpost-must-not-exist'",
        "INSERT INTO t VALUES (1, 'a')",
        "CREATE TABLE x (a UInt8) ENGINE = File(CSV, '/etc/passwd')",
    ],
)
def test_reader_reads_tables_and_nothing_else(database: str, sql: str) -> None:
    """The read-only user sees rows, and neither files of the host nor a way to change anything."""
    url = database.replace("://", "://reader:x@")
    with clickhouse_connect.get_client(dsn=url) as client:
        assert client.query("SELECT count() FROM t").result_rows == [(0,)]
        with pytest.raises(Error):
            client.command(sql)
    assert b"root:" not in _ask(database, sql.encode(), "user=reader")[2]
    assert not Path("/tmp/medpost-must-not-exist").exists()  # noqa: S108 - that is what is tested


def test_memory_hog_is_refused_and_the_store_lives(database: str) -> None:
    """A query above the memory bound fails with its code; the next one is answered."""
    status, headers, _ = _ask(database, b"SELECT length(groupArray(toString(number))) FROM numbers(100000000)")
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "241")
    assert _ask(database, b"SELECT 1")[2] == b"1\n"


def test_time_limit_is_kept(database: str) -> None:
    """A query that would run for minutes ends at its limit."""
    status, headers, _ = _ask(
        database, b"SELECT sum(sipHash64(number)) FROM numbers(100000000000)", "max_execution_time=1"
    )
    assert (status, headers["X-ClickHouse-Exception-Code"]) == (500, "159")


def test_acknowledged_rows_survive_kill(tmp_path: Path) -> None:
    """After kill -9 the store starts on its folder and holds every acknowledged insert."""
    site = store_site.StoreSite(tmp_path / "store", any_port())
    first = store_site.start(site, os.environ, ends_with_parent=True)
    url = f"{site.url}/default"
    assert _ask(url, b"CREATE TABLE k (a UInt64) ENGINE = MergeTree ORDER BY a")[0] == 200
    for _ in range(5):
        assert _ask(url, b"INSERT INTO k SELECT number FROM numbers(1000)")[0] == 200
    processes.send(first, signal.SIGKILL)
    processes.stop([first], 5)

    second = store_site.start(site, os.environ, ends_with_parent=True)
    assert _ask(url, b"SELECT count() FROM k")[2] == b"5000\n"
    assert processes.stop([second], store_site.STOP_GRACE_S) == []


def test_second_store_on_the_folder_is_refused(tmp_path: Path) -> None:
    """A folder in use is one clear line with the owner's pid, and exit code 3."""
    site = store_site.StoreSite(tmp_path / "store", any_port())
    first = store_site.start(site, os.environ, ends_with_parent=True)
    other = store_site.StoreSite(site.folder, any_port())
    refused = subprocess.run(other.command, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 3
    assert f"PID: {first.pid}" in refused.stderr
    assert "Traceback" not in refused.stderr
    processes.stop([first], store_site.STOP_GRACE_S)
