from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from infra import clickhouse
from infra.clickhouse import RefusedRowsError, Store, without_database
from schemas.errors import Reason, UnavailableError

SECRET = "13800001234"


class Client:
    """Fails every call the same way."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault
        self.is_closed = False

    def query(self, *_: Any, **__: Any) -> Any:
        """Fails."""
        raise self.fault

    command = raw_insert = query

    def close(self) -> None:
        """Notes it."""
        self.is_closed = True


def store_failing(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> tuple[Store, Client]:
    """A store whose connection fails so, and that connection."""
    client = Client(fault)
    monkeypatch.setattr(clickhouse_connect, "get_client", lambda **_: client)
    return Store("http://writer:secret@db.example:8123/medpost"), client


@pytest.mark.parametrize(
    ("code", "text"),
    [(117, "Union index out of boundary"), (1001, "type: avro::Exception, EOF reached"), (469, "Constraint violated")],
)
def test_a_fault_of_the_rows_is_told_from_a_fault_of_the_store(
    monkeypatch: pytest.MonkeyPatch, code: int, text: str
) -> None:
    """The reader's complaints are the batch's fault, and only when inserting."""
    store, _ = store_failing(monkeypatch, DatabaseError(f"{text} {SECRET}", code=code))
    with pytest.raises(RefusedRowsError) as caught:
        store.insert_avro("events_in", ["head"], b"")
    assert caught.value.reason is Reason.DECODE_ERROR
    assert SECRET not in str(caught.value)
    with pytest.raises(UnavailableError):
        store.rows("SELECT 1")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (241, "memory limit exceeded"),
        (252, "too many parts"),
        (60, "unknown table"),
        (1001, "No space left on device"),
        (1000, "cannot write"),
    ],
)
def test_a_fault_of_the_store_never_blames_the_rows(monkeypatch: pytest.MonkeyPatch, code: int, text: str) -> None:
    """A full disk must not turn into dead letters."""
    store, _ = store_failing(monkeypatch, DatabaseError(f"{text} {SECRET}", code=code, name="SOME_NAME"))
    with pytest.raises(UnavailableError) as caught:
        store.insert_avro("events_in", ["head"], b"")
    assert f"code {code}" in caught.value.detail
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("fault", [OperationalError("refused"), ConnectionResetError("cut")])
def test_a_lost_connection_is_forgotten(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    """The next call connects again; the text names host and port, never the password."""
    store, client = store_failing(monkeypatch, fault)
    with pytest.raises(UnavailableError) as caught:
        store.command("SELECT 1")
    assert client.is_closed
    assert caught.value.detail == "the store at db.example:8123 does not answer"
    assert caught.value.remedy


def test_a_bug_of_ours_is_not_called_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no failure of the connection goes through as it is."""
    store, _ = store_failing(monkeypatch, TypeError("bug"))
    with pytest.raises(TypeError):
        store.rows("SELECT 1")


@pytest.mark.parametrize(
    ("dsn", "database", "place"),
    [
        ("http://u:p@db.example:8124/trace", "trace", "db.example:8124"),
        ("http://db.example", "default", "db.example:8123"),
    ],
)
def test_a_dsn_names_place_and_database(dsn: str, database: str, place: str) -> None:
    """As ClickHouse's own clients read it."""
    assert (Store(dsn).database, Store(dsn).place) == (database, place)


def test_the_server_without_its_database_keeps_the_account() -> None:
    """Creating a database needs a connection that does not name it."""
    assert without_database("http://u:p@db:8123/trace") == "http://u:p@db:8123/default"


def test_every_connection_turns_the_expression_compiler_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine 26.9 computed wrong values with it."""
    given: dict[str, Any] = {}

    def connect(**options: Any) -> Client:
        given.update(options)
        return Client(OperationalError("gone"))

    monkeypatch.setattr(clickhouse_connect, "get_client", connect)
    with pytest.raises(UnavailableError):
        Store("http://db/trace").rows("SELECT 1")
    assert given["settings"]["compile_expressions"] == 0
    assert clickhouse.INSERT_SETTINGS["async_insert"] == 0


def test_tls_is_spoken_on_any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library itself would send user and password in clear on a port that it does not know as TLS's."""
    asked: dict[str, object] = {}
    monkeypatch.setattr(clickhouse_connect, "get_client", lambda **named: asked.update(named))
    store = Store("https://user:word@ch:9440/medpost?ca_cert=%2Fca.pem")
    store._connected()
    assert asked["interface"] == "https"
    assert (store.database, store.place) == ("medpost", "ch:9440")
    assert Store("https://ch/medpost").place == "ch:8443"
