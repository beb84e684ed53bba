"""What simulated providers received: every call, every message taken, counted per key; kept in one append-only file.

A line is written before the call is answered, so that a simulator killed at any moment has kept what it answered. Used
by the server and its admin routes. The file plays the recipients' phones: it holds what they read.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, structs

TAKEN: Final = "taken"
REPEATED: Final = "repeated"
"""A letter whose key was taken before, by a provider that recognises it: nobody reads it a second time."""
REFUSED: Final = "refused"
_OPENID: Final = re.compile(r"o[0-9A-Za-z_-]{27}")
_LONG_NUMBER: Final = re.compile(r"([0-9]{3})[0-9]+([0-9]{4})")


class Entry(Struct, frozen=True, gc=False):
    """One call, and how it ended: taken, repeated or refused (with `code`); `action` is how it was answered."""

    seq: int
    at: int
    provider: str
    channel: str
    outcome: str
    action: str = "ok"
    code: str = ""
    recipient: str = ""
    key: str = ""
    message_id: str = ""
    title: str = ""
    text: str = ""
    url: str = ""
    segments: int = 0
    template_code: str = ""
    return_path: str = ""
    notify: str = ""


class Journal:
    """An append-only file of JSON lines, one per fact; a torn last line (a power cut) is passed over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            os.write(self._descriptor, b"\n")

    def append(self, kind: str, told: dict[str, Any]) -> None:
        """Write one fact; it outlives this process when this returns."""
        os.write(self._descriptor, json.dumps([kind, told], ensure_ascii=False).encode() + b"\n")

    def facts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Everything written so far."""
        with self._path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    kind, told = json.loads(line)
                except ValueError:
                    continue
                yield kind, told

    def close(self) -> None:
        """Let the file go."""
        os.close(self._descriptor)


class Inbox:
    """Entries in the order of their arrival, with counts."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.calls: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self._taken_keys: Counter[tuple[str, str]] = Counter()
        self._calls_by_key: Counter[tuple[str, str]] = Counter()
        self._codes: Counter[str] = Counter()
        self._next = 1

    @property
    def next_seq(self) -> int:
        """The number of the next entry; numbers are never used twice, not even after a reset."""
        return self._next

    def was_taken(self, provider: str, key: str) -> bool:
        """Whether a letter with this key has been taken."""
        return bool(key) and self._taken_keys[provider, key] > 0

    def add(self, entry: Entry) -> None:
        """One more call."""
        self._next = max(self._next, entry.seq + 1)
        self.entries.append(entry)
        self.calls[entry.provider] += 1
        self._calls_by_key[entry.provider, entry.key] += 1
        if entry.outcome == TAKEN:
            self.taken[entry.provider] += 1
            self._taken_keys[entry.provider, entry.key] += 1
        if entry.code:
            self._codes[f"{entry.provider} {entry.code}"] += 1

    def clear(self) -> None:
        """Forget all entries and counts; the numbering goes on."""
        following = self._next
        self.__init__()  # type: ignore[misc]  # the same empty state as at the start
        self._next = following

    def find(self, wanted: dict[str, str], since_ms: int, after_seq: int, limit: int) -> list[dict[str, Any]]:
        """Entries whose fields equal all of `wanted`, from a moment on, after a number; at most `limit`."""
        found = []
        for entry in self.entries:
            if entry.seq <= after_seq or entry.at < since_ms:
                continue
            if all(str(getattr(entry, name)) == value for name, value in wanted.items()):
                found.append(structs.asdict(entry))
                if len(found) >= limit:
                    break
        return found

    def counts(self) -> dict[str, Any]:
        """Totals, refusals by code, and the keys that were called or taken more than once."""
        return {
            "calls": dict(self.calls),
            "taken": dict(self.taken),
            "codes": dict(self._codes),
            "keys": len(self._calls_by_key),
            "called_again": _repeated(self._calls_by_key),
            "taken_again": _repeated(self._taken_keys),
        }


def _repeated(counted: Counter[tuple[str, str]]) -> dict[str, int]:
    return {f"{provider} {key}": count for (provider, key), count in counted.items() if count > 1 and key}


def masked(recipient: str) -> str:
    """A recipient as it may be shown: the middle of a number, of an openid or of a mail's name is starred."""
    name, at, domain = recipient.partition("@")
    if at:
        return f"{name[:2]}****{name[-2:]}@{domain}"
    if _OPENID.fullmatch(recipient):
        return f"{recipient[:5]}****{recipient[-4:]}"
    return _LONG_NUMBER.sub(r"\1****\2", recipient)


def is_to(recipient: str, wanted: str) -> bool:
    """Whether a recipient ends so; a mail address also before the @."""
    return recipient.endswith(wanted) or recipient.partition("@")[0].endswith(wanted)
