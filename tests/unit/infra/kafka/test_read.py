"""The reader without a broker: one clear error."""

import pytest

from infra.kafka import LogReader
from infra.kafka import read as module
from schemas.errors import UnavailableError


def test_no_broker_is_an_unavailable_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens on port 1; the library's exception does not get out."""
    monkeypatch.setattr(module, "REQUEST_S", 0.1)
    with LogReader("127.0.0.1:1") as reader, pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):
        reader.end_offset("events.urgent", 0)
