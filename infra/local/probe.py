"""Asks the embedded servers whether they answer, in their own protocols over a plain socket.

Called by the supervisor several times a second while a server starts, by the fixtures and `medpost doctor`; needs no
client library, so the supervisor stays small. Never waits longer than its timeout.
"""

import http.client
import json
import socket
import struct
from typing import Any, Final

_METADATA: Final = 3
_VERSION: Final = 1
_CORRELATION: Final = 7
_LARGEST_ANSWER_BYTES: Final = 1 << 20


def metadata_request() -> bytes:
    """A Kafka Metadata request, version 1, for no topic: size, then header and an empty array."""
    client = b"medpost-probe"
    body = struct.pack(">hhih", _METADATA, _VERSION, _CORRELATION, len(client)) + client + struct.pack(">i", 0)
    return struct.pack(">i", len(body)) + body


def names_a_broker(answer: bytes) -> bool:
    """Whether a Metadata answer (without its size) is ours and lists at least one live broker."""
    if len(answer) < 8:
        return False
    correlation, brokers = struct.unpack_from(">ii", answer)
    return bool(correlation == _CORRELATION and brokers > 0)


def broker_answers(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Whether a Kafka broker there answers a metadata request and counts itself as ready."""
    try:
        with socket.create_connection((host, port), timeout_s) as link:
            link.settimeout(timeout_s)
            link.sendall(metadata_request())
            return names_a_broker(_read_answer(link))
    except (OSError, ValueError):
        return False


def _read_answer(link: socket.socket) -> bytes:
    (size,) = struct.unpack(">i", _read(link, 4))
    if not 0 < size <= _LARGEST_ANSWER_BYTES:
        raise ValueError(f"{size} bytes announced: not a Kafka broker")
    return _read(link, size)


def _read(link: socket.socket, size: int) -> bytes:
    taken = bytearray()
    while len(taken) < size:
        piece = link.recv(size - len(taken))
        if not piece:
            raise ValueError("closed early")
        taken += piece
    return bytes(taken)


def http_answers(host: str, port: int, path: str = "/ping", timeout_s: float = 1.0) -> bool:
    """Whether an HTTP server there answers that path with 200."""
    return (_get(host, port, path, timeout_s) or (0, b""))[0] == http.client.OK


def get_json(host: str, port: int, path: str, timeout_s: float = 1.0) -> dict[str, Any] | None:
    """The JSON object an HTTP server there answers with, whatever the status; None without one."""
    answer = _get(host, port, path, timeout_s)
    try:
        found = json.loads(answer[1]) if answer else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _get(host: str, port: int, path: str, timeout_s: float) -> tuple[int, bytes] | None:
    link = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        link.request("GET", path)
        answer = link.getresponse()
        return answer.status, answer.read(_LARGEST_ANSWER_BYTES)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        link.close()
