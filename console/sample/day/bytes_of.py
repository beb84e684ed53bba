"""Bytes of the sample day: line ends, batches, MLLP frames, JSON lines."""

import json
from collections.abc import Iterator
from typing import Any


def joined(messages: list[list[str]], end: str) -> str:
    """Messages one after the other, each segment with its end."""
    return "".join(segment + end for message in messages for segment in message)


def batch(messages: list[list[str]], app: str, end: str) -> str:
    """A batch file: FHS, BHS, the messages, BTS with their number, FTS."""
    opened = [f"FHS|^~\\&|{app}", f"BHS|^~\\&|{app}"]
    return joined([opened, *messages, [f"BTS|{len(messages)}", "FTS|1"]], end)


def lines(rows: Iterator[dict[str, Any]]) -> bytes:
    """JSON lines in UTF-8."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def mllp(messages: Iterator[list[str]]) -> bytes:
    """Messages in MLLP frames."""
    return b"".join(b"\x0b" + joined([message], "\r").encode() + b"\x1c\r" for message in messages)


def with_repeat(messages: list[list[str]]) -> list[list[str]]:
    """The same messages, the first of them sent again, as senders do that got no answer."""
    return [*messages, messages[0]]
