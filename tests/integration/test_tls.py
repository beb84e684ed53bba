"""A broker spoken to over TLS: everything works with the right files and login, and errors say what to set."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from infra import loop
from infra.hub import LogTail, Record
from infra.kafka import LogReader, Publisher, TopicSpec, ping, provision
from infra.kafka.read import REQUEST_S
from infra.local import doctor
from infra.security import BrokerAddress, Security
from infra.settings import Settings, environment_for
from producers.acknowledgement import NotAcknowledgedError
from producers.publisher import ClientOptions, MedpostClient
from schemas import topics
from schemas.codec import OUTCOME
from schemas.errors import UnavailableError
from tests import settle_rig
from tests.guarded_broker import PASSWORD, USER, Guarded, guarded_broker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
MESSAGES = 6


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One broker for the whole file."""
    with guarded_broker(tmp_path_factory.mktemp("tls")) as made:
        provision(made.open, [TopicSpec("t", 1)])
        yield made


def with_certificate(guarded: Guarded) -> BrokerAddress:
    """The listener that asks for a certificate of ours."""
    return BrokerAddress(guarded.tls, Security("ssl", ca=guarded.ca, certificate=guarded.certificate, key=guarded.key))


def doors(guarded: Guarded) -> dict[str, BrokerAddress]:
    """Every way in that the settings offer."""
    return {
        "PLAIN": BrokerAddress(guarded.login, Security("sasl_plaintext", "PLAIN", USER, PASSWORD)),
        "SCRAM-SHA-256": BrokerAddress(guarded.login, Security("sasl_plaintext", "SCRAM-SHA-256", USER, PASSWORD)),
        "PLAIN, TLS": guarded.over_tls("PLAIN"),
        "SCRAM-SHA-256, TLS": guarded.over_tls("SCRAM-SHA-256"),
        "SCRAM-SHA-512, TLS": guarded.over_tls("SCRAM-SHA-512"),
        "certificate": with_certificate(guarded),
    }


@pytest.mark.parametrize("name", doors(Guarded(*[""] * 10)))
def test_every_way_in_lets_both_client_libraries_in(guarded: Guarded, name: str) -> None:
    """Publishing and reading by librdkafka; reading by aiokafka, on the loop of the stream processes, at once."""
    address, value = doors(guarded)[name], name.encode()
    publisher = Publisher(address)
    publisher.publish("t", value)
    assert publisher.close(30) == 0
    with LogReader(address) as reader:
        offset = reader.end_offset("t", 0) - 1
        assert [record.value for record in reader.read("t", 0, offset)] == [value]

    async def by_aiokafka() -> list[bytes | None]:
        tail = LogTail(address)
        found: list[Record] = []
        end = await tail.end_offset("t", 0)
        await tail.read("t", 0, end - 1, end, found.extend)
        begun_s = time.monotonic()
        await tail.close()
        assert time.monotonic() - begun_s < 2
        return [record.value for record in found]

    with asyncio.Runner(loop_factory=loop.new_event_loop) as runner:
        assert runner.run(by_aiokafka()) == [value]


def test_a_reader_over_tls_stops_at_once(guarded: Guarded) -> None:
    """A loop that waits for a broker's goodbye stopped each of them only after seconds."""

    async def reads() -> float:
        tail = LogTail(guarded.over_tls())
        end = await tail.end_offset("t", 0)
        begun_s = time.monotonic()
        for _ in range(3):
            await tail.read("t", 0, end - 1, end, lambda _: None)
        took_s = time.monotonic() - begun_s
        await tail.close()
        return took_s

    publisher = Publisher(guarded.open)
    publisher.publish("t", b"one")
    assert publisher.close(30) == 0
    with asyncio.Runner(loop_factory=loop.new_event_loop) as runner:
        assert runner.run(reads()) < 5  # with a reader that is left behind: 15 and more


def refusals(guarded: Guarded) -> dict[str, tuple[BrokerAddress, str, str]]:
    """What may be wrong: the address, what is told, and the setting that is named."""
    return {
        "another authority": (
            guarded.over_tls(ca=guarded.stranger),
            f"no authority in {guarded.stranger}",
            "_KAFKA_CA",
        ),
        "the system's authorities": (
            BrokerAddress(guarded.tls_login, Security("sasl_ssl", "PLAIN", USER, PASSWORD)),
            "no authority known here",
            "MEDPOST_KAFKA_CA",
        ),
        "another name": (BrokerAddress(guarded.misnamed, Security("ssl", ca=guarded.ca)), "other names", "_KAFKA"),
        "expired": (BrokerAddress(guarded.expired, Security("ssl", ca=guarded.ca)), "has expired", "renewed"),
        "no certificate": (
            BrokerAddress(guarded.tls, Security("ssl", ca=guarded.ca)),
            "asks for a certificate of ours",
            "MEDPOST_KAFKA_CERTIFICATE and MEDPOST_KAFKA_KEY",
        ),
        "wrong password": (
            guarded.over_tls(password="wrong"),
            f"refuses the login of {USER}",
            "MEDPOST_KAFKA_PASSWORD",
        ),
        "no TLS there": (
            BrokerAddress(guarded.open, Security("ssl", ca=guarded.ca)),
            "does not speak TLS",
            "_SECURITY",
        ),
        "TLS there": (BrokerAddress(guarded.tls), "speaks TLS", "MEDPOST_KAFKA_SECURITY=ssl"),
    }


