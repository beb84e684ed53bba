"""The store's connection: SQL and Avro blocks over ClickHouse's HTTP interface, failures in our words.

The only door to clickhouse_connect. Called by the trace writer, the migrations, the rollup and the named queries.
A store is used by one thread at a time; whoever needs two opens two. Its errors never quote what the server said
beyond the code and its name, because a parser's complaint may hold the data.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error, ProgrammingError

from infra import tls
from schemas.errors import Permanent, Reason, UnavailableError

CONNECT_TIMEOUT_S: Final = 5
ANSWER_TIMEOUT_S: Final = 60

SETTINGS: Final[Mapping[str, Any]] = {
    # Engine 26.9's expression compiler gave wrong results from the fourth run of an expression on (measured).
    "compile_expressions": 0,
    # An event's month never changes, so FINAL needs no merge across months.
    "do_not_merge_across_partitions_select_final": 1,
}
INSERT_SETTINGS: Final[Mapping[str, Any]] = {
    # Older writers lack newer fields.
    "input_format_avro_allow_missing_fields": 1,
    # A batch of late receipts may touch any number of months.
    "max_partitions_per_insert_block": 0,
    # Rows collapse under FINAL and in merges; doing it at insert as well costs a quarter of the insert (`bench` store).
    "optimize_on_insert": 0,
    # Acknowledged means stored, also where a server's profile says otherwise.
    "async_insert": 0,
}

ROW_CODES: Final = frozenset({6, 26, 27, 33, 53, 69, 70, 72, 117, 131, 321, 349, 407, 469})
"""Codes that speak of the rows, not of the store: cannot parse or convert, out of range, unaligned (469).

Source: ErrorCodes.cpp of ClickHouse.
"""
LIBRARY_CODES: Final = frozenset({1000, 1001, 1002})
"""Codes of whatever a library inside the server threw: the Avro reader's complaints, but also a full disk's."""
LOGIN_CODES: Final = frozenset({192, 193, 194, 516})
"""Unknown user, wrong or missing password, authentication failed. Source: as above."""
LOGIN_REMEDY: Final = "check MEDPOST_CLICKHOUSE_USER and MEDPOST_CLICKHOUSE_PASSWORD (or those in MEDPOST_CLICKHOUSE)"
WRITER_REMEDY: Final = "give the platform a user that may write and set settings; analysts have their own"
REMEDY: Final = "see `medpost status`; start the embedded one with `medpost up`, or mend MEDPOST_CLICKHOUSE"


class RefusedRowsError(Permanent):
    """The store is well, but at least one row of the block cannot be read; nothing of the block was kept."""


class Store:
    """One connection. `dsn`: `http://user:password@host:port/database`; connects at first use and again when lost."""

    def __init__(self, dsn: str, answer_timeout_s: int = ANSWER_TIMEOUT_S) -> None:
        self.dsn = dsn
        self._answer_timeout_s = answer_timeout_s
        self._client: Client | None = None

    @property
    def database(self) -> str:
        """The database that the DSN names, `default` when it names none."""
        return urlsplit(self.dsn).path.strip("/") or "default"

    @property
    def place(self) -> str:
        """Host and port, for a line that a person reads; never the password."""
        parts = urlsplit(self.dsn)
        return f"{parts.hostname}:{parts.port or (8443 if parts.scheme == 'https' else 8123)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back; the store may be used again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """The rows of a SELECT by column name. Parameters stand in the SQL as `{name:Type}`.

        Raises UnavailableError when the store cannot be reached or cannot answer.
        """
        with self._translated():
            result = self._connected().query(sql, parameters=parameters or None)
            return list(result.named_results())

    def command(self, sql: str, **parameters: object) -> None:
        """Run one statement that answers nothing. Raises UnavailableError."""
        with self._translated():
            self._connected().command(sql, parameters=parameters or None)

    def insert_avro(self, table: str, columns: Sequence[str], container: bytes) -> None:
        """Insert one Avro object container; returns when the rows are visible.

        Raises RefusedRowsError when the rows are at fault, UnavailableError when the store is.
        """
        with self._translated(rows_may_be_at_fault=True):
            self._connected().raw_insert(table, columns, container, settings=dict(INSERT_SETTINGS), fmt="Avro")

    @contextmanager
    def _translated(self, *, rows_may_be_at_fault: bool = False) -> Iterator[None]:
        """Turns the library's errors into ours, and forgets a connection that failed."""
        try:
            yield
        except (ClickHouseError, OSError) as error:
            code = error.code if isinstance(error, Error) else None
            if rows_may_be_at_fault and _speaks_of_rows(code, str(error)):
                raise RefusedRowsError(Reason.DECODE_ERROR, f"the store cannot read a row (code {code})") from None
            if code is None:
                self.close()
            raise self._away(error, code) from None

    def _away(self, error: BaseException, code: int | None) -> UnavailableError:
        """What a person is told; of certificates and logins, what to set."""
        problem = tls.within(error) if code is None else None
        if problem is not None:
            ca = parse_qs(urlsplit(self.dsn).query).get("ca_cert", [""])[0]
            return tls.explained(problem, self.place, tls.STORE, ca)
        if isinstance(error, ProgrammingError) and "is readonly" in str(error):
            return UnavailableError(f"the store at {self.place} lets this user only read", WRITER_REMEDY)
        remedy = LOGIN_REMEDY if code in LOGIN_CODES else REMEDY
        return UnavailableError(f"the store at {self.place} {_complaint(error, code)}", remedy)

    def _connected(self) -> Client:
        if self._client is None:
            self._client = clickhouse_connect.get_client(
                dsn=self.dsn,
                interface=urlsplit(self.dsn).scheme,  # else TLS is spoken on ports 443 and 8443 only
                compress=False,
                autogenerate_session_id=False,  # a session would serialise a process's connections
                connect_timeout=CONNECT_TIMEOUT_S,
                send_receive_timeout=self._answer_timeout_s,
                query_retries=0,
                client_name="medpost",
                settings=dict(SETTINGS),
            )
        return self._client


def _speaks_of_rows(code: int | None, text: str) -> bool:
    return code in ROW_CODES or (code in LIBRARY_CODES and "avro" in text.lower())


def _complaint(error: BaseException, code: int | None) -> str:
    if code is None:
        return "does not answer"
    name = error.name if isinstance(error, Error) else None
    return f"refuses: {name or 'error'} (code {code})"


def without_database(dsn: str) -> str:
    """The same server without naming a database, for creating it."""
    parts = urlsplit(dsn)
    return urlunsplit((parts.scheme, parts.netloc, "/default", parts.query, parts.fragment))


# What the library would log is raised by us, in words that hold no data.
for _name in ("clickhouse_connect", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)
