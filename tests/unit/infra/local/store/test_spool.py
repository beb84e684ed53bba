"""Bodies: statements to memory, data to a file, everything bounded, nothing left behind."""

from collections.abc import AsyncIterator
from pathlib import Path

import lz4.frame
import pytest

from infra.local.store import spool
from infra.local.store.guard import RefusedError
from infra.local.store.spool import Spool, unpacked
from infra.local.store.sql import Kind


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """A spool beside the store."""
    monkeypatch.setattr(spool, "_SHARED_MEMORY", tmp_path / "absent")
    return Spool(tmp_path / "data")


async def test_data_of_the_body_go_to_a_file(folder: Spool) -> None:
    """The statement in the URL, the data in the body."""
    statement, file = await folder.take(b"INSERT INTO t FORMAT CSV", _pieces(b"1,", b"2\n"))
    assert statement.kind is Kind.LOAD
    assert file is not None
    assert file.read_bytes() == b"1,2\n"


async def test_statement_in_front_of_its_data(folder: Spool) -> None:
    """Both in the body, cut at any byte."""
    body = b"INSERT INTO t (a) FORMAT Native\n\x00\xff;' SELECT"
    for cut in range(1, len(body)):
        statement, file = await folder.take(b"", _pieces(body[:cut], body[cut:]))
        assert (statement.text, statement.format) == ("INSERT INTO t (a) ", "Native")
        assert file is not None
        assert file.read_bytes() == b"\x00\xff;' SELECT"


async def test_plain_statement_needs_no_file(folder: Spool) -> None:
    """A SELECT over URL and body is one text."""
    statement, file = await folder.take(b"SELECT 1", _pieces(b"+ 1"))
    assert (statement.text, file) == ("SELECT 1\n+ 1", None)


async def test_insert_without_data_is_an_empty_file(folder: Spool) -> None:
    """No rows are rows too."""
    _, file = await folder.take(b"", _pieces(b"INSERT INTO t FORMAT CSV"))
    assert file is not None
    assert file.read_bytes() == b""


async def test_too_long_a_statement_is_refused(folder: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text above its limit is refused before it fills the memory."""
    monkeypatch.setattr(spool, "TEXT_BYTES", 10)
    with pytest.raises(RefusedError, match="TOO_LARGE"):
        await folder.take(b"", _pieces(b"SELECT 1, ", b"2"))


async def test_too_much_data_leaves_nothing(folder: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data above their limit are refused, and their file is gone."""
    monkeypatch.setattr(spool, "DATA_BYTES", 10)
    with pytest.raises(RefusedError, match="TOO_LARGE"):
        await folder.take(b"INSERT INTO t FORMAT CSV", _pieces(b"1" * 6, b"1" * 6))
    assert list(folder.folder.iterdir()) == []


def test_predecessors_leftovers_are_removed(folder: Spool, tmp_path: Path) -> None:
    """What a killed store left is gone when the next one starts."""
    (folder.folder / "left").write_bytes(b"x")
    again = Spool(tmp_path / "data")
    assert again.folder == folder.folder
    assert list(again.folder.iterdir()) == []
    again.close()
    assert not again.folder.exists()


async def test_lz4_is_unpacked_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small body that unpacks to much comes out whole, piece by piece."""
    monkeypatch.setattr(spool, "_PIECE_BYTES", 1000)
    packed = lz4.frame.compress(b"a" * 100_000)
    pieces = [piece async for piece in unpacked(_pieces(packed), "lz4")]
    assert b"".join(pieces) == b"a" * 100_000
    assert max(map(len, pieces)) <= 1000


@pytest.mark.parametrize(("encoding", "body"), [("lz4", b"not lz4 at all"), ("compress", b"x")])
async def test_what_cannot_be_unpacked_is_refused(encoding: str, body: bytes) -> None:
    """A broken frame or an unknown encoding is an answer, not a crash."""
    with pytest.raises(RefusedError):
        _ = [piece async for piece in unpacked(_pieces(body), encoding)]
