"""`medpost doctor`: one finding per thing the platform stands on, each with what to do about it.

Called by the command line. It looks, it changes nothing, and it fetches nothing.
"""

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException
from typing import Final

import psutil
from msgspec import Struct, structs

from infra import settings as settings_module
from infra import tls
from infra.clickhouse import Store, without_database
from infra.kafka import ping
from infra.local import installation, jars, java, probe, rare
from infra.local.control import LEAST_FREE_BYTES, check_home, orphans, supervisor_of
from infra.local.ports import is_free
from infra.settings import Settings
from schemas.errors import UnavailableError

LEAST_MEMORY_BYTES: Final = 2 << 30
"""Broker (512 MB heap), store (1 GB) and a dozen small processes peak under 4 GB, and idle near 2."""

CLOCK_SKEW_S: Final = 30
"""Tokens are judged with this tolerance, so servers may not differ by more."""

ELSEWHERE_S: Final = 5
"""How long a server that is not ours may take to answer; the first greeting over TLS takes a cold broker a second."""

_OLDEST_NOW: Final = 1_767_225_600  # 2026-01-01T00:00Z: a clock before this release is wrong


class Finding(Struct, frozen=True):
    """One checked thing: whether it is well, how to mend it, and the exit code it calls for when it is not.

    3: the platform cannot start without it; 1: it is not running now; 0: worth knowing.
    """

    what: str
    is_well: bool
    detail: str
    remedy: str = ""
    code: int = 3


def examine(settings: Settings) -> Iterator[Finding]:
    """All findings, in the order in which one would mend them."""
    yield _python()
    if installation.has_broker(settings):
        yield _tried("java", java.require_java)
        yield from _jars_and_maven()
    yield _tried("home", lambda: _home(settings))
    yield _disk(settings)
    yield _memory()
    yield from _ports(settings)
    yield (broker := _broker(settings))
    found = list(_store(settings))
    yield from found
    yield from _inside(settings, has_broker=broker.is_well, has_store=found[0].is_well)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")


