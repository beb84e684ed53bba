"""What a person is told of a TLS connection that does not come about."""

import ssl
from typing import Any

import pytest

from infra.tls import KAFKA, STORE, explained, was_greeted, within

PLACE = "kafka.example:9093"


def unverified(code: int, said: str = "said by OpenSSL") -> ssl.SSLCertVerificationError:
    """A certificate that was refused, with OpenSSL's result."""
    made: Any = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED]")
    made.verify_code, made.verify_message = code, said
    return made  # type: ignore[no-any-return]  # attributes that only the ssl module sets are set here


def failed(reason: str) -> ssl.SSLError:
    """A greeting that failed for a reason of OpenSSL's."""
    made = ssl.SSLError(1, f"[SSL: {reason}]")
    made.reason = reason
    return made


@pytest.mark.parametrize(
    ("problem", "ca", "told", "remedy"),
    [
        (unverified(10), "", "has a certificate that has expired", "renewed"),
        (unverified(9), "", "is not valid yet", "clock"),
        (unverified(62), "", "for other names than kafka.example", "name into MEDPOST_KAFKA"),
        (unverified(64), "", "for other names than kafka.example", "name into MEDPOST_KAFKA"),
        (unverified(20), "", "no authority known here signed", "set MEDPOST_KAFKA_CA"),
        (unverified(18), "/ca.pem", "no authority in /ca.pem signed", "set MEDPOST_KAFKA_CA"),
        (unverified(23, "certificate revoked"), "", "is refused: certificate revoked", "anew"),
        (failed("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "", "asks for a certificate of ours", "MEDPOST_KAFKA_KEY"),
        (failed("SSLV3_ALERT_BAD_CERTIFICATE"), "", "or does not take it", "MEDPOST_KAFKA_CERTIFICATE"),
        (failed("TLSV1_ALERT_UNKNOWN_CA"), "", "or does not take it", "MEDPOST_KAFKA_CERTIFICATE"),
        (failed("WRONG_VERSION_NUMBER"), "", "does not speak TLS", "MEDPOST_KAFKA_SECURITY"),
        (failed("RECORD_LAYER_FAILURE"), "", "does not speak TLS", "another port"),
        (ssl.SSLEOFError(8, "EOF"), "", "does not speak TLS", "another port"),
        (ConnectionResetError(), "", "does not speak TLS", "another port"),
        (failed("TLSV1_ALERT_PROTOCOL_VERSION"), "", "fails in TLS: TLSV1_ALERT_PROTOCOL_VERSION", "log"),
    ],
)
def test_server_certificate_and_setting_are_named(problem: OSError, ca: str, told: str, remedy: str) -> None:
    """Each of OpenSSL's results has its words and what to do."""
    said = explained(problem, PLACE, KAFKA, ca)
    assert said.detail.startswith(f"the broker at {PLACE} ")
    assert told in said.detail
    assert remedy in said.remedy


def test_a_stores_settings_have_their_own_names() -> None:
    """And it has none for a certificate of ours."""
    assert "MEDPOST_CLICKHOUSE_CA" in explained(unverified(20), PLACE, STORE, "").remedy
    assert explained(failed("TLSV13_ALERT_CERTIFICATE_REQUIRED"), PLACE, STORE, "").remedy == "set MEDPOST_CLICKHOUSE"


def test_the_failure_inside_a_librarys_error_is_found() -> None:
    """As a cause, a context, an argument or a reason, however deep; the certificate's goes before the others."""

    class Wrapped(Exception):  # noqa: N818 - a library's own name
        reason: object = None

    bare = unverified(20)
    inner = Wrapped("text", Wrapped(failed("X"), bare))
    outer = Wrapped("outer")
    outer.reason = inner
    inner.__context__ = outer
    assert within(outer) is bare
    assert within(Wrapped("no TLS", OSError())) is None


def test_only_a_server_that_was_there_is_blamed() -> None:
    """Not one that nobody heard: that is another matter."""
    assert was_greeted(failed("X"))
    assert was_greeted(ConnectionResetError())
    assert not any(was_greeted(one) for one in (ConnectionRefusedError(), TimeoutError(), OSError(113, "no route")))
