"""The analyst's account on the real engine: what it may ask, what not, and the questions of docs/analytics.md."""

import contextlib
import http.client
import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import clickhouse_connect
import pytest

from infra import migrate, rollup
from infra.analyst import LIMITS, TABLES, Account, read_account, statements
from infra.clickhouse import Store
from infra.local import processes, store_site
from infra.local.ports import any_port
from schemas.codec import EVENT
from schemas.errors import UnavailableError
from sinks.ingest import Ingest
from tests import trace_truth

DOCS = (Path(__file__).parents[2] / "docs" / "analytics.md").read_text("utf-8")
QUESTIONS = re.findall(r"```sql\n(.*?)\n```", DOCS, re.DOTALL)
SHAPES = [
    ["accepted_day", "messages", "share"],
    ["app_id", "lane", "messages"],
    ["type", "messages", "ms"],
    ["reason", "status", "messages"],
    ["provider", "provider_code", "answers"],
    ["type", "share"],
    ["hour", "messages"],
    ["patients", "middle", "most"],
    ["at", "stage", "channel", "attempt", "status", "reason", "provider"],
    ["month", "messages", "p95_ms"],
]
OFTEN = 5
"""An expression compiler that errs does so from the fourth run on."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[store_site.StoreSite]:
    """A store of its own with a made-up history in the database `medpost`."""
    made = store_site.StoreSite(tmp_path_factory.mktemp("analyst") / "store", any_port())
    running = store_site.start(made, os.environ, ends_with_parent=True)
    with Store(f"{made.url}/medpost") as store:
        migrate.apply(store)
        history = [EVENT.encode(event) for event in trace_truth.history(300)]
        assert Ingest(store, partial(rollup.mark, store)).write(history) == []
        rollup.rebuild(store, "test")
    yield made
    processes.stop([running], store_site.STOP_GRACE_S)


@pytest.fixture
def account(site: store_site.StoreSite) -> Account:
    """What the store made at its start."""
    return read_account(site.analyst)


def ask(site: store_site.StoreSite, account: Account, sql: str, query: str = "") -> tuple[int, str]:
    """Status and text of one request over plain HTTP."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=90)) as link:
        token = b64encode(f"{account.user}:{account.password}".encode()).decode()
        link.request("POST", f"/?database=medpost&{query}", sql.encode(), {"Authorization": f"Basic {token}"})
        answer = link.getresponse()
        try:
            return answer.status, answer.read().decode("utf-8", "replace")
        except http.client.IncompleteRead as broken:  # an error after the first bytes ends the answer in the middle
            return answer.status, broken.partial.decode("utf-8", "replace")


def test_the_account_is_made_at_start_and_is_private(site: store_site.StoreSite, account: Account) -> None:
    """Only its owner reads the file; without the right password nothing is answered."""
    assert site.analyst.stat().st_mode & 0o777 == 0o600
    assert ask(site, account, "SELECT 1") == (200, "1\n")
    for wrong in ("", "guess", account.password[:-1]):
        status, text = ask(site, Account("analyst", wrong), "SELECT 1")
        assert (status, "AUTHENTICATION_FAILED" in text) == (403, True)


@pytest.mark.parametrize(("sql", "names"), list(zip(QUESTIONS, SHAPES, strict=True)))
def test_every_question_of_the_page_is_answered(
    site: store_site.StoreSite, account: Account, sql: str, names: list[str]
) -> None:
    """With its columns and some rows, the same at every run."""
    answers = {ask(site, account, f"{sql} FORMAT JSONCompact") for _ in range(OFTEN)}
    shapes = []
    for status, text in answers:
        assert status == 200, text
        found = json.loads(text)
        assert [column["name"] for column in found["meta"]] == names
        assert found["data"]
        shapes.append(found["data"])
    assert all(shape == shapes[0] for shape in shapes)


def test_every_column_of_the_page_is_there_and_the_page_has_every_column(site: store_site.StoreSite) -> None:
    """A column that a migration adds is told, or this fails."""
    with Store(f"{site.url}/medpost") as store:
        for name in ("message_facts", "events", "rollup_day"):
            part = DOCS.split(f"\n## {name}:")[1].split("\n## ")[0]
            told = re.findall(r"^\| (\w+) \| ", part, re.MULTILINE)[1:]
            rows = store.rows(
                "SELECT name FROM system.columns WHERE database = 'medpost' AND table = {name:String}", name=name
            )
            assert sorted(told) == sorted(row["name"] for row in rows)


