"""The receipts role as a process: the listener for bounces, and how one receipt is published."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.codec import REQUEST
from schemas.errors import UnavailableError
from schemas.records import Request
from sinks import receipt_role
from sinks.receipt_role import _opened, _teller
from sinks.receipts import FOUND

ASKED = Request(request_id=b"r" * 16, kind="receipt", channel="email", provider="smtp", status="failed")


class Broker:
    """Stands for publisher and batch: keeps what it acknowledges."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.sent: list[tuple[str, bytes | None, bytes | None]] = []
        self._is_away = is_away

    def batch(self) -> "Broker":
        """Itself."""
        return self

    def send(self, topic: str, value: bytes | None, key: bytes | None = None) -> None:
        """One record on its way."""
        self.sent.append((topic, value, key))

    async def wait(self) -> Sequence[str]:
        """What was not acknowledged."""
        return ["silence"] if self._is_away else []


async def test_a_receipt_counts_once_the_broker_has_it() -> None:
    """Under its own id, so that the same one twice lies beside itself."""
    before = FOUND.labels("email", "smtp", "failed")._value.get()
    broker: Any = Broker()
    assert await _teller(broker, "ns.requests")(ASKED)
    assert broker.sent == [("ns.requests", REQUEST.encode(ASKED), ASKED.request_id)]
    away: Any = Broker(is_away=True)
    assert not await _teller(away, "ns.requests")(ASKED)
    assert FOUND.labels("email", "smtp", "failed")._value.get() == before + 1


class Door:
    """Stands for the bounces: its port is somebody else's."""

    async def open(self, _port: int) -> object:
        """As the operating system says it."""
        raise OSError(98, "Address already in use")


async def test_bounces_are_taken_where_a_port_is_set() -> None:
    """Without one nobody listens; one that is taken is named with its setting."""
    door: Any = Door()
    assert await _opened(door, 0) is None
    with pytest.raises(UnavailableError, match="port 2526") as raised:
        await _opened(door, 2526)
    assert "MEDPOST_BOUNCES_PORT" in raised.value.remedy


def test_a_return_path_without_a_listener_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the registry first has one; not while it has none."""
    said: list[str] = []
    monkeypatch.setattr(receipt_role.log, "warning", lambda text, **_: said.append(text))
    for expected in (False, True):
        bounces: Any = SimpleNamespace(are_expected=lambda expected=expected: expected)
        assert receipt_role._warned(bounces) is expected
    assert len(said) == 1
