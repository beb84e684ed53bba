"""Takes a request's body in: statement texts into memory, data of an INSERT into a file the engine reads.

Bounded both ways: a text has a limit, data have another, and what is compressed counts unpacked. Called by the front.
Never leaves a file behind: the folder is emptied at start, each file removed after its request.
"""

import shutil
import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from lz4.frame import LZ4FrameDecompressor

from infra.local.store.guard import RefusedError
from infra.local.store.sql import Kind, Statement, find_load, parse

HEAD_BYTES: Final = 1 << 20
"""How much of a body is looked at to find the statement in front of its data."""
TEXT_BYTES: Final = 32 << 20
DATA_BYTES: Final = 512 << 20
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own inside, private to the user
_PIECE_BYTES: Final = 1 << 20


async def unpacked(body: AsyncIterable[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The body's pieces without their Content-Encoding, none above 1 MiB, however well they were packed.

    lz4 is undone here; the others the web server knows have been undone before. Raises RefusedError.
    """
    if encoding not in ("", "identity", "gzip", "deflate", "br", "zstd", "lz4"):
        raise RefusedError(89, "UNKNOWN_COMPRESSION_METHOD", f"Content-Encoding {encoding} is not spoken here")
    packed = LZ4FrameDecompressor() if encoding == "lz4" else None
    async for piece in body:
        if packed is None:
            yield piece
            continue
        try:
            yield packed.decompress(piece, _PIECE_BYTES)
            while not (packed.needs_input or packed.eof):
                yield packed.decompress(b"", _PIECE_BYTES)
        except (RuntimeError, EOFError) as problem:
            raise RefusedError(271, "CANNOT_DECOMPRESS", f"the body is no whole lz4 frame: {problem}") from problem


class Spool:
    """The folder for data files: in shared memory when that is roomy, else beside the store."""

    def __init__(self, store: Path) -> None:
        digest = sha256(str(store.resolve()).encode()).hexdigest()[:12]
        roomy = _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free >= DATA_BYTES
        self.folder = (_SHARED_MEMORY if roomy else store.parent) / f"medpost-store-{digest}"
        shutil.rmtree(self.folder, ignore_errors=True)  # a killed predecessor's
        self.folder.mkdir(mode=0o700, parents=True)

    def close(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    async def take(self, query: bytes, body: AsyncIterator[bytes]) -> tuple[Statement, Path | None]:
        """The statement of a request, and the file with its data when it is an INSERT … FORMAT.

        `query` is the statement from the URL, b"" when the body brings it. Raises RefusedError when too large.
        """
        if query and (asked := parse(query)).kind is Kind.LOAD:
            return asked, await self._keep(query[asked.data_at :], body)
        text = bytearray(query + b"\n" if query else b"")
        async for piece in body:
            text += piece
            if len(text) > TEXT_BYTES:
                raise RefusedError(161, "TOO_LARGE", f"a statement of more than {TEXT_BYTES >> 20} MiB")
            if len(text) <= HEAD_BYTES and (asked_in_body := find_load(bytes(text))):
                return asked_in_body, await self._keep(bytes(text[asked_in_body.data_at :]), body)
        last = parse(bytes(text))
        return last, (await self._keep(bytes(text[last.data_at :]), body) if last.kind is Kind.LOAD else None)

    async def _keep(self, first: bytes, body: AsyncIterator[bytes]) -> Path:
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as file:
            try:
                size = file.write(first)
                async for piece in body:
                    size += file.write(piece)
                    _check_size(size)
            except BaseException:
                self._drop(Path(file.name))
                raise
            return Path(file.name)

    @staticmethod
    def _drop(file: Path) -> None:
        file.unlink(missing_ok=True)


def _check_size(size: int) -> None:
    if size > DATA_BYTES:
        raise RefusedError(161, "TOO_LARGE", f"an insert of more than {DATA_BYTES >> 20} MiB")
