"""Ports: the usual one, the next when it is taken, and a clear word when none is left."""

import socket
from collections.abc import Iterator

import pytest

from infra.local import ports
from schemas.errors import UnavailableError


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A listening socket."""
    listener = socket.create_server((ports.LOOPBACK, 0))
    yield listener
    listener.close()


def test_free_port_is_taken_as_it_is() -> None:
    """A free preferred port is the one chosen."""
    port = ports.any_port()
    assert ports.pick_port(port) == port


def test_taken_port_is_passed_over(taken: socket.socket) -> None:
    """A port somebody listens on is not chosen."""
    port = taken.getsockname()[1]
    assert not ports.is_free(port)
    assert ports.pick_port(port) > port


def test_reserved_port_is_passed_over() -> None:
    """A port given to another server of ours is not chosen, though nobody listens yet."""
    port = ports.any_port()
    assert ports.pick_port(port, {port}) > port


def test_ports_in_a_row_are_free_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A taken neighbour, or one that is spoken for, moves both."""
    monkeypatch.setattr(ports, "is_free", lambda port: port != 5_001)
    assert [ports.pick_port(5_000), ports.pick_port(5_000, count=2)] == [5_000, 5_002]
    assert ports.pick_port(6_000, {6_001}, count=3) == 6_002


def test_no_port_left_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """When all are taken the error names the range."""
    monkeypatch.setattr(ports, "is_free", lambda _: False)
    with pytest.raises(UnavailableError, match=r"no free port on 127\.0\.0\.1 from 9092"):
        ports.pick_port(9092)


def test_any_port_is_none_that_a_connection_may_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own range is left alone; where all are taken it is said."""
    assert all(ports.any_port(2) + 1 < 32_768 for _ in range(50))
    monkeypatch.setattr(ports, "is_free", lambda _: False)
    with pytest.raises(UnavailableError, match=r"no free port"):
        ports.any_port()
