"""The probes: request bytes as Kafka reads them, answers judged, silence and strangers are no."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from infra.local import probe
from infra.local.ports import LOOPBACK, any_port


def test_request_is_framed() -> None:
    """The size in front counts what follows; key 3, version 1."""
    request = probe.metadata_request()
    assert struct.unpack_from(">ihhi", request) == (len(request) - 4, 3, 1, 7)


@pytest.mark.parametrize(
    ("answer", "is_ready"),
    [
        (struct.pack(">ii", 7, 1), True),
        (struct.pack(">ii", 7, 0), False),
        (struct.pack(">ii", 8, 1), False),
        (b"\0\0", False),
    ],
)
def test_only_a_listed_broker_is_ready(answer: bytes, is_ready: bool) -> None:
    """No broker in the list, another's correlation or a short answer is not ready."""
    assert probe.names_a_broker(answer) is is_ready


@pytest.fixture(params=[b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\0\0\0\x08\0\0\0\x07\0\0\0\0"])
def stranger(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port where somebody else answers: HTTP, nothing, or a broker list without brokers."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(100)
                link.sendall(request.param)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_stranger_is_no_broker(stranger: int) -> None:
    """Whatever a stranger says, it is not our broker."""
    assert not probe.broker_answers(LOOPBACK, stranger, 0.5)


def test_nobody_is_no_server() -> None:
    """Where nobody listens, nothing answers."""
    assert not probe.broker_answers(LOOPBACK, any_port(), 0.2)
    assert not probe.http_answers(LOOPBACK, any_port(), timeout_s=0.2)
