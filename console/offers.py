"""Offers out of files: HL7 messages and JSON lines, one input after the other, in bounded memory.

Called by `medpost publish` and the sample hospital. A file that cannot be read is one refused offer; nothing that a
file holds stops the others.
"""

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Final

from console.publishing import Offer
from producers import jsonl
from producers.hl7_feed import Reader, Reading
from producers.jsonl import LineReading
from producers.refusals import Refused
from schemas.errors import Reason

CHUNK_BYTES: Final = 262_144
OnBytes = Callable[[int], None]


def files_in(place: Path, patterns: tuple[str, ...] = ()) -> list[Path]:
    """A file itself, or all files below a folder that are not hidden, in order; `patterns` (`*.hl7`) choose."""
    if place.is_file():
        return [place]
    found = (path for path in sorted(place.rglob("*")) if path.is_file() and not _is_hidden(path.relative_to(place)))
    return [path for path in found if not patterns or any(fnmatch(path.name, pattern) for pattern in patterns)]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def from_hl7(reader: Reader, paths: Iterable[Path], base: Path, on_bytes: OnBytes) -> Iterator[Offer]:
    """The offers of HL7 files; a file is named by its path below `base`."""
    for path in paths:
        name = _name(path, base)
        chunks = _chunks(path, on_bytes)
        yield from _guarded(name, (offer for reading in reader.read(chunks) for offer in offers_of(name, reading)))


def offers_of(name: str, reading: Reading) -> Iterator[Offer]:
    """The offers of one HL7 message: its requests, or why there are none."""
    if reading.refused is not None or not reading.mapped:
        yield Offer(name, reading.number, reading.event, problem=reading.refused)
    for index, one in enumerate(reading.mapped):
        yield Offer(
            name, reading.number, reading.event, one.app, one.type, one.request, one.refused, is_first=index == 0
        )


def from_jsonl(lines: Iterable[bytes], name: str, app: str, run_id: str = "") -> Iterator[Offer]:
    """The offers of JSON lines; `app` is for lines that name none."""
    return _guarded(name, (_of_line(name, reading) for reading in jsonl.read(lines, app, run_id)))


def _of_line(name: str, reading: LineReading) -> Offer:
    kind = reading.request.type if reading.request is not None else ""
    return Offer(name, reading.number, "", reading.app_id, kind, reading.request, reading.refused)


def lines_of(path: Path, on_bytes: OnBytes) -> Iterator[bytes]:
    """The lines of a file, as `lines_in`."""
    with path.open("rb") as stream:
        yield from lines_in(stream, on_bytes)


def lines_in(stream: IO[bytes], on_bytes: OnBytes) -> Iterator[bytes]:
    """The lines of a stream; of an endless line only as much as shows that it is too long."""
    while line := stream.readline(jsonl.LINE_BYTES + 2):
        on_bytes(len(line))
        yield line
        while line and not line.endswith(b"\n"):  # the rest of a line that is refused already
            line = stream.readline(jsonl.LINE_BYTES)
            on_bytes(len(line))


def _chunks(path: Path, on_bytes: OnBytes) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            on_bytes(len(chunk))
            yield chunk


def _name(path: Path, base: Path) -> str:
    return str(path.relative_to(base)) if path.is_relative_to(base) and path != base else path.name


def _guarded(name: str, offers: Iterator[Offer]) -> Iterator[Offer]:
    """The offers, and one refused instead of the rest when the file cannot be read."""
    last = 0
    try:
        for offer in offers:
            last = offer.number
            yield offer
    except OSError as problem:
        unreadable = Refused(Reason.DECODE_ERROR, f"cannot be read: {problem.strerror}", "make the file readable")
        yield Offer(name, last + 1, problem=unreadable)
