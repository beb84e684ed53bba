"""The simulated endpoints: signature, clock and body are checked as the standard says."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from msgspec import structs

from infra.simulators.exchange import Call, Letter, Refusal
from infra.simulators.standard import BODY_BYTES, DEMO_SECRET, Standard

NOW_S = 1_760_000_000
TOLD: dict[str, Any] = {
    "type": "message.created",
    "timestamp": "2025-10-09T08:53:20Z",
    "data": {"message_id": "0f-0f", "title": "到号", "text": "请到三诊室", "url": "https://h"},
}


def signed(
    body: bytes | None = None, *, path: str = "/webhook/ward/3a", at_s: int = NOW_S, secret: str = DEMO_SECRET
) -> Call:
    """A call signed as the standard says, in words of our own."""
    sent = json.dumps(TOLD).encode() if body is None else body
    key = base64.b64decode(secret[len("whsec_") :])
    digest = hmac.new(key, b"w1." + str(at_s).encode() + b"." + sent, hashlib.sha256).digest()
    headers = {
        "content-type": "application/json",
        "webhook-id": "w1",
        "webhook-timestamp": str(at_s),
        "webhook-signature": "v1,AAAA v1," + base64.b64encode(digest).decode(),
    }
    return Call("POST", path, "", headers, sent, NOW_S * 1000)


def without(name: str) -> Call:
    """A good call without one header."""
    call = signed()
    return structs.replace(call, headers={key: value for key, value in call.headers.items() if key != name})


def code_of(found: Letter | Refusal) -> str:
    """The code of a refusal; "" for a letter."""
    return found.code if isinstance(found, Refusal) else ""


def test_takes_what_is_signed() -> None:
    """One right signature among several is enough."""
    assert Standard().examine(signed()) == Letter("ward/3a", "w1", "0f0f", "到号", "请到三诊室", "https://h")


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (signed(path="/webhook/attic/3a"), "404"),
        (signed(path="/webhook/ward/3a/x"), "404"),
        (structs.replace(signed(), method="GET"), "405"),
        (structs.replace(signed(), headers={**signed().headers, "content-type": "text/plain"}), "415"),
        (structs.replace(signed(), body=b"{}"), "401"),
        (structs.replace(signed(), headers={**signed().headers, "webhook-id": "w2"}), "401"),
        (structs.replace(signed(), headers={**signed().headers, "webhook-signature": "v1,\u00e4"}), "401"),
        (structs.replace(signed(), headers={**signed().headers, "webhook-timestamp": "\u00b2"}), "401"),
        (without("webhook-signature"), "401"),
        (without("webhook-timestamp"), "401"),
        (without("webhook-id"), "401"),
        (signed(secret="whsec_" + base64.b64encode(b"y" * 32).decode()), "401"),
        (signed(at_s=NOW_S - 301), "401"),
        (signed(at_s=NOW_S + 301), "401"),
        (signed(at_s=NOW_S - 299), ""),
        (signed(b"x" * (BODY_BYTES + 1)), "413"),
        (signed(b"not json"), "400"),
        (signed(b"[]"), "400"),
        (signed(json.dumps({**TOLD, "colour": "red"}).encode()), "400"),
        (signed(json.dumps({**TOLD, "data": "text"}).encode()), "400"),
    ],
)
def test_refuses_what_the_standard_refuses(call: Call, code: str) -> None:
    """The code is the HTTP status."""
    assert code_of(Standard().examine(call)) == code


@pytest.mark.parametrize(
    ("recipient", "tail"),
    [
        ("app/x-0008", "0008"),
        ("app/0008", "0008"),
        ("app/P9008", "0008"),
        ("app/P9012", "0012"),
        ("app/P0001", ""),
        ("app/P0012", ""),
        ("ward/3a", ""),
        ("ward/S001", ""),
    ],
)
def test_only_magic_recipients_are_magic(recipient: str, tail: str) -> None:
    """An ordinary patient's id may end in any digits."""
    assert Standard().magic_tail(recipient) == tail


def test_another_secret_may_be_added() -> None:
    """And then it is believed."""
    secret = "whsec_" + base64.b64encode(b"z" * 32).decode()
    made = Standard()
    assert code_of(made.examine(signed(secret=secret))) == "401"
    made.configure("accounts", {"secret": secret})
    assert code_of(made.examine(signed(secret=secret))) == ""
    with pytest.raises(ValueError, match="accounts"):
        made.configure("templates", {"secret": secret})


def test_throttling_says_when_to_come_back() -> None:
    """As a gateway would."""
    reply = Standard().throttle()
    assert (reply.status, reply.headers["retry-after"]) == (429, "1")
