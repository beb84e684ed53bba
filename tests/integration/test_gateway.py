"""The HTTP gateway as a process, against the real broker and store: what was promised is there, whatever happens."""

import base64
import hashlib
import hmac
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from console.cli.registry import apply_place, sample_folder
from infra import migrate
from infra.clickhouse import Store
from infra.kafka import LogReader, Publisher
from infra.local import broker, processes
from infra.local.ports import LOOPBACK, any_port
from infra.local.probe import http_answers
from infra.registry_files import load
from infra.tokens import mint
from producers.async_http_client import AsyncHttpClient
from producers.gateway.openapi import document
from producers.http_client import HttpClient
from producers.http_wire import HttpOptions
from producers.requests import MessageRequest
from schemas import ids
from schemas.codec import BACKLOG, EVENT, REQUEST
from schemas.records import Backlog, BacklogApp, BacklogLine, Event, Request
from sinks.ingest import Ingest
from tests import openapi_probe
from tests.integration.gateway_stage import SECRETS, VISIT, Stage, prepared, registration, running

pytestmark = [pytest.mark.slow]
HOUR_MS = 3_600_000
MANY = {f"m{n}": "" for n in range(10_000)}


@pytest.fixture(scope="module")
def stage(kafka: str, clickhouse: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway that cuts slow clients after a second, over a migrated database of its own."""
    home = tmp_path_factory.mktemp("gateway")
    url = f"{clickhouse}/gateway{uuid.uuid4().hex[:8]}"
    with Store(url) as store:
        migrate.apply(store)
    limits = {
        "gateway_body_s": 1.0,
        "gateway_idle_s": 1.5,
        "gateway_connections": 40,
        "gateway_messages_per_day": 5_000,
    }
    with running(prepared(home, kafka, url, **limits), home / "gateway.log") as one:
        yield one


def written(stage: Stage, *events: Event) -> None:
    """Store events as the trace writer does."""
    with Store(stage.settings.clickhouse) as store:
        assert Ingest(store, lambda *_: None).write([EVENT.encode(event) for event in events]) == []


def event(message_id: str, what: str, **changes: Any) -> Event:
    """One event of a message of the HIS, two hours old."""
    now_ms = time.time_ns() // 1_000_000
    accepted = now_ms - 2 * HOUR_MS
    made = Event(
        ids.parse(message_id), what, status=what, at=accepted, accepted_at=accepted, app_id="his",
        type="registration_confirmed", lane="normal",
    )  # fmt: skip
    return structs.replace(made, **{"at": accepted + changes.get("latency_ms", 0), **changes})


def requests_in(stage: Stage) -> list[Request]:
    """Everything that was asked about messages."""
    with LogReader(stage.settings.kafka) as reader:
        return [REQUEST.decode(record.value) for record in reader.read_all(stage.settings.topic("requests"))]


def tell_backlog(stage: Stage, told: Backlog) -> None:
    """As settle does; returns when the gateway has surely heard it."""
    publisher = Publisher(stage.settings.kafka)
    publisher.publish(stage.settings.topic("stats.backlog"), BACKLOG.encode(told), b"normal/0")
    assert publisher.close(10) == 0
    time.sleep(0.5)


def webhook_secret() -> str:
    """The one that the sample registry names."""
    (found,) = (one for one in load(sample_folder()).channels.values() if one.provider == "standard")
    return str(json.loads(found.secrets)["secret"])


def codes(reply: Any) -> list[tuple[str, str]]:
    """Code and pointer of every problem of an answer."""
    return [(one["code"], one["source"].get("pointer", "")) for one in reply.body["errors"]]


def test_what_was_taken_is_in_the_log_and_a_repeat_is_the_same(stage: Stage) -> None:
    """202 with the reference's id, the caller's own token beside the record; another body is refused."""
    first = stage.call("POST", "/v1/messages", registration("same"))
    again = stage.call("POST", "/v1/messages", registration("same"))
    other = stage.call("POST", "/v1/messages", registration("same", personalisation={**VISIT, "number": "13"}))
    message_id = ids.show(ids.from_reference("his", "same"))
    assert [reply.status for reply in (first, again, other)] == [202, 202, 409]
    assert first.body == again.body == {
        "message_id": message_id, "status": "accepted", "links": {"self": f"/v1/messages/{message_id}"},
    }  # fmt: skip
    assert codes(other) == [("reference_conflict", "/reference")]
    found = [message for message in stage.log() if message.reference == "same"]
    assert [(one.message_id, one.app_id, one.personalisation) for one in found] == [(message_id, "his", VISIT)] * 2


def test_a_message_that_the_platform_refused_may_be_mended(stage: Stage) -> None:
    """Another body under its reference is no conflict: the refusal ended that request, not the id."""
    taken = stage.call("POST", "/v1/messages", registration("mended"))
    written(stage, event(taken.body["message_id"], "rejected", reason="recipient_unknown"))
    other = registration("mended", recipient={"id_type": "patient_id", "id_value": "P0002"})
    assert stage.call("POST", "/v1/messages", other).status == 202


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (registration(tipe=1), 400, [("param_invalid", "/tipe")]),
        (registration(type="nix"), 400, [("type_unknown", "/type")]),
        (registration(type="lab_report"), 403, [("type_not_granted", "/type")]),
        (registration(personalisation=MANY), 400, [("param_invalid", "/personalisation")]),
        (MANY, 400, [("param_invalid", f"/m{number}") for number in range(20)]),
        (b"[" * 200_000, 400, [("param_invalid", "")]),
        (b"\x00", 400, [("decode_error", "")]),
        (b" " * 300_000, 413, [("too_large", "")]),
    ],
)  # fmt: skip
def test_a_wrong_body_is_refused_by_name(stage: Stage, body: Any, status: int, told: list[tuple[str, str]]) -> None:
    """However large or deep it is."""
    reply = stage.call("POST", "/v1/messages", body)
    assert (reply.status, codes(reply)) == (status, told)


def test_wrong_ways_in_are_told_in_our_words(stage: Stage) -> None:
    """Unknown places, methods, kinds of body, long headers, what is no HTTP; the correlation id comes back."""
    token = {"Authorization": f"Bearer {stage.token()}"}
    assert stage.ask("GET", "/v1/nix").status == 404
    assert stage.ask("PUT", "/v1/messages").headers["Allow"] == "GET,POST"
    assert stage.ask("POST", "/v1/messages", b"a=1", {**token, "Content-Type": "text/plain"}).status == 415
    assert stage.ask("POST", "/v1/messages", b"{}", {**token, "Content-Encoding": "gzip"}).status == 415
    assert stage.ask("GET", "/live", headers={"X-Long": "x" * 9_000}).status == 400
    assert stage.ask("GET", "/live", headers={"X-Correlation-ID": "his-7"}).headers["X-Correlation-ID"] == "his-7"
    assert len(stage.ask("GET", "/live", headers={"X-Correlation-ID": "a b"}).headers["X-Correlation-ID"]) == 36
    with socket.create_connection((LOOPBACK, stage.settings.gateway_port), 5) as link:
        link.sendall(b"what is this?\r\n\r\n")
        assert link.recv(4096).startswith(b"HTTP/1.0 400") or b"400" in link.recv(4096)


def test_a_caller_proves_who_it_is(stage: Stage) -> None:
    """The refused check is named; the clock's error is told to whoever signed well."""
    assert codes(stage.ask("POST", "/v1/messages", {})) == [("token_missing", "")]
    early = mint("his", "his-1", "HS256", SECRETS["his"], time.time() + 95)
    reply = stage.ask("POST", "/v1/messages", {}, {"Authorization": f"Bearer {early}"})
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert reply.body["errors"][0]["detail"]["en"].startswith("your clock is 9")
    wrong = stage.ask("POST", "/v1/token", {"app_key": "his", "app_secret": "x" * 40})
    assert (wrong.status, codes(wrong)) == (401, [("app_unknown", "")])


def test_an_application_sees_its_own_messages_only(stage: Stage) -> None:
    """Standing, trace and backlog; nobody's pseudonym, no hash; to others the message does not exist."""
    done, waiting = (ids.show(ids.from_reference("his", name)) for name in ("old-done", "old-open"))
    written(
        stage,
        event(done, "accepted", recipient_key=b"r" * 16),
        event(done, "sending", channel="sms", attempt=1, latency_ms=20),
        event(done, "completed", status="delivered", channel="sms", attempts=1, latency_ms=900, text_hash=b"t" * 16),
        event(waiting, "accepted"),
        event(waiting, "issued", channel="sms", attempt=1, latency_ms=5),
    )
    found = stage.call("GET", f"/v1/messages/{done}")
    assert (found.status, found.body["status"], found.body["channel"], found.body["latency_ms"]) == (
        200, "delivered", "sms", 900,
    )  # fmt: skip
    assert found.body["accepted_at"].endswith("+08:00")
    assert not {"recipient_key", "text_hash", "address_hash"} & found.body.keys()
    assert stage.call("GET", "/v1/messages?reference=old-done").body == found.body
    trace = stage.call("GET", f"/v1/messages/{done}/events")
    assert [one["stage"] for one in trace.body["events"]] == ["accepted", "sending", "completed"]
    tell_backlog(stage, Backlog("normal", 0, "w", 0, [BacklogApp("his", 4)], [BacklogLine("sms", "his", 2, 1)]))
    backlog = stage.call("GET", "/v1/apps/his/backlog")
    assert (backlog.body["messages"], backlog.body["is_complete"]) == (4, False)
    (line,) = backlog.body["channels"]
    assert (line["lane"], line["channel"], line["messages"], line["waiting"], line["eta_s"]) == (
        "normal", "sms", 3, 2, None,
    )  # fmt: skip
    for path in (
        f"/v1/messages/{done}",
        f"/v1/messages/{done}/events",
        "/v1/messages?reference=old-done",
        "/v1/apps/his/backlog",
    ):
        assert stage.call("GET", path, app="lis").status == 404


def test_a_young_id_is_never_unknown(stage: Stage) -> None:
    """What was just taken, and what was just minted elsewhere, is accepted and on its way to the store."""
    taken = stage.call("POST", "/v1/messages", registration("young"))
    minted = ids.show(ids.mint(time.time_ns() // 1_000_000, os.urandom(10)))
    for message_id in (taken.body["message_id"], minted):
        reply = stage.call("GET", f"/v1/messages/{message_id}")
        assert (reply.status, reply.body["status"], reply.headers["Retry-After"]) == (202, "accepted", "1")
        assert stage.call("GET", f"/v1/messages/{message_id}/events").status == 202
    assert stage.call("GET", "/v1/messages?reference=never-sent").status == 404


def test_a_cancellation_is_asked_for_and_told_truthfully(stage: Stage) -> None:
    """Nothing shown in time: pending; shown as cancelled: so; ended before: too late; never seen: unknown."""
    taken = stage.call("POST", "/v1/messages", registration("cancel"))
    message_id = taken.body["message_id"]
    pending: list[Any] = []
    asking = threading.Thread(target=lambda: pending.append(stage.call("POST", f"/v1/messages/{message_id}/cancel")))
    asking.start()
    time.sleep(0.6)
    written(stage, event(message_id, "accepted"), event(message_id, "completed", status="cancelled", latency_ms=9))
    asking.join(20)
    assert [(reply.status, reply.body["status"]) for reply in pending] == [(200, "cancelled")]
    with_reader = stage.call("POST", f"/v1/messages/{ids.show(ids.from_reference('his', 'old-done'))}/cancel", {})
    assert (with_reader.status, codes(with_reader)) == (409, [("too_late", "")])
    assert stage.call("POST", f"/v1/messages/{uuid.UUID(int=5)}/cancel").status == 404
    asked = [one for one in requests_in(stage) if one.kind == "cancel"]
    assert [(ids.show(one.message_id), one.app_id) for one in asked] == [(message_id, "his")]


def test_receipts_of_believed_senders_become_requests(stage: Stage) -> None:
    """Signed with the channel's secret: published before it is answered; else refused, and nothing is published."""
    message_id = ids.mint(7, bytes(10))
    told = {"type": "message.receipt", "data": {"message_id": ids.show(message_id), "status": "acknowledged"}}
    body, at = json.dumps(told).encode(), str(int(time.time()))
    key = base64.b64decode(webhook_secret().removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"w1.{at}.".encode() + body, "sha256")).decode()
    signed = {"webhook-id": "w1", "webhook-timestamp": at, "webhook-signature": f"v1,{signature}"}
    taken = stage.ask("POST", "/v1/receipts/standard", body, signed)
    assert (taken.status, taken.body) == (200, {"received": True})
    assert codes(stage.ask("POST", "/v1/receipts/standard", body + b" ", signed)) == [("sender_not_believed", "")]
    assert stage.ask("POST", "/v1/receipts/nobody", body, signed).status == 404
    found = [one for one in requests_in(stage) if one.kind == "receipt"]
    assert [(one.message_id, one.status, one.provider) for one in found] == [(message_id, "acknowledged", "standard")]


def test_wechat_s_trial_is_answered_in_its_own_words(stage: Stage) -> None:
    """The echo as text to whoever knows the push token of the sample; 403, in ours, to everybody else."""
    at, token = str(int(time.time())), load(sample_folder()).channels["wechat"]
    word = "".join(sorted([json.loads(token.secrets)["push_token"], at, "n"])).encode()
    digest = hashlib.sha1(word).hexdigest()  # noqa: S324 - the vendor's choice
    asked = f"/v1/receipts/template?timestamp={at}&nonce=n&echostr=5577006791947779410"
    taken = stage.ask("GET", f"{asked}&signature={digest}")
    assert (taken.status, taken.body) == (200, 5577006791947779410)
    assert taken.headers["Content-Type"].startswith("text/plain")
    for wrong in ("", "&signature=%C3%A9", f"&signature={digest[::-1]}"):
        assert codes(stage.ask("GET", asked + wrong)) == [("sender_not_believed", "")]
    assert stage.ask("GET", asked.replace("template", "aliyun")).status == 404


def test_an_application_s_own_limits_are_in_force_when_they_are_applied(stage: Stage, tmp_path: Path) -> None:
    """From the registry, without a restart; the 429 names them in both languages, and when to come back."""
    limits = {"small": {"messages_per_day": 1}, "slow": {"requests_per_s": 0.01}}
    grants = {"types": ["registration_confirmed"], "channels": ["sms"]}
    secrets = {name: f"demo-only-{name}-0123456789-abcdefghijklmn" for name in limits}
    apps = [
        {"id": name, "name": "x", "keys": [{"id": f"{name}-1", "secret": secrets[name]}], "grants": grants, "http": one}
        for name, one in limits.items()
    ]
    (tmp_path / "apps.yaml").write_text(json.dumps({"apps": apps}))  # JSON is YAML
    apply_place(stage.settings, tmp_path)

    def sent(name: str, reference: str) -> Any:
        token = mint(name, f"{name}-1", "HS256", secrets[name], time.time(), 300)
        return stage.ask("POST", "/v1/messages", registration(reference), {"Authorization": f"Bearer {token}"})

    until = time.monotonic() + 60
    while (first := sent("small", "s1")).status == 401:
        assert time.monotonic() < until
        time.sleep(0.1)
    spent = sent("small", "s2")
    assert (first.status, spent.status, codes(spent)) == (202, 429, [("quota_exhausted", "")])
    assert "当日额度 1 条" in spent.body["errors"][0]["detail"]["zh"]
    taken, hasty = sent("slow", "s1"), sent("slow", "s2")
    assert (taken.status, taken.headers["RateLimit-Limit"]) == (202, "1")
    assert (hasty.status, codes(hasty)) == (429, [("rate_limited", "")])
    assert 50 < int(hasty.headers["Retry-After"]) <= 100
    assert hasty.body["errors"][0]["detail"]["en"].startswith("at most 0.01 requests a second; come again in ")


def test_a_batch_is_taken_message_by_message(stage: Stage) -> None:
    """The good ones have ids in their places; the others are told, the first hundred of them; again it is the same."""
    messages: list[Any] = [
        {"recipient": registration()["recipient"], "type": "registration_confirmed", "personalisation": VISIT}
    ] * 800
    messages += [registration(f"b{n}") for n in range(50)] + [registration("x", channels=["fax"])] * 149 + ["?"]
    first = stage.call("POST", "/v1/message-batches", {"batch_reference": "b1", "messages": messages})
    again = stage.call("POST", "/v1/message-batches", {"batch_reference": "b1", "messages": messages})
    assert (first.status, first.body["accepted"], first.body["refused"]) == (202, 850, 150)
    assert again.body == first.body
    made = first.body["message_ids"]
    assert len(set(made[:850])) == 850
    assert made[800] == ids.show(ids.from_reference("his", "b0"))
    assert made[850:] == [None] * 150
    assert len(first.body["errors"]) == 100
    assert first.body["errors"][0]["source"]["pointer"] == "/messages/850/channels"
    assert {message.message_id for message in stage.log()} >= set(made[:850])
    refused = stage.call("POST", "/v1/message-batches", {"batch_reference": "b1", "messages": [1, {}]})
    assert (refused.status, codes(refused)) == (
        400,
        [("param_invalid", "/messages/0"), ("missing_parameter", "/messages/1/type")],
    )
    beyond = stage.call("POST", "/v1/message-batches", {"batch_reference": "b1", "messages": [1] * 40_001})
    assert codes(beyond) == [("param_invalid", "/messages")]
    quota = stage.call("POST", "/v1/message-batches", {"batch_reference": "b2", "messages": [1] * 40_000})
    assert (quota.status, codes(quota)) == (429, [("quota_exhausted", "")])
    assert 0 < int(quota.headers["Retry-After"]) <= 86_400
    assert stage.call("POST", "/v1/messages", registration("b0")).status == 202


def test_a_connection_that_fell_asleep_is_replaced(stage: Stage) -> None:
    """The client's idle connection is closed by the gateway; the next message does not fail, and does not wait."""
    with HttpClient(stage.url, "his", SECRETS["his"], HttpOptions(delivery_timeout_s=0.1)) as client:
        for number in range(2):
            request = MessageRequest(
                type="registration_confirmed",
                recipient=("patient_id", "P0001"),
                personalisation=VISIT,
                reference=f"s{number}",
            )
            assert client.submit(request).result() == client.id_of(request)
            time.sleep(2.0 * (number == 0))


def test_slow_clients_are_cut_and_too_many_turned_away(stage: Stage) -> None:
    """Half a body is answered 408 in its time, half a head closed; the forty-first connection is told 503."""
    port = stage.settings.gateway_port
    head = f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stage.token()}\r\n"
    head += "Content-Type: application/json\r\n"
    with (
        socket.create_connection((LOOPBACK, port), 10) as slow,
        socket.create_connection((LOOPBACK, port), 10) as silent,
    ):
        slow.sendall(f"{head}Content-Length: 500\r\n\r\n{{".encode())
        silent.sendall(head.encode())
        began = time.monotonic()
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")
        assert silent.recv(4096) == b""
        assert time.monotonic() - began < 5
    crowd = [socket.create_connection((LOOPBACK, port), 10) for _ in range(41)]
    try:
        crowd[-1].settimeout(1)
        assert crowd[-1].recv(4096).startswith(b"HTTP/1.1 503")
    finally:
        for link in crowd:
            link.close()
    time.sleep(0.2)
    assert stage.ask("GET", "/ready").status == 200


def test_a_client_that_does_not_read_is_cut(stage: Stage) -> None:
    """Its answers do not pile up: of two hundred that it asked for, few were ever made."""
    asked = 200
    with socket.create_connection((LOOPBACK, stage.settings.gateway_port), 10) as link:
        link.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * asked)
        time.sleep(3)
        link.settimeout(5)
        taken = 0
        with suppress(ConnectionError):
            while piece := link.recv(1 << 20):
                taken += piece.count(b"HTTP/1.1 200")
    assert taken < asked
    assert stage.ask("GET", "/ready").status == 200


