from pathlib import Path
from typing import Any

import pytest

from console import provisioning
from infra.kafka import TopicSpec
from infra.settings import Settings
from schemas.errors import UnavailableError
from sinks.channel import channel_names


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[TopicSpec]:
    """What a broker that answers is asked for."""
    found: list[TopicSpec] = []
    monkeypatch.setattr(provisioning, "ping", lambda *_: None)
    monkeypatch.setattr(provisioning, "provision", lambda _, specs: found.extend(specs))
    return found


def settings_of(folder: Path, **told: Any) -> Settings:
    """An installation of its own on somebody's broker."""
    return Settings(home=folder, kafka="127.0.0.1:9", namespace="ns", partitions=6, replication=3, **told)


def test_every_channel_has_its_deliveries_in_every_lane(tmp_path: Path, asked: list[TopicSpec]) -> None:
    """In the installation's own name, with its counts; a topic that fixes its own count keeps it."""
    provisioning.provision_installation(settings_of(tmp_path))
    by_name = {spec.name: spec for spec in asked}
    for channel in channel_names():
        for lane in ("urgent", "normal", "bulk"):
            assert by_name[f"ns.deliveries.{channel}.{lane}"].partitions == 6
    assert by_name["ns.config.history"].partitions == 1
    assert {spec.replication for spec in asked} == {3}
    assert all(name.startswith("ns.") for name in by_name)


def test_nothing_is_created_on_a_broker_that_does_not_answer(
    tmp_path: Path, asked: list[TopicSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is told."""

    def silent(*_: object) -> None:
        raise UnavailableError("no broker")

    monkeypatch.setattr(provisioning, "ping", silent)
    with pytest.raises(UnavailableError):
        provisioning.provision_installation(settings_of(tmp_path))
    assert asked == []
