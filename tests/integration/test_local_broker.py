"""The embedded broker, for real: it answers, and after a kill -9 it comes back by itself on the same data."""

import os
import signal
from pathlib import Path

from infra.local import broker, probe, processes
from infra.local.ports import LOOPBACK, any_port


def test_session_broker_answers(kafka: str) -> None:
    """The fixture's bootstrap string leads to a broker that counts itself as ready."""
    host, _, port = kafka.partition(":")
    assert probe.broker_answers(host, int(port))


def test_broker_comes_back_after_kill(tmp_path: Path) -> None:
    """A broker killed with -9 starts again on its own data, and a clean stop needs no kill."""
    site = broker.site_under(tmp_path / "broker", any_port(), any_port())
    first = broker.start(site, os.environ, ends_with_parent=True)
    identity = (site.log_folder / "meta.properties").read_text("utf-8")
    processes.send(first, signal.SIGKILL)
    assert processes.stop([first], 5) == []

    second = broker.start(site, os.environ, ends_with_parent=True)
    assert (site.log_folder / "meta.properties").read_text("utf-8") == identity
    assert processes.stop([second], broker.STOP_GRACE_S) == []
    assert not probe.broker_answers(LOOPBACK, site.port)