def test_the_sql_for_a_server_is_understood_and_names_what_there_is(
    site: store_site.StoreSite, account: Account
) -> None:
    """By the parser of the same engine, which has no place to keep users: no server was asked."""
    with Store(f"{site.url}/medpost") as store:
        said = [
            store.rows("SELECT formatQuerySingleLine({query:String}) AS said", query=one)[0]["said"].replace("`", "")
            for one in statements(account, "medpost")
        ]
        assert said == statements(account, "medpost")
        with pytest.raises(UnavailableError, match="SYNTAX_ERROR"):
            store.rows(
                "SELECT formatQuerySingleLine({query:String})", query="CREATE USER a IDENTIFIED WITH nonsense BY 'x'"
            )
        known = store.rows(
            "SELECT name FROM system.settings WHERE has({names:Array(String)}, name)", names=["readonly", *LIMITS]
        )
        assert {row["name"] for row in known} == {"readonly", *LIMITS}
        tables = store.rows("SELECT name FROM system.tables WHERE database = 'medpost'")
        assert set(TABLES) <= {row["name"] for row in tables}


REFUSED = [
    "SELECT file('/etc/passwd')",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM `/etc/passwd`",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM url('http://127.0.0.1/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1/x', 'CSV')",
    "SELECT * FROM remote('127.0.0.1', 'system', 'one')",
    "SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM Python(reader)",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "INSERT INTO events_in (stage) VALUES ('x')",
    "CREATE TABLE medpost.mine (a UInt8) ENGINE = Memory",
    "ALTER TABLE events DELETE WHERE 1",
    "DROP TABLE events",
    "TRUNCATE TABLE message_facts",
    "SYSTEM STOP MERGES",
    "KILL QUERY WHERE 1",
    "SET max_execution_time = 1000",
    "SELECT 1 SETTINGS max_execution_time = 1000",
    "SELECT 1 SETTINGS readonly = 0",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_not_a_question_is_refused(site: store_site.StoreSite, account: Account, sql: str) -> None:
    """Files, hosts, programs, writing, settings: refused, and nothing of the host is shown."""
    status, text = ask(site, account, sql)
    assert status != 200, text
    assert "root:" not in text


def test_the_limits_act_whatever_the_request_says(site: store_site.StoreSite, account: Account) -> None:
    """Rows, memory and settings; time is the engine's own and shown with a shorter one elsewhere."""
    for own in ("", "max_result_rows=0&max_memory_usage=0&max_execution_time=0&readonly=0"):
        assert "TOO_MANY_ROWS" in ask(site, account, "SELECT number FROM numbers(2000000)", own)[1]
        assert "MEMORY_LIMIT" in ask(site, account, "SELECT groupArray(number) FROM numbers(500000000)", own)[1]
        settings = "SELECT getSetting('max_execution_time'), getSetting('readonly'), getSetting('max_threads')"
        assert ask(site, account, settings, own) == (200, "60\t1\t1\n")


def test_a_usual_client_works_and_the_platform_is_as_before(site: store_site.StoreSite, account: Account) -> None:
    """clickhouse-connect as the analyst; the platform's own user writes and sets as ever, and is not the analyst."""
    with clickhouse_connect.get_client(
        host="127.0.0.1", port=site.port, username=account.user, password=account.password, database="medpost"
    ) as client:
        assert client.query("SELECT count() FROM message_facts FINAL").result_rows[0][0] > 0
    with Store(f"http://{account.user}:{account.password}@127.0.0.1:{site.port}/medpost") as store:
        with pytest.raises(UnavailableError, match="lets this user only read") as refused:
            store.rows("SELECT 1")
        assert "may write" in refused.value.remedy
    with Store(f"{site.url}/medpost") as store:
        store.command("CREATE TABLE own (a UInt64) ENGINE = Memory")
        store.command("INSERT INTO own SELECT number FROM numbers(1500000)")
        assert len(store.rows("SELECT a FROM own WHERE a < 1100000")) == 1_100_000
        store.command("DROP TABLE own")
