from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from infra.clock import HandClock
from infra.snapshot import Snapshot
from producers.gateway.accepting import Desk
from producers.gateway.batches import Batches
from producers.gateway.call import Answer, Call
from producers.gateway.keys import Caller
from producers.gateway.memory import Memory
from producers.gateway.models import BatchBody
from producers.gateway.problems import Refused
from producers.gateway.quota import Quota
from producers.outgoing import Outgoing
from schemas.configuration import AppConfig, MessageType
from schemas.errors import Permanent, Reason, UnavailableError

APP = AppConfig("his", types=["*"], channels=["*"])
SNAPSHOT = Snapshot(1, apps={"his": APP}, types={"note": MessageType("note")})
GOOD: dict[str, Any] = {"type": "note", "recipient": {"id_type": "patient_id", "id_value": "P1"}}


class Hold:
    """Stands for outbox and shipment: keeps ids; may find one too large, or not arrive."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.too_large = -1
        self.arrives = True

    def shipment(self) -> "Hold":
        """Itself."""
        return self

    async def put_patiently(self, record: Outgoing, _headers: object) -> None:
        """Keep one."""
        if len(self.ids) == self.too_large:
            raise Permanent(Reason.TOO_LARGE, "too many bytes")
        self.ids.append(record.message_id)

    async def arrived(self) -> None:
        """Acknowledged, or not."""
        if not self.arrives:
            raise UnavailableError("silence")


class Stand:
    """One gateway's batches over a hold."""

    def __init__(self, per_day: int = 1_000) -> None:
        self.hold = Hold()
        self.quota = Quota(10, per_day)
        counter: Any = SimpleNamespace(
            outbox=self.hold,
            quota=self.quota,
            clock=HandClock(),
            memory=Memory(),
            desk=Desk(SNAPSHOT, ""),
            library=None,
        )
        self._batches = Batches(counter)

    async def take(self, *messages: Any, reference: str = "b") -> Answer:
        """Take a batch of these."""
        body = BatchBody(
            batch_reference=reference, messages=[msgspec.Raw(msgspec.json.encode(one)) for one in messages]
        )
        call = Call(make_mocked_request("POST", "/"), Caller(APP, b""), 1_700_000_000_000)
        return await self._batches._take(call, body)


async def test_every_message_has_its_place() -> None:
    """An id or null; the refused are told by place, the others go."""
    stand = Stand()
    answer = await stand.take(GOOD, {**GOOD, "type": "nix"}, 7, {**GOOD, "reference": "r"}, GOOD)
    first, *nulls, named, last = answer.body.message_ids
    assert (answer.status, answer.body.accepted, answer.body.refused, nulls) == (202, 3, 2, [None, None])
    assert stand.hold.ids == [first, named, last]
    assert len({*stand.hold.ids}) == 3
    assert [one.source.pointer for one in answer.body.errors] == ["/messages/1/type", "/messages/2"]


async def test_the_same_batch_again_is_the_same_messages() -> None:
    """And another batch is others."""
    stand = Stand()
    first, again, other = [await stand.take(GOOD, reference=name) for name in ("b", "b", "c")]
    assert first.body.message_ids == again.body.message_ids != other.body.message_ids


async def test_one_reference_for_two_messages_is_a_conflict_within_a_batch_too() -> None:
    """The second is refused, the first goes."""
    one, other = {**GOOD, "reference": "r"}, {**GOOD, "reference": "r", "priority": "bulk"}
    stand = Stand()

    async def standing(*_: object) -> None:
        return None

    stand._batches._counter.library = SimpleNamespace(standing=standing)  # type: ignore[assignment]  # as much as is asked
    answer = await stand.take(one, other)
    assert [found.code for found in answer.body.errors] == ["reference_conflict"]


async def test_a_message_that_the_broker_could_not_take_stops_nobody() -> None:
    """Too large once encoded: its own fault."""
    stand = Stand()
    stand.hold.too_large = 0
    with pytest.raises(Refused) as raised:
        await stand.take(GOOD)
    assert [(one.code, one.source.pointer) for one in raised.value.problems] == [("too_large", "/messages/0")]


async def test_at_most_a_hundred_errors_are_told() -> None:
    """All of them are counted; when none is good the whole is a refusal."""
    answer = await Stand().take(*[1] * 300, GOOD)
    assert (len(answer.body.errors), answer.body.refused) == (100, 300)
    with pytest.raises(Refused) as raised:
        await Stand().take(*[1] * 300)
    assert (raised.value.status, len(raised.value.problems)) == (400, 100)


async def test_what_is_not_acknowledged_is_asked_for_again_whole() -> None:
    """503 with the batch's reference; nothing is taken from the day's quota."""
    stand = Stand(per_day=3)
    stand.hold.arrives = False
    for _ in range(3):
        with pytest.raises(Refused) as raised:
            await stand.take(GOOD, GOOD)
        assert (raised.value.status, raised.value.reference) == (503, "b")
    stand.hold.arrives = True
    assert (await stand.take(GOOD, GOOD, 7)).status == 202
    assert (await stand.take(GOOD)).status == 202
    with pytest.raises(Refused) as raised:
        await stand.take(GOOD)
    assert raised.value.status == 429
