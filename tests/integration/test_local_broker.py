"""The embedded broker, for real: it starts, keeps what it acknowledged over kill -9, and refuses unknown topics."""

import signal
from pathlib import Path

from infra.local import broker, probe, processes
from infra.local.ports import LOOPBACK, any_port


def test_session_broker_answers(kafka: str) -> None:
    """The fixture's bootstrap string leads to a broker that counts itself as ready."""
    host, _, port = kafka.partition(":")
    assert probe.broker_answers(host, int(port))
