"""The engine's handles: chDB opened once on a folder, and a few connections to it that serve one request each.

Called by the front, always from worker threads (a call blocks, without holding Python's lock). Settings arrive with
every request, so a handle remembers what it has and sends only the difference: each SET is one more engine call.
Never forks after opening: a child of an opened engine hangs.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import chdb
from msgspec import Struct

from infra.local.store import native
from infra.local.store.sql import Kind, Statement, without_format

if TYPE_CHECKING:
    from chdb.state.sqlitelike import StreamingResult, query_result

MEMORY_BYTES: Final = 1_000_000_000
"""Cap of what queries may hold together; the process adds some 300 MB of code and buffers."""

RESULT_BYTES: Final = 512 << 20
"""Largest answer that cannot be streamed."""

_SERVER: Final = {
    "max_server_memory_usage": MEMORY_BYTES,
    "mark_cache_size": 64 << 20,
    "max_thread_pool_size": 128,
    "background_pool_size": 2,
    "background_common_pool_size": 2,
    "background_schedule_pool_size": 4,
    "background_move_pool_size": 1,
    "background_fetches_pool_size": 1,
    "background_buffer_flush_schedule_pool_size": 1,
    "background_message_broker_schedule_pool_size": 1,
    "background_distributed_schedule_pool_size": 1,
}

BASE: Final = {
    # this engine's compiled expressions can give wrong results (ClickHouse issues 121305, 120327, 117614)
    "compile_expressions": "0",
    "max_execution_time": "300",
    "max_memory_usage": str(MEMORY_BYTES * 4 // 5),
    # the library's default overwrites this with the format of a terminal
    "output_format_pretty_color": "0",
}

_CODE: Final = re.compile(r"Code: (\d+)\.")
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_UNKNOWN_SETTING: Final = 115


class EngineError(Exception):
    """What the engine answered instead of a result; the text begins with `Code: n. DB::Exception`."""

    def __init__(self, text: str) -> None:
        found = _CODE.search(text)
        self.code = int(found.group(1)) if found else 1001
        super().__init__(text[found.start() :] if found else f"Code: 1001. DB::Exception: {text}")


class Answer(Struct, frozen=True):
    """A whole result: its bytes and the figures of X-ClickHouse-Summary."""

    body: bytes
    summary: dict[str, str]


def quote(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """A quoted identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


class Handle:
    """One connection to the open engine; serves one request at a time."""

    def __init__(self, path: Path, readonly: int = 0, limits: Mapping[str, int] | None = None) -> None:
        """`readonly` is the engine's setting: 0 all, 1 reads with fixed settings, 2 reads and own settings.

        `limits` are settings laid over `BASE` before `readonly` closes them.
        """
        try:
            self._connection = chdb.connect(connection_string(path))
        except (RuntimeError, chdb.ChdbError) as problem:
            raise EngineError(str(problem)) from problem
        self._readonly = readonly
        self._database = "default"
        self._settings: dict[str, str] = {}
        fixed = {**BASE, **{name: str(value) for name, value in (limits or {}).items()}}
        for name, value in {**fixed, **({"readonly": str(readonly)} if readonly else {})}.items():
            self.query(f"SET {name} = {quote(value)}")

    def close(self) -> None:
        """Gives the connection back; the last one closes the engine."""
        self._connection.close()

    def bind(self, settings: Mapping[str, str], database: str) -> None:
        """Makes the request's settings and database the ones in force; raises EngineError for an unknown one."""
        if self._readonly != 1:
            self._apply(settings)
        if database != self._database:
            self.query(f"USE {quote_name(database)}")
            self._database = database

    def _apply(self, settings: Mapping[str, str]) -> None:
        for name in [name for name in self._settings if name not in settings]:
            self.query(f"SET {name} = {quote(BASE[name]) if name in BASE else 'DEFAULT'}")
            del self._settings[name]
        for name, value in settings.items():
            if self._settings.get(name) != value:
                self._set(name, value)

    def _set(self, name: str, value: str) -> None:
        if not _NAME.fullmatch(name):
            raise EngineError(f"Code: {_UNKNOWN_SETTING}. DB::Exception: {name!r} is no setting. (UNKNOWN_SETTING)")
        self.query(f"SET {name} = {quote(value)}")
        self._settings[name] = value

    def query(self, sql: str, output: str = "TabSeparated", parameters: Mapping[str, str] | None = None) -> Answer:
        """Runs one statement to its end; raises EngineError."""
        try:
            result = self._connection.query(sql, output, params=dict(parameters or {}))
            if result.size() > RESULT_BYTES:
                raise EngineError("Code: 396. DB::Exception: result too large to hold, ask for a streamed format")
            return Answer(result.bytes(), _summary(result))
        except (RuntimeError, chdb.ChdbError) as problem:
            raise EngineError(str(problem)) from problem

    def load(self, statement: Statement, file: Path, parameters: Mapping[str, str]) -> Answer:
        """Inserts the data of a file by a statement of kind LOAD."""
        return self.query(
            f"{statement.text} FROM INFILE {quote(str(file))} {statement.settings} FORMAT {statement.format}",
            parameters=parameters,
        )

    def stream(self, sql: str, output: str, parameters: Mapping[str, str]) -> "Stream":
        """Starts a SELECT whose result is fetched piece by piece."""
        try:
            return Stream(self._connection.send_query(sql, output, params=dict(parameters)))
        except (RuntimeError, chdb.ChdbError) as problem:
            raise EngineError(str(problem)) from problem

    def empty_native(self, statement: Statement, parameters: Mapping[str, str]) -> bytes:
        """The block of column names and types that a server sends for an empty Native result, and this engine not."""
        if statement.kind is not Kind.READ:
            return b""
        described = self.query(
            f"SELECT * FROM ({without_format(statement.text)}) LIMIT 0 FORMAT JSON",  # noqa: S608 - it is SQL already
            "JSON",
            parameters,
        )
        return native.header_block([(column["name"], column["type"]) for column in json.loads(described.body)["meta"]])


class Stream:
    """A running SELECT; must be closed, reading to the end is not enough."""

    def __init__(self, result: "StreamingResult") -> None:
        self._result = result

    def fetch(self) -> bytes:
        """The next non-empty piece; b'' at the end. Raises EngineError when the query fails on its way."""
        try:
            for piece in self._result:
                if taken := piece.bytes():
                    return taken
        except (RuntimeError, chdb.ChdbError) as problem:
            raise EngineError(str(problem)) from problem
        return b""

    def close(self) -> None:
        """Cancels what still runs."""
        self._result.close()


def connection_string(path: Path) -> str:
    """The engine's folder with the server settings it is opened with."""
    return f"{path}?" + "&".join(f"{name}={value}" for name, value in _SERVER.items())


def _summary(result: "query_result") -> dict[str, str]:
    return {
        "read_rows": str(result.rows_read()),
        "read_bytes": str(result.bytes_read()),
        "written_rows": str(result.rows_written()),
        "written_bytes": str(result.bytes_written()),
    }
