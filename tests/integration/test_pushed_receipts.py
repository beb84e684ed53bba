"""Receipts that come to us: WeChat's pushes to the gateway, and bounces of mail, from the vendor to the message's end.

Real gateway, receipts role, settle and sinks, real broker, simulated WeChat and mail server: what a recipient's last
digits script is what becomes of the message.
"""

import hashlib
import http.client
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from msgspec import structs

from infra import crypto
from infra.kafka import LogReader
from infra.local import probe
from infra.local.ports import LOOPBACK, any_port
from infra.receipts.echo import Echo
from infra.receipts.return_path import return_path
from infra.simulators.wechat import DEMO_AES_KEY, DEMO_PUSH_TOKEN
from schemas import ids, topics
from schemas.codec import CONTENT, OUTCOME, REQUEST
from schemas.partitioner import partition_of
from schemas.records import NO_KEY, Event, Outcome, Plan, Request
from schemas.statuses import Lane, Stage
from tests import settle_rig
from tests.channel_samples import delivery
from tests.factories import plan_channel
from tests.integration import sink_stage
from tests.integration.sink_stage import SAMPLES, SinkStage, now_ms, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TIMEOUT_MS = 20_000
ROLE = "from sinks import receipt_role\nfrom infra import settings\nreceipt_role.run(settings.load())\n"
GATEWAY = "from producers.gateway import role\nfrom infra import settings\nrole.run(settings.load())\n"
BOUNCE_KEY, BOUNCE_PATH = "medpost-demo-bounce-key", "bounce@hean.example"
TABLE = {
    ("wechat", "0000", ""): ("delivered", "", "wechat"),
    ("wechat", "0002", "webhook"): ("delivered", "", "webhook"),
    ("wechat", "0011", ""): ("delivered", "", "wechat"),
    ("email", "0000", ""): ("delivered", "", "email"),
    ("email", "0004", ""): ("failed", "recipient_invalid", "email"),
    ("email", "0004", "webhook"): ("delivered", "", "webhook"),
    ("email", "0018", "webhook"): ("delivered", "", "webhook"),
}
"""(channel, last digits, fallback): how it ends, why, by which channel. 0002, 0004, 0018: sent, then failed."""


