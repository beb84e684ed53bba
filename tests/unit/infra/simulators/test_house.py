"""All providers under one roof: every call is kept before it is answered, and a restart changes nothing."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from infra.clock import HandClock
from infra.simulators.exchange import Call
from infra.simulators.house import PROVIDERS, Fate, House
from infra.simulators.inbox import Journal
from schemas.records import Delivery
from sinks.channel import Answer, Caller, Mail, Request, Stamp, channel_files
from sinks.tokens import Keyed
from tests.channel_samples import ChannelSample, channel_of, delivery, sample_of

CLOCK = HandClock(1_760_000_000_000)


class Roof:
    """A house over a journal, and calls built by the real channels."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.house = House(Journal(path))

    def restart(self) -> None:
        """Another process over the same file."""
        self.house = House(Journal(self.path))

    def token_of(self, sample: ChannelSample, stamp: Stamp) -> str:
        """The token that the provider gives."""
        keyed = _keyed(sample)
        request = keyed.build_token_request(stamp, is_forced=False)
        path = request.url.removeprefix("http://127.0.0.1")
        call = Call("POST", path, "", request.headers, request.body, stamp.now_ms)
        reply = self.house.receive(path.split("/")[1], call).reply
        return keyed.read_token(Answer(reply.status, {}, reply.body, stamp.now_ms)).value

    def send(self, name: str, number: int = 1, tail: str = "0000") -> Fate:
        """A channel's call; the clock moves on by a millisecond."""
        sample = sample_of(name)
        CLOCK.advance(1)
        stamp = Stamp(CLOCK.now_ms(), f"{CLOCK.now_ms():032d}")
        if sample.opening:
            stamp = structs.replace(stamp, token=self.token_of(sample, stamp))
        request = _request(sample, delivery(number, sample.channel), tail, stamp)
        if isinstance(request, Mail):
            told = {"mail-from": request.sender, "rcpt-to": request.recipient}
            return self.house.receive("smtp", Call("DATA", "", "", told, request.body, CLOCK.now_ms()))
        path, _, query = request.url.removeprefix("http://127.0.0.1").partition("?")
        return self.house.receive(
            path.split("/")[1], Call("POST", path, query, request.headers, request.body, CLOCK.now_ms())
        )


def _keyed(sample: ChannelSample) -> Keyed:
    channel: Any = channel_of(sample, sample.base_url("http://127.0.0.1"), Caller(1, 1, CLOCK))
    assert isinstance(channel, Keyed)
    return channel


def _request(sample: ChannelSample, one: Delivery, tail: str, stamp: Stamp) -> Request | Mail:
    channel = channel_of(sample, sample.base_url("http://127.0.0.1"), Caller(1, 1, CLOCK))
    return channel.build_request(one, sample.content_for(tail), stamp)


@pytest.fixture
def roof(tmp_path: Path) -> Roof:
    """Everything that the samples need."""
    made = Roof(tmp_path / "journal.jsonl")
    for name in channel_files():
        for kind, told in sample_of(name).told:
            made.house.tell(kind, told)
    return made


def test_every_provider_file_has_a_simulator() -> None:
    """Behind the path that its sample calls."""
    assert {sample_of(name).path.strip("/") for name in channel_files()} == PROVIDERS.keys()


@pytest.mark.parametrize("name", channel_files())
def test_what_it_answers_the_channel_understands(roof: Roof, name: str) -> None:
    """Two pieces of code that share nothing agree on the protocol."""
    reply = roof.send(name).reply
    sample = sample_of(name)
    channel = channel_of(sample, sample.base_url("http://127.0.0.1"), Caller(1, 1, CLOCK))
    accepted = channel.classify_response(Answer(reply.status, reply.headers, reply.body, CLOCK.now_ms()))
    assert accepted.provider_message_id
    (entry,) = roof.house.inbox.entries
    assert (entry.text, entry.message_id) == (sample.content.text, delivery().message_id.hex())


