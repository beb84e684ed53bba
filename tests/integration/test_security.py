"""A broker that asks for user and password: every client library gets in with them, and nobody without."""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.hub.tail import LogTail
from infra.kafka import LogReader, Publisher, TopicSpec, ping, provision
from infra.local import broker, processes
from infra.local.ports import LOOPBACK, any_port
from infra.security import BrokerAddress, Security
from schemas.errors import UnavailableError

LOGIN = Security("sasl_plaintext", "PLAIN", "medpost", "right")


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
            f'listener.name.sasl.plain.sasl.jaas.config={module} required user_medpost="right";\n'
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
