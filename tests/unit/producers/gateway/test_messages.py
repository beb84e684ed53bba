from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request

from infra.clock import HandClock
from infra.snapshot import Snapshot
from producers.gateway.accepting import Desk
from producers.gateway.call import Answer, Call
from producers.gateway.keys import Caller, Gatekeeper
from producers.gateway.memory import Memory
from producers.gateway.messages import give_token, headers_of, take_message
from producers.gateway.problems import Refused
from producers.gateway.quota import Quota
from producers.outgoing import Outgoing
from schemas import ids
from schemas.configuration import AppConfig, AppKey, MessageType
from schemas.errors import Permanent, Reason, UnavailableError

NOW_MS, SECRET = 1_700_000_000_000, "first-" + "0" * 32
APP = AppConfig("his", keys=[AppKey("his-1")], types=["*"], channels=["*"], http_messages_per_day=2)
SNAPSHOT = Snapshot(1, apps={"his": APP}, types={"note": MessageType("note")})
GOOD: dict[str, Any] = {"type": "note", "recipient": {"id_type": "patient_id", "id_value": "P1"}, "reference": "r1"}


class Post:
    """Stands for the outbox: keeps records; may fail."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.failure: Exception | None = None

    async def publish(self, record: Outgoing, _headers: object) -> None:
        """Keep one, or fail."""
        if self.failure is not None:
            raise self.failure
        self.records.append(record)


class Stand:
    """One gateway over a post."""

    def __init__(self, known: str = "") -> None:
        self.post = Post()
        self._known = known
        self.counter: Any = SimpleNamespace(
            outbox=self.post,
            quota=Quota(2, 1_000),
            clock=HandClock(),
            memory=Memory(),
            desk=Desk(SNAPSHOT, ""),
            library=self,
            gatekeeper=Gatekeeper(SNAPSHOT, lambda *_: SECRET.encode()),
            settings=SimpleNamespace(gateway_body_s=1.0),
        )

    async def standing(self, *_: object) -> Any:
        """As the library: how the message stands, "" for nowhere, "away" when the store does not answer."""
        if self._known == "away":
            raise UnavailableError("silence")
        return SimpleNamespace(status=self._known) if self._known else None

    async def take(self, **changes: Any) -> Answer:
        """Send a message."""
        return await take_message(self.counter, call({**GOOD, **changes}))

    async def refused(self, **changes: Any) -> Refused:
        """How a message is refused."""
        with pytest.raises(Refused) as raised:
            await self.take(**changes)
        return raised.value


class Body:
    """A body that is there at once."""

    def __init__(self, raw: bytes) -> None:
        self._pieces = [raw, b""]

    async def readany(self) -> bytes:
        """All of it, then nothing."""
        return self._pieces.pop(0)


def call(body: Any, **headers: str) -> Call:
    """A request of the HIS."""
    payload: Any = Body(msgspec.json.encode(body))
    request = make_mocked_request("POST", "/", {"Content-Type": "application/json", **headers}, payload=payload)
    return Call(request, Caller(APP, b"Bearer x.y.z"), NOW_MS)


async def test_a_message_is_published_before_it_is_answered() -> None:
    """Under the id that follows from its reference; the answer says where to ask."""
    stand = Stand()
    answer = await stand.take()
    message_id = ids.show(ids.from_reference("his", "r1"))
    assert (answer.status, answer.body.message_id, answer.body.status) == (202, message_id, "accepted")
    assert answer.headers == {"Location": f"/v1/messages/{message_id}"}
    assert [one.message_id for one in stand.post.records] == [message_id]
    assert stand.counter.memory.taken_at_ms(message_id, "his") == NOW_MS


async def test_without_the_broker_s_word_it_is_to_be_tried_again() -> None:
    """503 with the id; nothing is remembered, and nothing of the day's quota is used."""
    stand = Stand()
    stand.post.failure = UnavailableError("silence")
    for _ in range(3):
        failed = await stand.refused()
        assert (failed.status, failed.headers["Retry-After"]) == (503, "2")
        assert (failed.message_id, failed.reference) == (ids.show(ids.from_reference("his", "r1")), "r1")
        assert str(failed.message_id) in failed.problems[0].detail.zh
    stand.post.failure = None
    assert (await stand.take()).status == 202


async def test_what_the_broker_never_takes_is_the_sender_s_to_mend() -> None:
    """413, told in both languages."""
    stand = Stand()
    stand.post.failure = Permanent(Reason.TOO_LARGE, "9 bytes for messages.normal, at most 8")
    failed = await stand.refused()
    assert (failed.status, failed.problems[0].detail.zh) == (413, "消息有 9 字节，最多 8 字节")


async def test_the_application_s_own_quota_counts() -> None:
    """Two a day, whatever the gateway is set to."""
    stand = Stand()
    await stand.take(reference="a")
    await stand.take(reference="b")
    failed = await stand.refused(reference="c")
    assert (failed.status, failed.problems[0].code) == (429, "quota_exhausted")
    assert len(stand.post.records) == 2


@pytest.mark.parametrize(("known", "status"), [("", 409), ("sent", 409), ("away", 409), ("rejected", 202)])
async def test_one_reference_for_two_messages_is_a_conflict(known: str, status: int) -> None:
    """Unless the platform refused the first: that may be mended under its name."""
    stand = Stand(known)
    await stand.take()
    if status == 202:
        assert (await stand.take(priority="bulk")).status == 202
        return
    failed = await stand.refused(priority="bulk")
    assert (failed.status, failed.problems[0].source.pointer) == (409, "/reference")
    assert len(stand.post.records) == 1


def test_the_record_carries_the_caller_s_token_and_a_plain_trace() -> None:
    """Intake judges the token again; a trace that is none is left out."""
    asked = call({}, traceparent="00-ab-cd-01")
    assert headers_of(asked, asked.sender) == [("authorization", b"Bearer x.y.z"), ("traceparent", b"00-ab-cd-01")]
    for odd in ("x" * 129, "é", ""):
        asked = call({}, traceparent=odd)
        assert headers_of(asked, asked.sender) == [("authorization", b"Bearer x.y.z")]


async def test_credentials_give_a_token_that_nobody_keeps() -> None:
    """With the time at which it ends; the count is by application."""
    answer = await give_token(Stand().counter, call({"app_key": "his", "app_secret": SECRET}))
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.body.expires_at == "2023-11-15T07:13:20.000+08:00"
    assert answer.body.token.count(".") == 2


async def test_guessing_secrets_is_slowed_down() -> None:
    """Names that nobody has share one count: they are not told from those that somebody has."""
    stand = Stand()
    codes = []
    for n in range(5):
        with pytest.raises(Refused) as raised:
            await give_token(stand.counter, call({"app_key": f"nobody{n}", "app_secret": "x" * 40}))
        codes.append(raised.value.status)
    assert codes == [401, 401, 401, 401, 429]
