"""Why a server is not spoken to over TLS, in words: which server, what is wrong with whose certificate, what to set.

Called where a connection to the broker or the store has failed, and by `medpost doctor`. It greets a server and says
goodbye; it never trusts one that it could not verify, and sends it nothing.
"""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from schemas.errors import UnavailableError

GREETING_S: Final = 3.0
OBJECTION_S: Final = 1.0
"""With TLS 1.3 a server objects to our certificate, or to none, only after the greeting (RFC 8446, 4.4.2.4)."""
EXPIRED, NOT_YET_VALID, OTHER_NAME, OTHER_ADDRESS = 10, 9, 62, 64
UNTRUSTED: Final = frozenset({2, 18, 19, 20, 21})
"""Verification results of OpenSSL (x509_vfy.h): no issuer found, self-signed, or a chain that leads nowhere."""
ABOUT_OURS: Final = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED")
"""Parts of the alerts by which a server objects to a client's certificate, or to its having none."""


class Names(Struct, frozen=True):
    """How a server and the settings that lead to it are named to a person; `ours` "" where it takes no certificate."""

    server: str
    address: str
    ca: str
    ours: str
    plain: str


KAFKA: Final = Names(
    "the broker",
    "MEDPOST_KAFKA",
    "MEDPOST_KAFKA_CA",
    "MEDPOST_KAFKA_CERTIFICATE and MEDPOST_KAFKA_KEY",
    "MEDPOST_KAFKA_SECURITY without ssl",
)
STORE: Final = Names("the store", "MEDPOST_CLICKHOUSE", "MEDPOST_CLICKHOUSE_CA", "", "http:// in MEDPOST_CLICKHOUSE")


def greet(host: str, port: int, context: ssl.SSLContext, timeout_s: float = GREETING_S) -> None:
    """Return when a server there and we accept each other's certificates; raises OSError (ssl.SSLError) if not."""
    with (
        socket.create_connection((host, port), timeout_s) as link,
        context.wrap_socket(link, server_hostname=host) as greeted,
    ):
        greeted.settimeout(min(timeout_s, OBJECTION_S))
        with contextlib.suppress(TimeoutError):
            greeted.recv(1)


def was_greeted(problem: OSError) -> bool:
    """Whether a failed greeting got as far as a server that answered, or hung up; not one that nobody heard."""
    return isinstance(problem, ssl.SSLError | ConnectionResetError | ConnectionAbortedError | BrokenPipeError)


def speaks_tls(host: str, port: int, timeout_s: float = GREETING_S) -> bool:
    """Whether a server there answers a TLS greeting at all, whoever it is; nothing is sent to it."""
    context = ssl.create_default_context()
    try:
        greet(host, port, context, timeout_s)
    except ssl.SSLCertVerificationError:
        return True
    except ssl.SSLError as problem:
        return _is_about_ours(problem)
    except OSError:
        return False
    return True


def within(error: BaseException) -> OSError | None:
    """The TLS failure that an error of a library was made from; None when it has another origin."""
    found = [one for one in _origins(error, set()) if isinstance(one, ssl.SSLError)]
    return min(found, key=lambda one: not isinstance(one, ssl.SSLCertVerificationError)) if found else None


def _origins(error: object, seen: set[int]) -> Iterator[BaseException]:
    """An error and everything it stands for: causes, contexts, and errors among its arguments."""
    if not isinstance(error, BaseException) or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    for one in (error.__cause__, error.__context__, getattr(error, "reason", None), *error.args):
        yield from _origins(one, seen)


def explained(problem: OSError, place: str, names: Names, ca: str) -> UnavailableError:
    """What a person is told of a failed greeting with `place` (host:port); `ca` is the file of authorities, or ""."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        what, remedy = _about_theirs(problem, place, names, ca)
    elif isinstance(problem, ssl.SSLError) and _is_about_ours(problem):
        what, remedy = "asks for a certificate of ours, or does not take it", f"set {names.ours or names.address}"
    elif isinstance(problem, ssl.SSLError) and "VERSION_NUMBER" not in _reason(problem) and not _is_cut(problem):
        what, remedy = f"fails in TLS: {_reason(problem)}", "see that server's log"
    else:
        what, remedy = "does not speak TLS on that port", f"another port in {names.address}, or {names.plain}"
    return UnavailableError(f"{names.server} at {place} {what}", remedy)


def _about_theirs(problem: ssl.SSLCertVerificationError, place: str, names: Names, ca: str) -> tuple[str, str]:
    """What is wrong with the server's certificate, and what to do."""
    code = problem.verify_code
    if code == EXPIRED:
        return "has a certificate that has expired", "have it renewed there, or set the clock here"
    if code == NOT_YET_VALID:
        return "has a certificate that is not valid yet", "set the clock, e.g. by NTP"
    if code in (OTHER_NAME, OTHER_ADDRESS):
        host = place.rpartition(":")[0]
        return f"has a certificate for other names than {host}", f"write the certificate's name into {names.address}"
    if code in UNTRUSTED and ca:
        return f"has a certificate that no authority in {ca} signed", f"set {names.ca} to the authorities that did"
    if code in UNTRUSTED:
        return (
            "has a certificate that no authority known here signed",
            f"set {names.ca} to the PEM file of one that did",
        )
    return f"has a certificate that is refused: {problem.verify_message}", "have it issued anew"


def _reason(problem: ssl.SSLError) -> str:
    return str(getattr(problem, "reason", None) or "")


def _is_cut(problem: ssl.SSLError) -> bool:
    """Whether it hung up at the greeting, or answered something that is no TLS."""
    return isinstance(problem, ssl.SSLEOFError) or any(
        word in _reason(problem) for word in ("UNEXPECTED_EOF", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
    )


def _is_about_ours(problem: ssl.SSLError) -> bool:
    return "ALERT" in _reason(problem) and any(word in _reason(problem) for word in ABOUT_OURS)
