"""The hospital's own endpoints, simulated: wards' workstations and the patients' app, taking Standard Webhooks 1.0.0.

Checks the signature, the clock and the body, and takes each `webhook-id` once. Written from the standard, sharing no
code with the channel that calls it.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from infra.simulators.exchange import Action, Call, Letter, Refusal, Reply, as_json

TOLERANCE_S: Final = 300
BODY_BYTES: Final = 20_480
DEMO_SECRET: Final = "whsec_bWVkcG9zdC1kZW1vLXdlYmhvb2stc2VjcmV0LTAx"  # noqa: S105 - opens nothing but this simulator
_ENDPOINT: Final = re.compile(r"/webhook/((?:app|ward|desk)/[A-Za-z0-9_-]+)")
_MAGIC: Final = re.compile(r"(?:.*[/_-]|.*[PS]9)(0[0-9]{2,3})")
_MEMBERS: Final = {"type": str, "timestamp": str, "data": dict}


class Standard:
    """All endpoints behind one base URL, with one secret or several."""

    name = "standard"
    channel = "webhook"
    is_idempotent = True
    magic: ClassVar[Mapping[str, Action]] = {
        "0001": Action("code", "404"),
        "0002": Action("code", "410"),
        "0003": Action("code", "403"),
        "0006": Action("code", "503"),
        "0007": Action("throttle"),
        "0008": Action("cut"),
        "0009": Action("code", "422"),
    }

    def __init__(self) -> None:
        self._keys = [_key(DEMO_SECRET)]

    def configure(self, kind: str, told: Mapping[str, str]) -> None:
        """`accounts` {secret}: one more secret that is believed."""
        if kind != "accounts" or not told.get("secret"):
            raise ValueError(f"{self.name} knows accounts with a secret, and nothing else")
        self._keys.append(_key(told["secret"]))

    def magic_tail(self, recipient: str) -> str:
        """Four digits after `/`, `-` or `_` (`app/x-0008`), or three after P9 or S9 (`app/P9008`)."""
        match = _MAGIC.fullmatch(recipient)
        return match[1].zfill(4) if match is not None else ""

    def examine(self, call: Call) -> Letter | Refusal:
        """Where to, who says so, and what."""
        endpoint = _ENDPOINT.fullmatch(call.path)
        key = call.headers.get("webhook-id", "")
        if endpoint is None:
            return Refusal("404", key=key)
        code = self._complaint(call)
        told = {} if code else _told(call.body)
        if code or not told:
            return Refusal(code or "400", endpoint[1], key)
        text, title, url = (str(told.get(name, "")) for name in ("text", "title", "url"))
        message_id = str(told.get("message_id", "")).replace("-", "")
        return Letter(endpoint[1], key, message_id, title, text, url)

    def _complaint(self, call: Call) -> str:
        """The status of what is wrong with the call; empty when nothing is."""
        if call.method != "POST":
            return "405"
        if not call.headers.get("content-type", "").startswith("application/json"):
            return "415"
        if len(call.body) > BODY_BYTES:
            return "413"
        return "" if self._is_signed(call) else "401"

    def _is_signed(self, call: Call) -> bool:
        webhook_id, at_s = call.headers.get("webhook-id", ""), call.headers.get("webhook-timestamp", "")
        if not webhook_id or not at_s.isascii() or not at_s.isdecimal():
            return False
        if abs(call.at_ms / 1000 - int(at_s)) > TOLERANCE_S:
            return False
        signed = f"{webhook_id}.{at_s}.".encode() + call.body
        given = call.headers.get("webhook-signature", "").encode().split()
        wanted = [b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in self._keys]
        return any(hmac.compare_digest(one, right) for one in given for right in wanted)

    def accept(self, letter: Letter, receipt: int) -> Reply:
        """Taken and shown."""
        del letter
        return as_json(200, {"received": True}, {"webhook-receipt": f"rcpt_{receipt:012d}"})

    def refuse(self, code: str) -> Reply:
        """The code is the status."""
        return as_json(int(code), {"error": code})

    def throttle(self) -> Reply:
        """Too many, come back in a second."""
        return as_json(429, {"error": "429"}, {"retry-after": "1"})


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"), validate=True)


def _told(body: bytes) -> dict[str, Any]:
    """The `data` of a well-formed body; empty for any other."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(found, dict) or found.keys() != _MEMBERS.keys():
        return {}
    is_typed = all(isinstance(found[name], kind) for name, kind in _MEMBERS.items())
    return found["data"] if is_typed else {}
