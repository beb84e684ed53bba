"""No door of the simulators opens to whom a page elsewhere sends; who calls this machine by its own names comes in."""

import re
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from infra.simulators.house import House
from infra.simulators.inbox import Journal
from infra.simulators.server import build
from infra.simulators.strangers import OWN_NAMES, REFUSAL, is_stranger

HERE = "127.0.0.1:8780"
STRANGERS = ["evil.example", "evil.example:8780", "127.0.0.1.evil.example", "localhost.evil.example:8780", "[", ""]


@pytest.fixture
def app(tmp_path: Path) -> web.Application:
    """The server's application over an empty house, called `sim` by its settings."""
    made = build(House(Journal(tmp_path / "journal.jsonl")), ["sim"])
    made.freeze()
    return made


def doors(app: web.Application) -> set[tuple[str, str]]:
    """Every method and path that the server knows."""
    found = ((route.method, route.resource) for route in app.router.routes())
    return {
        ("POST" if method == "*" else method, re.sub(r"\{.*", "/x", resource.canonical))
        for method, resource in found
        if resource is not None
    }


async def ask(app: web.Application, door: tuple[str, str], host: str, origin: str = "") -> int:
    """The status of the answer."""
    headers = {"Host": host, **({"Origin": origin} if origin else {})}
    try:
        return (await app._handle(make_mocked_request(*door, headers, app=app))).status
    except web.HTTPException as refusal:
        return refusal.status


async def test_no_door_opens_to_another_name(app: web.Application) -> None:
    """Vendors', the phone's and the administration's, and a path that is none."""
    known = doors(app)
    assert {("GET", "/sim/messages"), ("POST", "/sim/reset"), ("GET", "/phone"), ("POST", "/aliyun/x")} <= known
    assert len(known) > 15
    for door in {*known, ("GET", "/nowhere")}:
        assert {await ask(app, door, host) for host in STRANGERS} == {403}


@pytest.mark.parametrize("host", [HERE, "127.0.0.1", "localhost:8780", "[::1]:8780", "sim:8780"])
async def test_this_machine_s_names_open_every_door_that_is_asked_for(app: web.Application, host: str) -> None:
    """With a port or without; also the name that the settings give to the simulators."""
    for path in ("/ping", "/sim/counts", "/sim/messages", "/phone", "/phone/messages"):
        assert await ask(app, ("GET", path), host) == 200
    assert await ask(app, ("POST", "/sim/reset"), host) == 200


async def test_a_page_elsewhere_may_not_post_here(app: web.Application) -> None:
    """A browser says whose page it is; one of ours may."""
    reset = ("POST", "/sim/reset")
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9999", "https://evil.example:8780"):
        assert await ask(app, reset, HERE, origin) == 403
    assert await ask(app, reset, HERE, f"http://{HERE}") == 200


def test_the_refusal_says_under_which_name_to_come() -> None:
    """In one line; nothing is said of what would have been there."""
    assert "http://127.0.0.1" in REFUSAL
    assert is_stranger("127.0.0.1", "", OWN_NAMES)
    assert not is_stranger("127.0.0.1", None, OWN_NAMES)
