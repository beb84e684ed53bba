"""How clients prove who they are to a broker, and encrypt: settings in, properties of each client library out.

The one place for it. A `BrokerAddress` is the bootstrap list as text that carries its security along, so it can be
handed wherever a bootstrap string is; it prints without secrets. Pure apart from reading certificate files.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from msgspec import Struct

from schemas.errors import UnavailableError

PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL = "plaintext", "ssl", "sasl_plaintext", "sasl_ssl"
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class Security(Struct, frozen=True):
    """What a broker asks for. `ca`, `certificate`, `key`: PEM files, "" for the system's authorities or none."""

    protocol: str = PLAINTEXT
    mechanism: str = "PLAIN"
    user: str = ""
    password: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""

    def __repr__(self) -> str:
        return f"Security({self.protocol}, {self.mechanism}, {self.user!r})"

    @property
    def is_encrypted(self) -> bool:
        """TLS on the wire."""
        return self.protocol in (SSL, SASL_SSL)

    @property
    def has_login(self) -> bool:
        """User and password."""
        return self.protocol in (SASL_PLAINTEXT, SASL_SSL)


OPEN: Final = Security()


class BrokerAddress(str):
    """`host:port,…` with the security that goes with it."""

    __slots__ = ("security",)
    security: Security

    def __new__(cls, servers: str, security: Security = OPEN) -> Self:
        """The same text, with security."""
        made = super().__new__(cls, servers)
        made.security = security
        return made


def security_of(bootstrap: str) -> Security:
    """The security that an address carries; a plain string has none."""
    return bootstrap.security if isinstance(bootstrap, BrokerAddress) else OPEN


def librdkafka_properties(bootstrap: str) -> dict[str, str]:
    """`bootstrap.servers` and what else a librdkafka client needs to reach the broker."""
    asked = security_of(bootstrap)
    found = {"bootstrap.servers": str(bootstrap)}
    if asked.protocol != PLAINTEXT:
        found["security.protocol"] = asked.protocol
    if asked.has_login:
        found |= {
            "sasl.mechanism": asked.mechanism,
            "sasl.username": asked.user,
            "sasl.password": asked.password,
        }
    if asked.is_encrypted:
        files = {
            "ssl.ca.location": asked.ca,
            "ssl.certificate.location": asked.certificate,
            "ssl.key.location": asked.key,
        }
        found |= {name: file for name, file in files.items() if file}
    return found


def tls_context(asked: Security) -> ssl.SSLContext | None:
    """The TLS context of an encrypted connection, names checked; None for one that is not.

    Raises UnavailableError naming the file that is no use.
    """
    if not asked.is_encrypted:
        return None
    context = _trusting(asked.ca, "MEDPOST_KAFKA_CA")
    if asked.certificate:
        try:
            context.load_cert_chain(asked.certificate, asked.key or None, password=_ask_nobody)
        except (OSError, ValueError) as problem:
            what = f"MEDPOST_KAFKA_CERTIFICATE and _KEY are no PEM pair that can be used ({_named(problem)})"
            raise UnavailableError(what, "give a certificate and its own key, without a passphrase") from None
    return context


def _trusting(ca: str, variable: str) -> ssl.SSLContext:
    """A context that trusts the authorities in a file, or the system's; raises UnavailableError."""
    try:
        return ssl.create_default_context(cafile=ca or None)
    except OSError as problem:
        raise UnavailableError(
            f"{variable}: {ca} holds no certificate ({_named(problem)})", "give the authorities as a PEM file"
        ) from None


def _ask_nobody() -> str:
    """Nobody sits before a server to type the passphrase of a key."""
    raise ValueError("passphrase")


def _named(problem: Exception) -> str:
    return str(getattr(problem, "reason", None) or getattr(problem, "strerror", None) or problem)


def aiokafka_properties(bootstrap: str) -> dict[str, Any]:
    """`bootstrap_servers` and what else an aiokafka client needs to reach the broker."""
    asked = security_of(bootstrap)
    found: dict[str, Any] = {"bootstrap_servers": str(bootstrap), "security_protocol": asked.protocol.upper()}
    if asked.has_login:
        found |= {
            "sasl_mechanism": asked.mechanism,
            "sasl_plain_username": asked.user,
            "sasl_plain_password": asked.password,
        }
    context = tls_context(asked)
    return found | ({"ssl_context": context} if context is not None else {})


def complaint(asked: Security, *, has_servers: bool) -> str:
    """What is wrong with the MEDPOST_KAFKA_… settings together, in one line; "" when nothing is."""
    files = {"CA": asked.ca, "CERTIFICATE": asked.certificate, "KEY": asked.key}
    given = [f"MEDPOST_KAFKA_{name}" for name, file in files.items() if file]
    missing = [file for file in files.values() if file and not Path(file).is_file()]
    if not has_servers and (asked.protocol != PLAINTEXT or asked.user or asked.password or given):
        return "MEDPOST_KAFKA_SECURITY and its like are for a broker of your own: set MEDPOST_KAFKA, or unset them"
    if asked.has_login and not (asked.user and asked.password):
        return f"MEDPOST_KAFKA_SECURITY={asked.protocol} needs MEDPOST_KAFKA_USER and MEDPOST_KAFKA_PASSWORD"
    if not asked.has_login and (asked.user or asked.password):
        return "MEDPOST_KAFKA_USER and _PASSWORD need MEDPOST_KAFKA_SECURITY=sasl_ssl (or sasl_plaintext)"
    if given and not asked.is_encrypted:
        return f"{', '.join(given)} need MEDPOST_KAFKA_SECURITY=ssl or sasl_ssl"
    if bool(asked.certificate) != bool(asked.key):
        return "MEDPOST_KAFKA_CERTIFICATE and MEDPOST_KAFKA_KEY go together"
    return f"there is no file {missing[0]}" if missing else _useless(lambda: tls_context(asked))


def _useless(attempt: Callable[[], object]) -> str:
    """What is wrong with certificates' files; "" when they can be used."""
    try:
        attempt()
    except UnavailableError as problem:
        return f"{problem.detail}: {problem.remedy}"
    return ""


def store_complaint(url: str, user: str, password: str, ca: str) -> str:
    """What is wrong with the MEDPOST_CLICKHOUSE… settings together, in one line; "" when nothing is."""
    if not url:
        return "MEDPOST_CLICKHOUSE_USER and its like need MEDPOST_CLICKHOUSE" if user or password or ca else ""
    if (user or password) and "@" in url.split("://", 1)[-1].split("/", 1)[0]:
        return "the user stands in MEDPOST_CLICKHOUSE and in MEDPOST_CLICKHOUSE_USER: keep one"
    if password and not user:
        return "MEDPOST_CLICKHOUSE_PASSWORD needs MEDPOST_CLICKHOUSE_USER"
    if ca and not url.startswith("https://"):
        return "MEDPOST_CLICKHOUSE_CA needs an https:// address in MEDPOST_CLICKHOUSE"
    if not ca:
        return ""
    return _useless(lambda: _trusting(ca, "MEDPOST_CLICKHOUSE_CA")) if Path(ca).is_file() else f"there is no file {ca}"
