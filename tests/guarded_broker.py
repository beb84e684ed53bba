"""A broker of its own with listeners that ask who one is: user and password, with TLS and without, and certificates.

Used by the integration tests of security. Users are made over the usual listener, which stays open to the tests.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public names that its stubs do not re-export
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from msgspec import Struct

from infra.local import broker, processes
from infra.local.ports import LOOPBACK, any_port
from infra.security import BrokerAddress, Security
from tests.certificates import DAY, Authority

USER: Final = "medpost"
PASSWORD: Final = 'r!g"h t:@,;\\密'
"""What a password may hold, and what a text of settings could trip over."""
PLAIN: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"


class Guarded(Struct, frozen=True):
    """Where its listeners are (host and port), and the files that lead in; `stranger` signed nothing here."""

    open: str
    login: str
    tls_login: str
    tls: str
    misnamed: str
    expired: str
    ca: str
    stranger: str
    certificate: str
    key: str

    def over_tls(self, mechanism: str = "SCRAM-SHA-512", *, password: str = PASSWORD, ca: str = "") -> BrokerAddress:
        """The listener with user and password over TLS."""
        return BrokerAddress(self.tls_login, Security("sasl_ssl", mechanism, USER, password, ca=ca or self.ca))


def _listeners(ports: dict[str, int], pems: dict[str, Path], ca: Path) -> str:
    """Settings of the listeners beside the usual ones."""
    protocols = {"LOGIN": "SASL_PLAINTEXT", "TLSLOGIN": "SASL_SSL"}
    mapped = [
        "PLAINTEXT:PLAINTEXT",
        "CONTROLLER:PLAINTEXT",
        *(f"{name}:{protocols.get(name, 'SSL')}" for name in ports),
    ]
    lines = [f"listener.security.protocol.map={','.join(mapped)}"]
    for name in protocols:
        own, escaped = f"listener.name.{name.lower()}", PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
        jaas = f'{PLAIN} required user_{USER}="{escaped}";'.replace("\\", "\\\\").encode("latin-1", "backslashreplace")
        lines += [
            f"{own}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            f"{own}.plain.sasl.jaas.config={jaas.decode('latin-1')}",
            *(f"{own}.scram-sha-{bits}.sasl.jaas.config={SCRAM} required;" for bits in (256, 512)),
        ]
    for name, pem in pems.items():
        own = f"listener.name.{name.lower()}.ssl"
        lines += [f"{own}.keystore.type=PEM", f"{own}.keystore.location={pem}"]
    lines += [f"listener.name.tls.ssl.{one}" for one in (
        "client.auth=required", "truststore.type=PEM", f"truststore.location={ca}",
    )]  # fmt: skip
    return "".join(f"{line}\n" for line in lines)


def _make_user(bootstrap: str) -> None:
    """The user and password for both kinds of SCRAM."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for kind in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
        wanted = UserScramCredentialUpsertion(USER, ScramCredentialInfo(kind, 4096), PASSWORD.encode())
        admin.alter_user_scram_credentials([wanted])[USER].result(30)


@contextmanager
def guarded_broker(folder: Path) -> Iterator[Guarded]:
    """A running one; its files in `folder`."""
    ours, stranger = Authority(folder), Authority(folder, "stranger")
    client, usual = ours.sign("client"), broker.properties
    pems = {
        "TLSLOGIN": ours.sign("server", LOOPBACK, "localhost").both,
        "TLS": folder / "server.pem",
        "MISNAMED": ours.sign("misnamed", "kafka.hospital.example").both,
        "EXPIRED": ours.sign("expired", LOOPBACK, begins=-2 * DAY, ends=-DAY).both,
    }
    ports = {name: any_port() for name in ("LOGIN", *pems)}
    site = broker.site_under(folder / "broker", any_port(), any_port())

    def with_listeners(site: broker.BrokerSite, log_folder: Path) -> str:
        named = ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in ports.items())
        text = re.sub(r"^((?:advertised\.)?listeners)=", rf"\1={named},", usual(site, log_folder), flags=re.MULTILINE)
        return text + _listeners(ports, pems, ours.file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broker, "properties", with_listeners)
        running = broker.start(site, os.environ, ends_with_parent=True)
    try:
        _make_user(site.bootstrap)
        at = {name: f"{LOOPBACK}:{port}" for name, port in ports.items()}
        yield Guarded(
            site.bootstrap,
            at["LOGIN"],
            at["TLSLOGIN"],
            at["TLS"],
            at["MISNAMED"],
            at["EXPIRED"],
            str(ours.file),
            str(stranger.file),
            str(client.certificate),
            str(client.key),
        )
    finally:
        processes.stop([running], broker.STOP_GRACE_S)