class Stage_(SinkStage):  # noqa: N801 - a stage to play on, not the stages of the log
    """Everything between intake and the vendors, and the two doors for receipts."""

    def __init__(self, kafka: str, home: Path, ports: tuple[int, int]) -> None:
        super().__init__(kafka, home, Lane.NORMAL)
        self.gateway, self.bounces = ports
        self.apply(success_levels=["accepted", "delivered"])
        self.start_sinks()
        self.processes.append(settle_rig.start_settle(self.settings, home / "settle.log"))
        self._start("receipts", "-c", ROLE)
        self._start("gateway", "-c", GATEWAY)
        self.tell("receipts", {"provider": "template", "url": f"http://{LOOPBACK}:{self.gateway}/v1/receipts/template"})
        self.tell("receipts", {"provider": "smtp", "url": f"smtp://{LOOPBACK}:{self.bounces}"})
        wait_for(lambda: probe.http_answers(LOOPBACK, self.gateway, "/ready"), 90, "the gateway ready")

    def ask_gateway(self, method: str, query: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
        """One call to WeChat's push address."""
        link = http.client.HTTPConnection(LOOPBACK, self.gateway, timeout=10)
        try:
            link.request(method, f"/v1/receipts/template?{urlencode(query)}", body or None)
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()

    def accept(self, number: int, channel: str, tail: str, fallback: str) -> bytes:
        """Intake accepts a message to a recipient with these last digits; its id."""
        one, now = delivery(number), now_ms()
        wanted = [(channel, 0.9, tail), *([(fallback, 0.5, "0000")] if fallback else [])]
        channels = []
        for name, weight, digits in wanted:
            content = CONTENT.encode(SAMPLES[name].content_for(digits))
            sealed = self.keyring.ring("parts").seal(content, crypto.part_place(one.message_id, name))
            planned = plan_channel(name, weight, success="delivered", timeout_ms=TIMEOUT_MS)
            channels.append(structs.replace(planned, sealed=sealed))
        plan = Plan(reference=str(number), send_at=now, expires_at=now + 600_000, threshold=0.6, channels=channels)
        event = Event(
            one.message_id, Stage.ACCEPTED, status="accepted", at=now, accepted_at=now, app_id="his", type=one.type,
            lane=self.lane, plan=plan,
        )  # fmt: skip
        partition = partition_of(one.message_id, self.settings.partitions)
        settle_rig.publish(self.publisher, self.name(topics.events(self.lane)), event, partition)
        return one.message_id

    def outcomes(self) -> dict[str, Outcome]:
        """The last outcome of every message."""
        with LogReader(self.settings.kafka) as reader:
            told: list[Outcome] = [OUTCOME.decode(one.value) for one in reader.read_all(self.name(topics.OUTCOMES))]
        return {one.message_id: one for one in told}

    def requests(self) -> list[Request]:
        """Everything that was asked of settle."""
        with LogReader(self.settings.kafka) as reader:
            return [REQUEST.decode(one.value) for one in reader.read_all(self.name(topics.REQUESTS))]

    def pushed_by_wechat(self) -> list[Request]:
        """As the gateway published them: they name the vendor's own id only."""
        return [one for one in self.requests() if one.provider == "template" and one.message_id == NO_KEY]


@pytest.fixture(scope="module")
def stage(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage_]:
    """WeChat encrypts its pushes, mail leaves with a return path and asks for reports of delivery."""
    ports = (any_port(), any_port())
    samples, wechat, email = dict(SAMPLES), SAMPLES["wechat"], SAMPLES["email"]
    push = {"push_token": DEMO_PUSH_TOKEN, "aes_key": DEMO_AES_KEY}
    reports = {"return_path": BOUNCE_PATH, "delivery_reports": "on"}
    samples["wechat"] = structs.replace(wechat, secrets={**wechat.secrets, **push})
    samples["email"] = structs.replace(
        email, settings={**email.settings, **reports}, secrets={**email.secrets, "bounce_key": BOUNCE_KEY}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sink_stage, "SAMPLES", samples)
        patch.setenv("MEDPOST_GATEWAY_PORT", str(ports[0]))
        patch.setenv("MEDPOST_BOUNCES_PORT", str(ports[1]))
        made = Stage_(kafka, tmp_path_factory.mktemp("pushed"), ports)
        yield made
        made.close()


def signed(*parts: str, at_s: int | None = None, token: str = DEMO_PUSH_TOKEN) -> dict[str, str]:
    """A query as WeChat signs it."""
    at = str(at_s or int(time.time()))
    word = "".join(sorted([token, at, "n1", *parts])).encode()
    digest = hashlib.sha1(word).hexdigest()  # noqa: S324 - the vendor's choice
    return {"timestamp": at, "nonce": "n1", "signature": digest}


def test_what_comes_back_decides_how_a_message_ends(stage: Stage_) -> None:
    """Delivered, refused later, bounced with a report or in words: proved, fallen back, or failed."""
    sent = {ids.show(stage.accept(number, *row)): row for number, row in enumerate(TABLE, start=1)}
    wait_for(lambda: stage.outcomes().keys() == sent.keys(), 60, "every message final")
    found = {sent[of]: (one.status, one.reason, one.channel) for of, one in stage.outcomes().items()}
    assert found == TABLE
    wait_for(lambda: len(stage.pushed_by_wechat()) == 4, 60, "the second push about ...0011")
    assert len({one.request_id for one in stage.pushed_by_wechat()}) == 3
    receipts = [one for one in stage.events() if one.stage == Stage.RECEIPT]
    told = sorted((sent[ids.show(one.message_id)], one.status) for one in receipts if one.channel != "webhook")
    status = {"0000": "delivered", "0011": "delivered"}
    assert told == sorted((row, status.get(row[1], "failed")) for row in TABLE)
    assert {one.provider for one in receipts} == {"template", "smtp"}


def test_wechat_tries_the_address_and_forgers_are_told_no(stage: Stage_) -> None:
    """The echo to whoever knows the token; 403 to others, and nothing is published."""
    before = len(stage.requests())
    assert stage.ask_gateway("GET", {**signed(), "echostr": "5577006791947779410"}) == (200, b"5577006791947779410")
    assert stage.ask_gateway("GET", {**signed(token="guessed"), "echostr": "x"})[0] == 403
    assert stage.ask_gateway("GET", {"signature": "é", "timestamp": "1", "nonce": "", "echostr": ""})[0] == 403
    told = "<Event>TEMPLATESENDJOBFINISH</Event><MsgID>1</MsgID><Status>success</Status>"
    plain = f"<xml><MsgType>event</MsgType>{told}</xml>".encode()
    assert (
        stage.ask_gateway("POST", signed(), plain)[0] == 403
    )  # signed, but a key was agreed: only what it sealed counts
    sealed = b"<xml><Encrypt><![CDATA[AAAA]]></Encrypt></xml>"
    assert stage.ask_gateway("POST", {**signed(), "msg_signature": signed("AAAA")["signature"]}, sealed)[0] == 403
    assert stage.ask_gateway("POST", {**signed(at_s=int(time.time()) - 400), "msg_signature": ""}, sealed)[0] == 403
    assert len(stage.requests()) == before


def test_a_bounce_nobody_can_make_up(stage: Stage_) -> None:
    """Over a real connection: a token of another key is refused at its name; one of ours is taken, and counts."""
    attempt = Echo(delivery(77).message_id, 1, 0, bytes(16))
    report = (
        "From: MAILER-DAEMON@mx\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\nStatus: 5.2.2\r\n"
    )
    with smtplib.SMTP(LOOPBACK, stage.bounces, timeout=10) as link:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            link.sendmail("", [return_path(BOUNCE_PATH, "another-key-0000000", attempt)], report)
        link.sendmail("", [return_path(BOUNCE_PATH, BOUNCE_KEY, attempt)], report)
    found = [one for one in stage.requests() if one.message_id == attempt.message_id]
    assert [(one.status, one.reason, one.provider) for one in found] == [("failed", "recipient_unreachable", "smtp")]