@pytest.mark.parametrize("name", channel_files())
def test_a_restart_remembers_everything(roof: Roof, name: str) -> None:
    """Messages, counts, templates, and how often scripts were used."""
    roof.house.tell("script", {"action": "cut", "match": "0031", "times": 2})
    assert roof.send(name, 1, "0031").action.kind == "cut"
    assert roof.send(name, 2, "0006").action.kind == "ok"
    before = roof.house.inbox
    roof.restart()
    assert roof.house.inbox.entries == before.entries
    assert roof.house.inbox.counts() == before.counts()
    assert roof.send(name, 3, "0031").action.kind == "cut"
    assert roof.send(name, 4, "0031").action.kind == "ok"
    assert [entry.outcome for entry in roof.house.inbox.entries] == ["taken", "refused", "taken", "taken"]


def test_an_idempotent_provider_takes_a_key_once(roof: Roof) -> None:
    """The second call is answered alike, and nobody reads it twice; without idempotency they do."""
    for name in ("webhook_standard", "sms_aliyun"):
        roof.send(name)
        assert roof.send(name).reply.status == 200
    outcomes = [(entry.provider, entry.outcome) for entry in roof.house.inbox.entries]
    assert outcomes == [("standard", "taken"), ("standard", "repeated"), ("aliyun", "taken"), ("aliyun", "taken")]


def test_a_cut_letter_was_taken_and_a_refused_one_was_not(roof: Roof) -> None:
    """What the sender cannot know, the inbox does."""
    roof.send("sms_aliyun", 1, "0008")
    roof.send("sms_aliyun", 2, "0009")
    roof.send("sms_aliyun", 3, "0007")
    found = [(entry.outcome, entry.action, entry.code) for entry in roof.house.inbox.entries]
    assert found == [
        ("taken", "cut", ""),
        ("refused", "code", "isv.SMS_CONTENT_ILLEGAL"),
        ("refused", "throttle", "throttle"),
    ]


def test_an_accounts_rate_is_a_ceiling(roof: Roof) -> None:
    """Over a second; a minute later there is room again."""
    roof.house.tell("limits", {"provider": "aliyun", "rate_per_s": 2})
    assert [json.loads(roof.send("sms_aliyun", number).reply.body)["Code"] for number in range(4)] == [
        "OK",
        "OK",
        "Throttling.User",
        "Throttling.User",
    ]
    CLOCK.advance(1_000)
    assert roof.send("sms_aliyun", 9).reply.status == 200


def test_a_reset_forgets_messages_and_scripts_but_not_templates(roof: Roof) -> None:
    """Also after a restart."""
    roof.house.tell("script", {"action": "cut"})
    roof.send("sms_aliyun")
    roof.house.tell("reset", {})
    roof.restart()
    assert roof.house.inbox.entries == []
    assert roof.send("sms_aliyun").action.kind == "ok"


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("script", {"action": "explode"}),
        ("script", {"action": "ok", "provider": "nobody"}),
        ("templates", {"provider": "nobody"}),
        ("templates", {"provider": "aliyun"}),
        ("limits", {"provider": "aliyun"}),
    ],
)
def test_nonsense_is_refused_and_not_remembered(roof: Roof, kind: str, told: dict[str, Any]) -> None:
    """A restart would stumble over it."""
    before = roof.path.read_bytes()
    with pytest.raises((ValueError, KeyError, msgspec.ValidationError)):
        roof.house.tell(kind, told)
    assert roof.path.read_bytes() == before


def test_a_wrong_signature_is_kept_as_refused(roof: Roof) -> None:
    """So that a test sees it."""
    call = Call("POST", "/aliyun", "", {}, b"", CLOCK.now_ms())
    fate = roof.house.receive("aliyun", call)
    assert fate.reply.status == 400
    assert [structs.asdict(entry)["code"] for entry in roof.house.inbox.entries] == ["IncompleteSignature"]