async def test_both_http_clients_send_what_arrives(stage: Stage) -> None:
    """Their ids are those in the log; a refusal is typed; waiting too long in line is not."""
    asked = [
        MessageRequest(
            type="registration_confirmed", recipient=("patient_id", "P0001"), personalisation=VISIT, reference=f"c{n}"
        )
        for n in range(30)
    ]  # fmt: skip
    wrong = MessageRequest(type="nix", recipient=("patient_id", "P0001"))
    with HttpClient(stage.url, "his", SECRETS["his"], HttpOptions(connections=4)) as client:
        ended = list(client.send_many([*asked, wrong]))
    async with AsyncHttpClient(stage.url, "his", SECRETS["his"], HttpOptions(connections=4)) as other:
        ended_too = [sent async for sent in other.send_many([*asked, wrong])]
    assert [(one.message_id, str(one.error)) for one in ended[:30]] == [
        (one.message_id, "None") for one in ended_too[:30]
    ]
    assert {one.message_id for one in ended[:30]} <= {message.message_id for message in stage.log()}
    for one in (ended[30], ended_too[30]):
        assert one.error is not None
        assert one.error.reason == "type_unknown"


def test_every_answer_is_as_documented(stage: Stage) -> None:
    """Driven from the document that it serves: right and wrong requests, no 5xx, every shape as it says."""
    told = stage.ask("GET", "/v1/openapi.json").body
    assert told["paths"].keys() == document()["paths"].keys()
    token, seen = {"Authorization": f"Bearer {stage.token()}"}, set[tuple[str, int]]()

    @settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(openapi_probe.requests(told), st.sampled_from([token, token, token, {}, {"Authorization": "Bearer x.y.z"}]))
    def drive(asked: openapi_probe.Asked, headers: dict[str, str]) -> None:
        reply = stage.ask(asked.method, asked.path, asked.body, headers)
        seen.add((asked.operation["operationId"], reply.status))
        assert reply.status < 500, (asked.path, reply)
        assert str(reply.status) in asked.operation["responses"], (asked.method, asked.path, reply)
        shape = asked.operation["responses"][str(reply.status)]["content"]["application/json"]["schema"]
        assert openapi_probe.faults(reply.body, shape, told) == [], (asked.path, reply)

    drive()
    assert {status for _, status in seen} >= {200, 400, 401, 404}


