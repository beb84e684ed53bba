from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from infra.backlog import Told
from infra.queries import TraceEvent
from infra.standing import Standing, standing
from producers.gateway import asking
from producers.gateway.call import Answer, Call
from producers.gateway.keys import Caller
from producers.gateway.memory import Memory, Taken
from producers.gateway.problems import Refused
from producers.gateway.times import rfc3339
from schemas import ids
from schemas.configuration import AppConfig
from schemas.errors import UnavailableError
from schemas.records import Backlog, BacklogApp, BacklogLine
from schemas.statuses import LANES
from tests.answers import event, fact

NOW_MS = 1_700_000_000_000
HIS = Caller(AppConfig("his"), b"")
NAMED = ids.show(ids.from_reference("his", "r1"))


class Shelf:
    """Stands for the library: the messages of one application."""

    def __init__(self, found: dict[str, list[TraceEvent]]) -> None:
        self._found = found

    async def standing(self, message_id: str, _app_id: str) -> Standing | None:
        """As the library."""
        return standing([], self._found.get(message_id, []))

    async def events(self, message_id: str, _app_id: str) -> list[TraceEvent]:
        """As the library."""
        return self._found.get(message_id, [])


def counter(found: dict[str, list[TraceEvent]] | None = None, taken_ms: int | None = None) -> Any:
    """As much of the counter as is asked for."""
    memory = Memory()
    if taken_ms is not None:
        memory.note(NAMED, Taken("his", b"", taken_ms))
    lines = [BacklogLine("sms", "his", 2, 1, NOW_MS - 60_000, 0.5), BacklogLine("sms", "lis", 7)]
    told = [
        Told(Backlog(lane, 0, "w", NOW_MS, [BacklogApp("his", 5), BacklogApp("lis", 9)], lines), NOW_MS)
        for lane in LANES
    ]
    backlogs = SimpleNamespace(is_ready=lambda: True, told=told)
    settings = SimpleNamespace(partitions=1)
    return SimpleNamespace(library=Shelf(found or {}), memory=memory, backlogs=backlogs, settings=settings)


def call(path: str = "/", **match: str) -> Call:
    """A request of the HIS."""
    return Call(make_mocked_request("GET", path, match_info=match), HIS, NOW_MS)


async def test_what_the_store_shows_is_answered() -> None:
    """With times as people read them."""
    shown = counter({NAMED: [event("accepted", accepted_at_ms=NOW_MS, type="lab_report")]})
    answer: Answer = await asking.message(shown, call(message_id=NAMED))
    assert (answer.status, answer.body.status, answer.body.type) == (200, "accepted", "lab_report")
    assert answer.body.accepted_at == "2023-11-15T06:13:20.000+08:00"
    assert (await asking.by_reference(shown, call("/?reference=r1"))).body.message_id == "m"
    assert [one.stage for one in (await asking.events(shown, call(message_id=NAMED))).body.events] == ["accepted"]


@pytest.mark.parametrize(
    ("message_id", "taken_ms", "is_known"),
    [
        (NAMED, NOW_MS - 59_000, True),
        (NAMED, NOW_MS - 61_000, False),
        (NAMED, None, False),
        (ids.show(ids.mint(NOW_MS - 59_000, bytes(10))), None, True),
        (ids.show(ids.mint(NOW_MS + 20_000, bytes(10))), None, True),
        (ids.show(ids.mint(NOW_MS - 61_000, bytes(10))), None, False),
    ],
)
async def test_a_young_id_is_never_unknown(message_id: str, taken_ms: int | None, is_known: bool) -> None:
    """By when it was taken here, or by when it was minted; for a minute."""
    young = counter(taken_ms=taken_ms)
    for ask in (asking.message, asking.events):
        if is_known:
            assert (await ask(young, call(message_id=message_id))).status == 202
            continue
        with pytest.raises(Refused) as raised:
            await ask(young, call(message_id=message_id))
        assert raised.value.status == 404


async def test_the_backlog_is_one_s_own() -> None:
    """Summed over lanes; by lane and channel what waits, since when, and how long it takes."""
    answer = await asking.backlog(counter(), call(app_id="his"))
    assert (answer.body.messages, answer.body.is_complete, len(answer.body.channels)) == (15, True, 3)
    first = answer.body.channels[0]
    assert (first.lane, first.channel, first.messages, first.waiting, first.in_flight) == ("urgent", "sms", 3, 2, 1)
    assert (first.oldest_at, first.per_second, first.eta_s, first.reason) == (rfc3339(NOW_MS - 60_000), 0.5, 4.0, "")
    with pytest.raises(Refused):
        await asking.backlog(counter(), call(app_id="lis"))


async def test_a_backlog_that_not_everybody_told_says_so() -> None:
    """What was told last is used; before anything was read there is no answer."""
    some = counter()
    some.backlogs.told.pop()
    answer = await asking.backlog(some, call(app_id="his"))
    assert (answer.body.messages, answer.body.is_complete) == (10, False)
    some.backlogs.is_ready = lambda: False
    with pytest.raises(UnavailableError):
        await asking.backlog(some, call(app_id="his"))


@pytest.mark.parametrize("path", ["/", "/?reference=", f"/?reference={'x' * 257}"])
async def test_a_reference_has_to_be_one(path: str) -> None:
    """The parameter is named."""
    with pytest.raises(Refused) as raised:
        await asking.by_reference(counter(), call(path))
    assert raised.value.problems[0].source.parameter == "reference"


async def test_what_is_no_id_does_not_exist() -> None:
    """404, not 400: the path is not there."""
    with pytest.raises(Refused) as raised:
        await asking.message(counter(), call(message_id="17"))
    assert raised.value.status == 404


def test_a_final_row_is_shown_as_final() -> None:
    """With when it ended."""
    found = standing([fact(status="sent", accepted_at_ms=NOW_MS, latency_ms=1_500)], [])
    assert found is not None
    view = asking._view(found)
    assert (view.is_final, view.latency_ms, view.finished_at) == (True, 1_500, "2023-11-15T06:13:21.500+08:00")