def _tried(what: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(what, is_well=True, detail=attempt())
    except UnavailableError as problem:
        return Finding(what, is_well=False, detail=problem.detail, remedy=problem.remedy)


def _jars_and_maven() -> Iterator[Finding]:
    folder = jars.jar_folder()
    are_complete = jars.is_complete(folder)
    trouble = rare.jar_trouble(folder)
    if trouble is None:
        yield Finding("jars", are_complete, str(folder), "`medpost up` fetches them", code=0)
    else:
        yield Finding("jars", is_well=False, detail=trouble.detail, remedy=trouble.remedy, code=0)
    maven = _tried("maven", java.require_maven)
    yield (
        maven
        if maven.is_well or not are_complete
        else Finding("maven", is_well=True, detail="not installed, and not needed: the jars are complete")
    )


def _home(settings: Settings) -> str:
    if not settings.home.exists() and os.access(_nearest(settings), os.W_OK):
        return f"{settings.home} (not made yet)"
    check_home(settings)
    return str(settings.home)


def _nearest(settings: Settings) -> str:
    """The deepest folder above the home that exists."""
    return str(next(folder for folder in (settings.home, *settings.home.parents) if folder.exists()))


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(_nearest(settings)).free
    shown = f"{free >> 30} GB free" if free >= LEAST_FREE_BYTES else f"only {free >> 20} MB free"
    least = f"free at least {LEAST_FREE_BYTES >> 20} MB, or set MEDPOST_HOME elsewhere"
    return Finding("disk", free >= LEAST_FREE_BYTES, f"{shown} for {settings.home}", least)


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    return Finding(
        "memory",
        free >= LEAST_MEMORY_BYTES,
        f"{free / (1 << 30):.1f} GB available",
        "free at least 2 GB",
        code=0,
    )


def _ports(settings: Settings) -> Iterator[Finding]:
    """Before the start: whether the ports we would take are free (if not, the next free ones are taken)."""
    if supervisor_of(settings) is not None:
        return
    if alone := orphans(settings):
        told = f"{len(alone)} processes run and nobody restarts them: {', '.join(alone[:3])} ..."
        yield Finding("supervisor", is_well=False, detail=told, remedy="`medpost up` takes them over", code=1)
        return
    kept = installation.read_json(settings.run_folder / "ports.json")
    for name, usual in installation.USUAL_PORTS.items():
        port = int(kept.get(name, usual))
        well = is_free(port)
        holder = "" if well else rare.holder_of(port)
        detail = f"{name} {port} {'free' if well else f'taken by {holder}' if holder else 'taken'}"
        yield Finding("port", well, detail, "nothing: the next free port is used", code=0)


def _broker(settings: Settings) -> Finding:
    try:
        address = settings_module.kafka_endpoint(settings)
    except UnavailableError as problem:
        return Finding("broker", is_well=False, detail="not running", remedy=problem.remedy, code=1)
    if not installation.has_broker(settings):
        return _elsewhere("broker", address, "MEDPOST_KAFKA", lambda: ping(address, ELSEWHERE_S))
    host, port = installation.host_and_port(address, 9092)
    answers = probe.broker_answers(host, port, 3)
    return Finding("broker", answers, f"{address} {_answering(answers)}", "start it with `medpost up`", 1)


def _store(settings: Settings) -> Iterator[Finding]:
    address = settings.clickhouse or installation.read_json(settings_module.servers_file(settings)).get(
        "clickhouse", ""
    )
    if not address:
        yield Finding("store", is_well=False, detail="not running", remedy="start it with `medpost up`", code=1)
        yield _clock(None)
        return
    if settings.clickhouse:
        with Store(without_database(settings_module.store_endpoint(settings)), ELSEWHERE_S) as store:
            asked: list[float] = []
            found = _elsewhere("store", store.place, "MEDPOST_CLICKHOUSE", lambda: asked.append(_time_of(store)))
            yield found if found.is_well else _untold_tls(found, settings.clickhouse, store.place)
            yield _clock(asked[0] if asked else None)
        return
    host, port = installation.host_and_port(address, 8123)
    answers = probe.http_answers(host, port, timeout_s=3)
    yield Finding("store", answers, f"{host}:{port} {_answering(answers)}", "start it with `medpost up`", 1)
    yield _clock(_time_there(host, port))


def _elsewhere(what: str, places: str, variable: str, ask: Callable[[], None]) -> Finding:
    """Servers that are not ours, asked as every process asks them: certificates and login included."""
    if not any(_connects(place) for place in places.split(",")):
        return Finding(what, is_well=False, detail=f"{places} does not answer", remedy=f"check {variable}", code=1)
    try:
        ask()
    except UnavailableError as problem:
        return Finding(what, is_well=False, detail=problem.detail, remedy=problem.remedy, code=1)
    return Finding(what, is_well=True, detail=f"{places} answers")


def _untold_tls(found: Finding, address: str, place: str) -> Finding:
    """The finding, with what to write where a store that is asked in plain text wants TLS."""
    host, _, port = place.rpartition(":")
    if address.startswith("https://") or not tls.speaks_tls(host, int(port)):
        return found
    return structs.replace(
        found, detail=f"the store at {place} speaks TLS", remedy="write https:// in MEDPOST_CLICKHOUSE"
    )


def _time_of(store: Store) -> float:
    """The store's own time, seconds since the epoch."""
    return float(store.rows("SELECT toUnixTimestamp64Milli(now64(3)) AS ms")[0]["ms"]) / 1000


def _inside(settings: Settings, *, has_broker: bool, has_store: bool) -> Iterator[Finding]:
    """What only servers that answer can tell."""
    if has_broker:
        yield from _asked("skew", lambda: _broker_clock(settings), "not behind the broker's")
        yield from _asked("registry", lambda: rare.registry_trouble(settings), "every record can be read")
    if has_store:
        yield from _asked("figures", lambda: rare.rollup_trouble(rare.waiting_days(settings)), "up to date")


def _broker_clock(settings: Settings) -> rare.Trouble | None:
    return rare.clock_trouble(rare.newest_append_ms(settings), int(time.time() * 1000), CLOCK_SKEW_S)


def _asked(what: str, ask: Callable[[], rare.Trouble | None], well: str) -> Iterator[Finding]:
    """One finding of a question; what cannot be asked is told as such, and is no fault of its own."""
    try:
        trouble = ask()
    except UnavailableError as problem:
        yield Finding(what, is_well=False, detail=problem.detail, remedy=problem.remedy, code=0)
        return
    if trouble is None:
        yield Finding(what, is_well=True, detail=well)
    else:
        yield Finding(what, is_well=False, detail=trouble.detail, remedy=trouble.remedy, code=1)


def _answering(answers: bool) -> str:
    return "answers" if answers else "does not answer"


def _clock(there: float | None) -> Finding:
    now = time.time()
    skew_s = abs(now - there) if there is not None else 0.0
    well = now > _OLDEST_NOW and skew_s <= CLOCK_SKEW_S
    shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    return Finding("clock", well, f"{shown}, {skew_s:.0f} s from the store's", "set the clock, e.g. by NTP")


def _time_there(host: str, port: int) -> float | None:
    """The time a server puts on its answers."""
    link = HTTPConnection(host, port, timeout=3)
    try:
        link.request("GET", "/ping")
        return parsedate_to_datetime(link.getresponse().getheader("Date", "")).timestamp()
    except (OSError, HTTPException, ValueError, TypeError):
        return None
    finally:
        link.close()


def _connects(place: str) -> bool:
    """Whether anybody listens at `host:port`."""
    host, _, port = place.strip().rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), 3):
            return True
    except OSError:
        return False
