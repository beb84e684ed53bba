"""A broker that asks for user and password: every client library gets in, nobody without them; quotas bind users."""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from msgspec import structs

from console.kafka_quotas import put_into_effect
from infra.client_quotas import BYTES_PER_MESSAGE
from infra.hub.quotas import alter, described
from infra.hub.tail import LogTail
from infra.kafka import LogReader, Publisher, TopicSpec, ping, provision
from infra.local import broker, processes
from infra.local.ports import LOOPBACK, any_port
from infra.security import BrokerAddress, Security, librdkafka_properties
from infra.settings import Settings
from schemas.configuration import AppConfig
from schemas.errors import UnavailableError

LOGIN = Security("sasl_plaintext", "PLAIN", "medpost", "right")
USERS = ("medpost", "his", "lis")
"""Each may do everything; `guest` may log in, and no more."""
FLOOD_RECORDS = 28


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a listener with SASL PLAIN, on a broker of its own."""
    port = any_port()
    usual = broker.properties
    site = broker.site_under(tmp_path_factory.mktemp("guarded"), any_port(), any_port())

    def with_login(site: broker.BrokerSite, log_folder: Path) -> str:
        text = usual(site, log_folder)
        text = re.sub(r"^((?:advertised\.)?listeners)=", rf"\1=SASL://{LOOPBACK}:{port},", text, flags=re.MULTILINE)
        module = "org.apache.kafka.common.security.plain.PlainLoginModule"
        return text + (
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT\n"
            "listener.name.sasl.sasl.enabled.mechanisms=PLAIN\n"
            f"listener.name.sasl.plain.sasl.jaas.config={module} required "
            + "".join(f'user_{user}="right" ' for user in (*USERS, "guest"))
            + ";\nauthorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
            + f"super.users=User:ANONYMOUS;{';'.join(f'User:{user}' for user in USERS)}\n"
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broker, "properties", with_login)
        running = broker.start(site, os.environ, ends_with_parent=True)
    yield f"{LOOPBACK}:{port}"
    processes.stop([running], broker.STOP_GRACE_S)


def test_with_user_and_password_everything_works(guarded: str) -> None:
    """Provisioning, publishing, reading by librdkafka; reading by aiokafka."""
    address = BrokerAddress(guarded, LOGIN)
    provision(address, [TopicSpec("t", 1)])
    publisher = Publisher(address)
    publisher.publish("t", b"value", b"key")
    assert publisher.close(10) == 0
    with LogReader(address) as reader:
        assert [record.value for record in reader.read("t", 0)] == [b"value"]

    async def by_aiokafka() -> int:
        tail = LogTail(address)
        try:
            return await tail.end_offset("t", 0)
        finally:
            await tail.close()

    assert asyncio.run(by_aiokafka()) == 1


@pytest.mark.parametrize("security", [Security(), Security("sasl_plaintext", "PLAIN", "medpost", "wrong")])
def test_without_them_nobody_gets_in(guarded: str, security: Security) -> None:
    """One clear line within the time given, and it holds no password."""
    start = time.monotonic()
    with pytest.raises(UnavailableError) as refused:
        ping(BrokerAddress(guarded, security), 2.0)
    assert time.monotonic() - start < 10
    assert "wrong" not in str(refused.value)


def settings_of(guarded: str, home: Path, user: str = "medpost") -> Settings:
    """An installation that logs in as that user."""
    return Settings.model_validate(
        {
            "home": home,
            "kafka": guarded,
            "kafka_security": "sasl_plaintext",
            "kafka_user": user,
            "kafka_password": "right",
        }
    )


def throttled_ms(guarded: str, user: str) -> int:
    """How long the broker tells that user to wait, at most, when he sends 28 kB at once, and then one record more."""
    told = [0]
    properties = librdkafka_properties(BrokerAddress(guarded, structs.replace(LOGIN, user=user)))
    producer = Producer(
        {**properties, "linger.ms": 0, "throttle_cb": lambda event: told.append(round(event.throttle_time * 1000))}
    )
    for _ in range(FLOOD_RECORDS):
        producer.produce("flood", os.urandom(1_000))
    producer.flush(10)
    producer.produce("flood", b"one more")
    producer.flush(1)
    producer.purge()
    producer.flush(1)
    return max(told)


def test_a_flooding_user_is_held_to_the_registry_s_quota(guarded: str, tmp_path: Path) -> None:
    """Set, read back, nothing to do the second time; one who floods is throttled, another not; taken away again."""
    provision(BrokerAddress(guarded, LOGIN), [TopicSpec("flood", 1)])
    settings, his = settings_of(guarded, tmp_path), {"his": AppConfig("his", messages_per_s=1.0)}
    assert [line.is_warning for line in put_into_effect(settings, {}, his)] == [False]
    assert described(BrokerAddress(guarded, LOGIN)) == {"his": {"producer_byte_rate": float(BYTES_PER_MESSAGE)}}
    assert put_into_effect(settings, his, his) == []
    assert throttled_ms(guarded, "his") > 500
    assert throttled_ms(guarded, "lis") == 0
    assert len(put_into_effect(settings, his, {"his": AppConfig("his")})) == 1
    assert described(BrokerAddress(guarded, LOGIN)) == {}


def test_who_may_not_set_quotas_is_told_so(guarded: str, tmp_path: Path) -> None:
    """A warning with the broker's word and what to do; nothing raised, nothing set."""
    guest = settings_of(guarded, tmp_path, "guest")
    (line,) = put_into_effect(guest, {}, {"lis": AppConfig("lis", request_percent=5.0)})
    assert line.is_warning
    assert "ClusterAuthorizationFailedError" in line.text
    address = BrokerAddress(guarded, structs.replace(LOGIN, user="guest"))
    assert alter(address, {"lis": {"request_percentage": 5.0}}) == {"lis": "ClusterAuthorizationFailedError"}
    assert described(BrokerAddress(guarded, LOGIN)) == {}
