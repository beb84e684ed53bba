"""Keys of settle's rows: every partition has its prefix, every kind of row its letter.

Made here and nowhere else, so that a prefix scan, a range delete and a put always agree. Numbers are big-endian: the
order of the keys is the order of the numbers.
"""

from typing import Final

from infra.state import up_to

STATE: Final = b"m"
"""message id -> `rows.Row`"""
SEALED: Final = b"b"
"""message id -> the sealed parts, in the order of the state's channels"""
DUE: Final = b"d"
"""due | message id -> nothing"""
WAITING: Final = b"w"
"""channel | app | type | seq -> message id"""
CHECKPOINT: Final = b"o2"
"""-> `checkpoint.Checkpoint`. The digit counts the layouts of all rows: raise it when one of them changes its meaning,
and what an older release left is not found, thrown away and made anew from the log."""


class Keys:
    """The keys of one partition of one lane; `lane` is its rank, 0-255."""

    def __init__(self, lane: int, partition: int) -> None:
        self.prefix: Final = bytes([lane]) + partition.to_bytes(2, "big")
        self.end: Final = up_to(self.prefix)
        self.checkpoint: Final = self.prefix + CHECKPOINT
        self._state = self.prefix + STATE
        self._sealed = self.prefix + SEALED
        self._due = self.prefix + DUE
        self._waiting = self.prefix + WAITING
        self.states: Final = (self._state, up_to(self._state))
        self.dues: Final = (self._due, up_to(self._due))

    def state(self, message_id: bytes) -> bytes:
        """Where a message's state is."""
        return self._state + message_id

    def sealed(self, message_id: bytes) -> bytes:
        """Where its sealed parts are."""
        return self._sealed + message_id

    def due(self, due_ms: int, message_id: bytes = b"") -> bytes:
        """Its entry in the due index; without an id the place before all entries of that moment."""
        return self._due + max(0, due_ms).to_bytes(8, "big") + message_id

    def due_of(self, key: bytes) -> tuple[int, bytes]:
        """Moment and message id of an entry in the due index."""
        at = len(self._due)
        return int.from_bytes(key[at : at + 8], "big"), key[at + 8 :]

    def line(self, channel: str, app_id: str, kind: str) -> bytes:
        """The prefix of the line of one application's messages of one type for one channel; no name holds a NUL."""
        return self._waiting + b"\0".join((channel.encode(), app_id.encode(), kind.encode(), b""))


def seq_of(key: bytes) -> int:
    """The place in the line, from an entry's key."""
    return int.from_bytes(key[-8:], "big")


def seq_bytes(seq: int) -> bytes:
    """A place in the line as the end of an entry's key."""
    return seq.to_bytes(8, "big")