@pytest.mark.timeout(300)
def test_a_broker_that_is_away_is_a_503_and_then_the_same_message(clickhouse: str, tmp_path: Path) -> None:
    """Killed in the middle: no 202 without it, the id to retry under, and in the end everything is there once."""
    site = broker.site_under(tmp_path / "broker", any_port(), any_port())
    alive = broker.start(site, os.environ, ends_with_parent=True)
    try:
        made = prepared(tmp_path / "home", site.bootstrap, f"{clickhouse}/none", gateway_ack_s=1.0)
        with running(made, tmp_path / "gateway.log") as stage:
            taken = stage.call("POST", "/v1/messages", registration("before"))
            os.kill(alive.pid, 9)
            began = time.monotonic()
            away = stage.call("POST", "/v1/messages", registration("during"))
            batch = {"batch_reference": "b", "messages": [registration(), registration("during-too")]}
            batch_away = stage.call("POST", "/v1/message-batches", batch)
            assert time.monotonic() - began < 8
            assert stage.ask("GET", "/live").status == 200
            assert http_answers(LOOPBACK, made.gateway_port, "/ready")
            alive = broker.start(site, os.environ, ends_with_parent=True)
            until = time.monotonic() + 40
            while (back := stage.call("POST", "/v1/messages", registration("during"))).status == 503:
                assert time.monotonic() < until
                time.sleep(0.2)
            batch_back = stage.call("POST", "/v1/message-batches", batch)
            found = {message.message_id for message in stage.log()}
    finally:
        processes.stop([alive], broker.STOP_GRACE_S)
    assert (taken.status, away.status, batch_away.status) == (202, 503, 503)
    assert away.body["message_id"] == ids.show(ids.from_reference("his", "during")) == back.body["message_id"]
    assert (away.body["reference"], batch_away.body["reference"]) == ("during", "b")
    assert int(away.headers["Retry-After"]) > 0
    assert (back.status, batch_back.status, batch_back.body["accepted"]) == (202, 202, 2)
    assert found == {taken.body["message_id"], back.body["message_id"], *batch_back.body["message_ids"]}
