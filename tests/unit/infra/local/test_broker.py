"""The broker's settings: one loopback node that keeps to itself and to its folder."""

from pathlib import Path

import pytest

from infra.local import broker
from schemas.errors import UnavailableError

SITE = broker.BrokerSite(Path("/home/x/broker"), 9092, 9093, Path("/jars"))


def _parsed(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_listens_on_the_loopback_only() -> None:
    """No listener and no advertised address leaves the machine."""
    found = _parsed(broker.properties(SITE, SITE.log_folder))
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"
    assert found["controller.quorum.voters"] == "1@127.0.0.1:9093"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("auto.create.topics.enable", "false"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("log.dirs", "/home/x/broker/data"),
    ],
)
def test_single_node_settings(key: str, value: str) -> None:
    """What one node needs, and a mistyped topic must not be made."""
    assert _parsed(broker.properties(SITE, SITE.log_folder))[key] == value


def test_timestamps_are_left_to_the_topics() -> None:
    """Whether a topic keeps its append time is that topic's setting."""
    assert "log.message.timestamp.type" not in broker.properties(SITE, SITE.log_folder)


def test_heap_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command caps the heap and runs from the jar folder."""
    monkeypatch.setattr(broker, "require_java", lambda: "/usr/bin/java")
    found = broker.command(SITE, "kafka.Kafka", "server.properties")
    assert "-Xmx512m" in found
    assert found[found.index("-cp") + 1] == "/jars/*"
    assert found[-2:] == ("kafka.Kafka", "server.properties")


def test_formatted_storage_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second start formats nothing and only writes its settings."""
    monkeypatch.setattr(broker, "require_java", lambda: "/usr/bin/java")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("formatted again"))
    site = broker.BrokerSite(tmp_path, 9092, 9093, Path("/jars"))
    site.log_folder.mkdir()
    (site.log_folder / "meta.properties").write_text("cluster.id=x")
    broker.prepare(site)
    assert "9092" in site.properties_file.read_text()


def test_unwritable_folder_is_said(tmp_path: Path) -> None:
    """A folder that cannot be made is one clear line."""
    (tmp_path / "file").write_text("")
    site = broker.BrokerSite(tmp_path / "file" / "broker", 1, 2, Path("/jars"))
    with pytest.raises(UnavailableError, match="cannot write to"):
        broker.prepare(site)


@pytest.mark.parametrize("first", [0x00, 0x7F, 0xF8, 0xFB, 0xFF])
def test_cluster_id_is_no_option(first: int) -> None:
    """Twenty-two characters, the first never a dash (0xF8 to 0xFB would give one)."""
    found = broker.cluster_id(bytes([first] * 16))
    assert len(found) == 22
    assert found[0] != "-"
