"""What one HTTP request asks of the store: statement source, settings, parameters, database, user, format.

Pure: a mapping of URL parameters and headers in, a record out. Called by the front. Never reads the body.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from infra.local.store.guard import RefusedError

FULL_USER: Final = "default"
READER: Final = "reader"
"""May read tables and nothing else: no host files, no own settings."""
ANALYST: Final = "analyst"
"""As the reader, within limits of its own, and with a password."""

_TRANSPORT: Final = frozenset(
    {
        "buffer_size", "client_protocol_version", "close_session", "compress", "database", "decompress",
        "default_format", "enable_http_compression", "format", "http_headers_progress_interval_ms",
        "http_zlib_compression_level", "password", "query", "query_id", "quota_key", "role",
        "send_progress_in_http_headers", "session_check", "session_id", "session_timeout", "stacktrace", "user",
        "wait_end_of_query",
    }
)  # fmt: skip
"""URL parameters that are about the request, not settings of the query."""


class Asked(Struct, frozen=True):
    """One request, without its body."""

    query: bytes
    database: str
    user: str
    password: str
    default_format: str
    query_id: str
    settings: dict[str, str]
    parameters: dict[str, str]
    is_whole: bool
    """The client wants nothing before the query has ended well (`wait_end_of_query`)."""


def read_request(url: Mapping[str, str], headers: Mapping[str, str], new_id: str) -> Asked:
    """The request's parts; raises RefusedError for what is not spoken here or a user that does not exist."""
    if url.get("compress", "0") != "0" or url.get("decompress", "0") != "0":
        raise RefusedError(48, "NOT_IMPLEMENTED", "compress=1 and decompress=1 are not spoken here, use HTTP's own")
    basic, password = basic_account(headers.get("Authorization", ""))
    user = headers.get("X-ClickHouse-User") or url.get("user") or basic
    if user not in (FULL_USER, READER, ANALYST):
        raise RefusedError(516, "AUTHENTICATION_FAILED", f"the users here are {FULL_USER}, {READER} and {ANALYST}")
    return Asked(
        query=url.get("query", "").encode("utf-8", "surrogateescape"),
        database=url.get("database") or headers.get("X-ClickHouse-Database") or "default",
        user=user,
        password=headers.get("X-ClickHouse-Key") or url.get("password") or password,
        default_format=url.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
        query_id=url.get("query_id") or new_id,
        settings={name: value for name, value in url.items() if _is_setting(name)},
        parameters={name[6:]: value for name, value in url.items() if name.startswith("param_")},
        is_whole=url.get("wait_end_of_query") == "1",
    )


def basic_account(authorization: str) -> tuple[str, str]:
    """User and password of an HTTP Basic header; the full user without one when there is none."""
    if not authorization.startswith("Basic "):
        return FULL_USER, ""
    try:
        user, _, password = base64.b64decode(authorization[6:], validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise RefusedError(516, "AUTHENTICATION_FAILED", "the Authorization header is not readable") from None
    return user or FULL_USER, password


def _is_setting(name: str) -> bool:
    return name not in _TRANSPORT and not name.startswith("param_")
