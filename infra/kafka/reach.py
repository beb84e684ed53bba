"""Why no broker is reached, asked once it is known that none is: certificates, then the login, then nothing to tell.

Called by provisioning, readers and the doctor. It greets the servers anew, so it costs seconds, on the way to an error
only; an embedded broker that is merely away is never greeted over TLS.
"""

import time
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from infra import tls
from infra.security import OPEN, Security, librdkafka_properties, security_of, tls_context
from schemas.errors import UnavailableError

LOGIN_S: Final = 3.0
ASK_S: Final = 0.5
PLAIN_GREETING_S: Final = 1.0
SERVERS: Final = 3
"""So many of the servers named are greeted: one certificate that is wrong tells of the others."""


def trouble(bootstrap: str, *, may_speak_tls: bool = False) -> UnavailableError | None:
    """What is in the way, with what to set; None when it is neither certificates nor the login.

    `may_speak_tls`: also ask whether a server that is spoken to in plain text wants TLS.
    """
    asked = security_of(bootstrap)
    for server in str(bootstrap).split(",")[:SERVERS]:
        found = _tls_trouble(server, asked, may_speak_tls=may_speak_tls)
        if found is not None:
            return found
    if not asked.has_login or not _refuses_login(bootstrap):
        return None
    return UnavailableError(
        f"the broker at {bootstrap} refuses the login of {asked.user} by {asked.mechanism}",
        "check MEDPOST_KAFKA_USER, MEDPOST_KAFKA_PASSWORD and MEDPOST_KAFKA_MECHANISM",
    )


def explained(bootstrap: str, otherwise: UnavailableError) -> UnavailableError:
    """The trouble with a broker that is guarded, or the error that is told of any other."""
    return otherwise if security_of(bootstrap) == OPEN else trouble(bootstrap) or otherwise


def _tls_trouble(server: str, asked: Security, *, may_speak_tls: bool) -> UnavailableError | None:
    host, _, port = server.strip().rpartition(":")
    context = tls_context(asked)
    if context is None:
        if may_speak_tls and tls.speaks_tls(host, int(port), PLAIN_GREETING_S):
            return UnavailableError(f"the broker at {server} speaks TLS", "set MEDPOST_KAFKA_SECURITY=ssl or sasl_ssl")
        return None
    try:
        tls.greet(host, int(port), context)
    except OSError as problem:
        return tls.explained(problem, server, tls.KAFKA, asked.ca) if tls.was_greeted(problem) else None
    return None


def _refuses_login(bootstrap: str) -> bool:
    """Whether the broker says so within LOGIN_S."""
    met: list[KafkaError] = []
    settings: dict[str, Any] = {**librdkafka_properties(bootstrap), "log_level": 0, "error_cb": met.append}
    admin = AdminClient(settings)
    until = time.monotonic() + LOGIN_S
    while time.monotonic() < until:
        try:
            admin.list_topics(timeout=ASK_S)
        except KafkaException:
            admin.poll(0)
        else:
            return False
        if any(error.code() == KafkaError._AUTHENTICATION for error in met):  # noqa: SLF001 - the library's public name
            return True
    return False
