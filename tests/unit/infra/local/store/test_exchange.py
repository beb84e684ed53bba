"""Answers: HTTP status by exception code, and exceptions inside a body that has begun."""

import pytest

from infra.local.store.exchange import exception_block, failure, status_of


@pytest.mark.parametrize(
    ("code", "status"), [(60, 404), (81, 404), (62, 400), (497, 403), (48, 501), (202, 503), (241, 500)]
)
def test_status_by_code(code: int, status: int) -> None:
    """Clients tell a missing table from a wrong query from a full server."""
    assert status_of(code) == status


def test_failure_carries_code_and_text() -> None:
    """The text is the body, the code a header, and a full server says when to come back."""
    answer = failure("Code: 202. DB::Exception: full", 202, "q")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "202"
    assert answer.headers["Retry-After"] == "1"
    assert answer.text == "Code: 202. DB::Exception: full\n"


def test_exception_block_is_framed() -> None:
    """Marker, tag, text, its length, tag, marker."""
    block = exception_block("Code: 1", "tag")
    assert block == b"\r\n__exception__\r\ntag\r\nCode: 1\n8 tag\r\n__exception__\r\n"
