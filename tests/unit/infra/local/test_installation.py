"""A home's ports and blueprints: kept, moved when taken, and only what is ours to run."""

import json
from pathlib import Path

import pytest

from infra.local import installation, processes
from infra.local.installation import Installation, blueprints, choose_ports, health_port, host_and_port
from infra.settings import Settings

PORTS = {"broker": 19092, "controller": 19093, "store": 18123, "simulators": 18780, "gateway": 18790}


def _settings(home: Path, kafka: str = "", clickhouse: str = "", simulators: str = "") -> Settings:
    return Settings(home=home, kafka=kafka, clickhouse=clickhouse, simulators=simulators)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Ports that are not free."""
    ports: set[int] = set()
    monkeypatch.setattr("infra.local.ports.is_free", lambda port: port not in ports)
    return ports


def test_a_wish_for_the_gateway_s_port_is_heeded(tmp_path: Path) -> None:
    """Where the settings name one, nothing is looked for."""
    here = Installation(_settings(tmp_path).model_copy(update={"gateway_port": 8443}), PORTS)
    assert (here.gateway_port, here.gateway()) == (8443, "http://127.0.0.1:8443")
    assert Installation(_settings(tmp_path), PORTS).gateway() == "http://127.0.0.1:18790"


def test_usual_ports_first(tmp_path: Path, taken: set[int]) -> None:
    """With everything free the usual ports are taken, and kept in the file."""
    assert choose_ports(tmp_path) == installation.USUAL_PORTS
    assert json.loads((tmp_path / "ports.json").read_text()) == installation.USUAL_PORTS


def test_taken_ports_are_passed_over_without_clash(tmp_path: Path, taken: set[int]) -> None:
    """A moved broker does not take the controller's port."""
    taken.add(9092)
    found = choose_ports(tmp_path)
    assert found["broker"] == 9093
    assert found["controller"] == 9094


def test_kept_port_outlives_the_usual_one(tmp_path: Path, taken: set[int]) -> None:
    """A port once chosen stays, though the usual one is free again."""
    (tmp_path / "ports.json").write_text(json.dumps(PORTS))
    assert choose_ports(tmp_path) == PORTS


def test_moved_server_leaves_the_kept_ports_alone(tmp_path: Path, taken: set[int]) -> None:
    """A broker that loses its port passes over the one its controller keeps."""
    (tmp_path / "ports.json").write_text(json.dumps(PORTS))
    taken.add(19092)
    assert choose_ports(tmp_path) == {**PORTS, "broker": 19094}


def test_clash_in_the_file_is_resolved(tmp_path: Path, taken: set[int]) -> None:
    """A file that gives one port to two servers is mended."""
    (tmp_path / "ports.json").write_text(json.dumps({**PORTS, "controller": 19092}))
    assert len(set(choose_ports(tmp_path).values())) == len(PORTS)


def test_port_of_our_own_process_is_kept(tmp_path: Path, taken: set[int]) -> None:
    """A server that still runs is taken over with its port; a stranger's port is not."""
    import os

    (tmp_path / "ports.json").write_text(json.dumps(PORTS))
    taken.update({19092, 19093, 18123})
    processes.write_record(tmp_path / "broker.pid", os.getpid())
    found = choose_ports(tmp_path)
    assert (found["broker"], found["controller"]) == (19092, 19093)
    assert found["store"] == 18124


def test_everything_is_planned(tmp_path: Path) -> None:
    """Servers first; every role needs all of them and is rebuilt when they move."""
    plans = blueprints(Installation(_settings(tmp_path), PORTS), only_servers=False)
    assert [plan.name for plan in plans[:3]] == ["broker", "store", "simulators"]
    assert len(plans) == 15
    (gateway,) = (plan for plan in plans if plan.name == "gateway")
    assert (gateway.ports, gateway.environment["MEDPOST_GATEWAY_PORT"]) == ((18790,), "18790")
    assert all(plan.needs == ("broker", "store", "simulators") and "19092" in plan.built_on for plan in plans[3:])


def test_servers_only(tmp_path: Path) -> None:
    """No roles."""
    plans = blueprints(Installation(_settings(tmp_path), PORTS), only_servers=True)
    assert [plan.name for plan in plans] == ["broker", "store", "simulators"]


def test_other_peoples_servers_are_not_planned(tmp_path: Path) -> None:
    """What the environment names is neither started nor written to servers.json (it may hold a password)."""
    settings = _settings(tmp_path, kafka="k:9092", clickhouse="http://u:secret@c:8123/d", simulators="http://s")
    here = Installation(settings, PORTS)
    assert blueprints(here, only_servers=True) == []
    assert here.addresses() == {}


def test_health_port_is_found_by_pid(tmp_path: Path) -> None:
    """The file that names the pid names the port; broken and foreign files are passed over."""
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "intake.json").write_text(json.dumps({"pid": 7, "port": 4711}))
    assert health_port(tmp_path, 7) == 4711
    assert health_port(tmp_path, 8) == 0


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("a:1,b:2", ("a", 1)),
        ("http://u:p@c:8123/d", ("c", 8123)),
        ("kafka", ("kafka", 9092)),
    ],
)
def test_first_host_and_port(address: str, found: tuple[str, int]) -> None:
    """Bootstrap lists and URLs alike."""
    assert host_and_port(address, 9092) == found


@pytest.mark.parametrize(
    ("answer", "lacking"),
    [
        ({"is_ready": True, "waits_for": []}, ""),
        ({"is_ready": False, "waits_for": ["the registry", "the recipients"]}, "the registry, the recipients"),
        (None, "its answer"),
        ({"is_ready": False}, "its answer"),
    ],
)
def test_process_says_what_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: dict[str, object] | None, lacking: str
) -> None:
    """Its own words from `/ready`, and no answer is one thing it lacks."""
    (tmp_path / "intake.json").write_text(json.dumps({"pid": 7, "port": 4711}))
    monkeypatch.setattr("infra.local.probe.get_json", lambda *_: answer)
    assert installation.waits_for(tmp_path, 7) == lacking
    assert installation.waits_for(tmp_path, 8) == "its answer"
