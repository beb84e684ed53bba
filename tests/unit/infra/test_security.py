"""Tests of the one place that turns settings into clients' properties, and of what it refuses."""

import re
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from infra.hub.transport import credentials
from infra.security import (
    BrokerAddress,
    Security,
    aiokafka_properties,
    complaint,
    librdkafka_properties,
    security_of,
    store_complaint,
    tls_context,
)
from schemas.errors import UnavailableError
from tests.certificates import Authority

LOGIN = Security("sasl_plaintext", "SCRAM-SHA-256", "medpost", "s3cret")
TLS_LOGIN = Security("sasl_ssl", "PLAIN", "medpost", "s3cret", ca="/ca.pem")


def test_an_address_is_its_servers_and_keeps_its_secrets() -> None:
    """As a key, in a line of text, compared with a plain one: only host and port."""
    address = BrokerAddress("a:1,b:2", TLS_LOGIN)
    assert address == "a:1,b:2"
    assert security_of(address) is TLS_LOGIN
    assert security_of("a:1") == Security()
    assert "s3cret" not in f"{address} {address!r} {address.security!r}"


def test_an_open_broker_needs_nothing() -> None:
    """So the embedded one is spoken to as before."""
    assert librdkafka_properties("a:1") == {"bootstrap.servers": "a:1"}
    assert aiokafka_properties("a:1") == {"bootstrap_servers": "a:1", "security_protocol": "PLAINTEXT"}
    assert credentials("a:1") is None


@pytest.mark.parametrize(
    ("asked", "properties"),
    [
        (
            LOGIN,
            {
                "security.protocol": "sasl_plaintext",
                "sasl.mechanism": "SCRAM-SHA-256",
                "sasl.username": "medpost",
                "sasl.password": "s3cret",
            },
        ),
        (
            TLS_LOGIN,
            {
                "security.protocol": "sasl_ssl",
                "sasl.mechanism": "PLAIN",
                "sasl.username": "medpost",
                "sasl.password": "s3cret",
                "ssl.ca.location": "/ca.pem",
            },
        ),
        (
            Security("ssl", certificate="/c.pem", key="/k.pem"),
            {"security.protocol": "ssl", "ssl.certificate.location": "/c.pem", "ssl.key.location": "/k.pem"},
        ),
    ],
)
def test_librdkafka_gets_its_own_names(asked: Security, properties: dict[str, str]) -> None:
    """And no property that is not asked for."""
    assert librdkafka_properties(BrokerAddress("a:1", asked)) == {"bootstrap.servers": "a:1", **properties}


def test_aiokafka_and_faust_get_the_same() -> None:
    """Login in clear, login over TLS, TLS alone: names are checked in every context."""
    said = aiokafka_properties(BrokerAddress("a:1", LOGIN))
    assert said == {
        "bootstrap_servers": "a:1",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "medpost",
        "sasl_plain_password": "s3cret",
    }
    for asked in (LOGIN, Security("sasl_ssl", "SCRAM-SHA-512", "u", "p"), Security("ssl")):
        own = aiokafka_properties(BrokerAddress("a:1", asked))
        theirs = {
            name: value
            for name, value in credentials_to_aiokafka_auth(credentials(BrokerAddress("a:1", asked))).items()
            if value
        }
        assert theirs.keys() == own.keys() - {"bootstrap_servers"}
        assert {name: value for name, value in theirs.items() if name != "ssl_context"}.items() <= own.items()
        assert asked.is_encrypted == ("ssl_context" in own)
    context = tls_context(Security("ssl"))
    assert context is not None
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize(
    ("asked", "has_servers", "told"),
    [
        (Security("sasl_ssl"), True, "needs MEDPOST_KAFKA_USER"),
        (Security("sasl_plaintext", user="u"), True, "MEDPOST_KAFKA_PASSWORD"),
        (Security(user="u", password="p"), True, "need MEDPOST_KAFKA_SECURITY=sasl_ssl"),
        (Security("ssl", user="u", password="p"), True, "need MEDPOST_KAFKA_SECURITY=sasl_ssl"),
        (Security(ca="/ca.pem"), True, "MEDPOST_KAFKA_CA need"),
        (Security("sasl_plaintext", "PLAIN", "u", "p", ca="/ca.pem"), True, "MEDPOST_KAFKA_CA need"),
        (Security("ssl", certificate="/c.pem"), True, "go together"),
        (Security("ssl", ca="/nowhere/ca.pem"), True, "there is no file /nowhere/ca.pem"),
        (LOGIN, False, "set MEDPOST_KAFKA"),
    ],
)
def test_what_does_not_go_together_is_told(asked: Security, has_servers: bool, told: str) -> None:
    """In one line that names the variables, without the password."""
    said = complaint(asked, has_servers=has_servers)
    assert told in said
    assert "s3cret" not in said