@pytest.mark.parametrize("name", refusals(Guarded(*[""] * 10)))
def test_what_is_wrong_is_told_with_the_server_and_the_setting(guarded: Guarded, name: str) -> None:
    """Never with a password, and within seconds."""
    address, told, setting = refusals(guarded)[name]
    with pytest.raises(UnavailableError) as refused:
        ping(address, 1.0)
    assert str(address) in refused.value.detail
    assert told in refused.value.detail
    assert setting in refused.value.remedy
    assert "wrong" not in str(refused.value)


def test_a_reader_does_not_wait_for_a_broker_that_it_cannot_trust(guarded: Guarded) -> None:
    """A command answers after seconds, not after the whole time that a slow broker is given."""
    begun_s = time.monotonic()
    with LogReader(guarded.over_tls(ca=guarded.stranger)) as reader, pytest.raises(UnavailableError, match="authority"):
        reader.partitions("t")
    assert time.monotonic() - begun_s < REQUEST_S / 2


def settings_for(guarded: Guarded, home: Path, ca: str = "") -> Settings:
    """An installation on the listener with user, password and TLS."""
    home.mkdir()
    return Settings(
        home=home,
        kafka=guarded.tls_login,
        kafka_security="sasl_ssl",
        kafka_mechanism="SCRAM-SHA-512",
        kafka_user=USER,
        kafka_password=SecretStr(PASSWORD),
        kafka_ca=ca or guarded.ca,
        namespace="tls",
        partitions=2,
    )


def outcomes(guarded: Guarded) -> int:
    """How many messages have come to their end."""
    with LogReader(guarded.open) as reader:
        records = reader.read_all(f"tls.{topics.OUTCOMES.name}")
        return len({OUTCOME.decode(record.value).message_id for record in records})


def test_a_stream_process_takes_messages_through_over_tls_with_a_login(guarded: Guarded, tmp_path: Path) -> None:
    """Settle: its group, its assign-only readers and its producer have that listener alone."""
    beside, settings = settle_rig.settings_for(guarded.open, "tls", tmp_path, 2), settings_for(guarded, tmp_path / "a")
    settle_rig.make_topics(beside)
    (tmp_path / "calls").touch()
    log = tmp_path / "settle.log"
    running = [settle_rig.start_sink(beside, tmp_path / "calls"), settle_rig.start_settle(settings, log)]
    try:
        settle_rig.feed(beside, MESSAGES)
        until = time.monotonic() + 60
        while outcomes(guarded) < MESSAGES and time.monotonic() < until:
            time.sleep(0.2)
    finally:
        settle_rig.stop(*running)
    assert outcomes(guarded) == MESSAGES
    assert "left behind" not in log.read_text("utf-8")
    assert PASSWORD not in log.read_text("utf-8")


def test_a_stream_process_that_trusts_nobody_there_ends_and_says_why(guarded: Guarded, tmp_path: Path) -> None:
    """In the log's line that says it cannot start; the supervisor shows that one."""
    settings, log = settings_for(guarded, tmp_path / "a", guarded.stranger), tmp_path / "settle.log"
    settle = settle_rig.start_settle(settings, log)
    try:
        assert settle.wait(60) == 70
    finally:
        settle_rig.stop(settle)
    (told,) = [line for line in log.read_text("utf-8").splitlines() if "cannot start" in line]
    assert "certificate that no authority in" in told
    assert "MEDPOST_KAFKA_CA" in told


def test_a_sender_with_the_sdk_gets_in_by_an_address_that_carries_its_login(guarded: Guarded) -> None:
    """As docs/operations.md shows; with other authorities nothing gets there, and the id to try again under is told."""
    topic = topics.messages("normal").name
    provision(guarded.open, [TopicSpec(topic, 1)])
    asked: dict[str, Any] = {"type": "lab_report", "recipient": ("patient_id", "P1"), "personalisation": {}}
    with MedpostClient(guarded.over_tls(), app_id="lis", key_id="lis-1", secret="s" * 32) as client:
        assert client.send(**asked, reference="1")
    bad = guarded.over_tls(ca=guarded.stranger)
    options = ClientOptions(delivery_timeout_s=2.0)
    with (
        MedpostClient(bad, app_id="lis", key_id="lis-1", secret="s" * 32, options=options) as client,
        pytest.raises(NotAcknowledgedError) as refused,
    ):
        client.send(**asked, reference="2")
    assert "try again under message_id" in refused.value.detail
    with LogReader(guarded.open) as reader:
        assert reader.end_offset(topic, 0) == 1


def test_the_doctor_names_server_certificate_and_setting(guarded: Guarded, tmp_path: Path) -> None:
    """Once, as the broker's own finding; with the right authorities all is well."""
    good = settings_for(guarded, tmp_path / "good")
    bad = settings_for(guarded, tmp_path / "bad", guarded.stranger)
    assert next(one for one in doctor.examine(good) if one.what == "broker").is_well
    found = [one for one in doctor.examine(bad) if "certificate" in one.detail]
    assert [(one.what, one.is_well, one.code) for one in found] == [("broker", False, 1)]
    assert guarded.tls_login in found[0].detail
    assert "MEDPOST_KAFKA_CA" in found[0].remedy


def test_a_command_says_it_in_one_line_and_ends_with_3(guarded: Guarded, tmp_path: Path) -> None:
    """No traceback, no line of a library."""
    done = subprocess.run(
        [sys.executable, "-m", "console.cli.main", "backlog"],
        env=environment_for(settings_for(guarded, tmp_path / "a", guarded.stranger)) | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert "MEDPOST_KAFKA_CA" in done.stderr
    assert "Traceback" not in done.stderr
