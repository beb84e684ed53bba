"""The files of docs/vendors as the code makes them: golden bytes, keys and partitions, a token.

Used by the test that holds the files against the code. Run as a program it prints the one named, to be put there on
purpose; it never writes.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from infra.tokens import mint
from schemas.codec import MESSAGE
from schemas.partitioner import murmur2, partition_of
from schemas.records import Message

FOLDER: Final = Path(__file__).parents[1] / "docs" / "vendors"
SECRET: Final = "demo-only-his-0123456789-abcdefghijklmnop"
ISSUED_S: Final = 1_790_000_000
COUNTS: Final = (1, 3, 4, 12, 48)
REFERENCES: Final = (
    ("his", "HIS-20260921-000123"),
    ("his", "R-1"),
    ("lis", "LAB-20260921-0001"),
    ("his", "挂号-1"),
    ("booking", ""),
)


def golden() -> Message:
    """The message of golden.json."""
    return msgspec.json.decode((FOLDER / "golden.json").read_bytes(), type=Message)


def lines(text: str, width: int) -> str:
    """The text in lines of that many characters."""
    return "".join(f"{text[at : at + width]}\n" for at in range(0, len(text), width))


def key(raw: bytes, what: str) -> dict[str, Any]:
    """One row of keys.json."""
    signed = int.from_bytes(murmur2(raw).to_bytes(4, "big"), "big", signed=True)
    return {
        "what": what,
        "key": raw.hex(),
        "murmur2": signed,
        "partition_of": {str(count): partition_of(raw, count) for count in COUNTS},
    }


def keys() -> str:
    """keys.json: the SDK's key of references, then raw bytes of every length up to nine."""
    named = [
        key(hashlib.sha256(f"{app}\0{reference}".encode()).digest()[:16], f"SHA-256({app}, 00, {reference})[:16]")
        for app, reference in REFERENCES
    ]
    short = [key(bytes(range(250 - length, 250)), f"{length} bytes") for length in range(1, 10)]
    return json.dumps([*named, *short], ensure_ascii=False, indent=1) + "\n"


def token() -> str:
    """token.json: a token of the demo key, and what it is made of."""
    made = mint("his", "his-1", "HS256", SECRET, ISSUED_S)
    header, claims, _ = (base64.urlsafe_b64decode(part + "==") for part in made.split("."))
    told = {
        "secret": SECRET,
        "header": header.decode(),
        "claims": claims.decode(),
        "token": made,
        "kafka_header": f"authorization: Bearer {made}",
    }
    return json.dumps(told, indent=1) + "\n"


FILES: Final = {
    "golden.hex": lambda: lines(MESSAGE.encode(golden()).hex(), 64),
    "golden.base64": lambda: lines(base64.b64encode(MESSAGE.encode(golden())).decode(), 76),
    "keys.json": keys,
    "token.json": token,
}
"""Name of a file -> its text."""

if __name__ == "__main__":
    sys.stdout.write(FILES[sys.argv[1]]())