def test_what_goes_together_is_taken(tmp_path: Path) -> None:
    """Every protocol, and the embedded broker without any."""
    ca = Authority(tmp_path).file
    for asked in (Security(), Security("ssl", ca=str(ca)), LOGIN, Security("sasl_ssl", "PLAIN", "u", "p", str(ca))):
        assert complaint(asked, has_servers=True) == ""
    assert complaint(Security(), has_servers=False) == ""


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (("", "u", "p", ""), "need MEDPOST_CLICKHOUSE"),
        (("http://a:b@h:1/d", "u", "p", ""), "keep one"),
        (("http://h:1/d", "", "p", ""), "needs MEDPOST_CLICKHOUSE_USER"),
        (("http://h:1/d", "u", "p", "/ca.pem"), "https://"),
        (("https://h:1/d", "u", "p", "/nowhere/ca.pem"), "there is no file"),
        (("https://h:1/d", "u", "p", ""), ""),
        (("", "", "", ""), ""),
    ],
)
def test_the_store_s_settings_are_checked_too(parts: tuple[str, str, str, str], told: str) -> None:
    """As the broker's."""
    said = store_complaint(*parts)
    assert told in said if told else said == ""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An authority, a certificate with its key, another key, one with a passphrase, and what is none of these."""
    folder = tmp_path_factory.mktemp("pem")
    ours = Authority(folder)
    one, other, none = ours.sign("one"), ours.sign("other"), folder / "none.pem"
    none.write_text("no certificate")
    locked = folder / "locked.key"
    key = serialization.load_pem_private_key(one.key.read_bytes(), None)
    form, secret = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, secret))
    named = {
        "ca": ours.file,
        "one": one.certificate,
        "key": one.key,
        "other": other.key,
        "none": none,
        "locked": locked,
    }
    return {name: str(file) for name, file in named.items()}


@pytest.mark.parametrize(
    ("ca", "certificate", "key", "told"),
    [
        ("none", "", "", "MEDPOST_KAFKA_CA: .*none.pem holds no certificate"),
        ("ca", "none", "key", "MEDPOST_KAFKA_CERTIFICATE and _KEY"),
        ("ca", "one", "none", "MEDPOST_KAFKA_CERTIFICATE and _KEY"),
        ("ca", "one", "other", "MEDPOST_KAFKA_CERTIFICATE and _KEY .*MISMATCH"),
        ("ca", "one", "locked", "MEDPOST_KAFKA_CERTIFICATE and _KEY .*without a passphrase"),
        ("ca", "one", "key", ""),
        ("ca", "", "", ""),
    ],
)
def test_files_that_are_no_use_are_told_at_the_start(
    files: dict[str, str], ca: str, certificate: str, key: str, told: str
) -> None:
    """In one line, without asking anybody for a passphrase; and as an error where nobody looked before."""
    named = {"ca": ca, "certificate": certificate, "key": key}
    asked = Security("ssl", **{name: files[file] for name, file in named.items() if file})
    said = complaint(asked, has_servers=True)
    assert re.search(told, said) if told else said == ""
    if told:
        with pytest.raises(UnavailableError):
            tls_context(asked)


def test_the_stores_authorities_are_looked_at_too(files: dict[str, str]) -> None:
    """A file that is there and holds none is told."""
    assert store_complaint("https://h:1/d", "", "", files["ca"]) == ""
    assert "MEDPOST_CLICKHOUSE_CA" in store_complaint("https://h:1/d", "", "", files["none"])
