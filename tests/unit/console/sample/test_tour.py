"""Which message the sample run waits for, and what it takes for a server of its own."""

import pytest

from console.sample import tour
from infra.local import control
from infra.local.control import Row
from infra.settings import Settings


def rows(**states: str) -> list[Row]:
    """Status rows of processes in these states, of 100 MB each."""
    return [Row(name, 1, state, 0, 1, 100, 0, "") for name, state in states.items()]


@pytest.mark.parametrize(
    ("states", "is_up"),
    [
        ({}, False),
        ({"supervisor": "running"}, False),
        ({"broker": "running", "store": "starting", "simulators": "running"}, False),
        ({"broker": "running", "store": "running", "simulators": "running"}, True),
    ],
)
def test_all_servers_of_ours_must_run(states: dict[str, str], is_up: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was not even begun does not count as running."""
    monkeypatch.setattr(control, "look", lambda _: rows(**states))
    assert tour._servers_run(Settings()) is is_up


def test_a_server_elsewhere_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With another Kafka named, only the store and the simulators are ours."""
    monkeypatch.setattr(control, "look", lambda _: rows(store="running", simulators="running"))
    assert tour._servers_run(Settings(kafka="127.0.0.1:9092"))


def test_the_peak_of_memory_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later, smaller figure does not replace the peak."""
    memory = tour.Memory(Settings())
    for count in (5, 1):
        monkeypatch.setattr(control, "look", lambda _, count=count: rows(**{str(at): "running" for at in range(count)}))
        memory.look()
    assert memory.peak_mb >= 500
