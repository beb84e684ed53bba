"""Tokens of applications: minting them, and verifying them harder than a library does by default.

Called by intake and the gateway (verify), the SDK and `medpost token` (mint). It judges who signed and when, never
what the application may do: grants are intake's. It never logs a token or a key; keys are `infra.token_keys`.

Refused beside bad signatures: another algorithm than the key's, keys not meant for verifying, parts that do not
re-encode to themselves, members given twice, lifetimes over an hour. Sources: RFC 7519, RFC 8725 (best practices).
"""

import base64
import binascii
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt
from jwt.algorithms import Algorithm
from msgspec import Struct

from infra.token_keys import ALGORITHMS, usable_key
from schemas.configuration import ENABLED, AppConfig, AppKey
from schemas.errors import Permanent, Reason

AUDIENCE: Final = "medpost"
MAX_LIFETIME_S: Final = 3_600
TOLERANCE_S: Final = 30
"""How far a sender's clock may be off."""
MAX_TOKEN_CHARS: Final = 8_192
CACHED_TOKENS: Final = 4_096
"""Verified tokens remembered by hash: a token is used for minutes, by a handful of applications."""

_FOREIGN_KEY_MEMBERS: Final = ("jwk", "jku", "x5c", "x5u", "crit")
"""Members by which a token would bring its own key, or ask for rules that we do not know."""

OpenKey = Callable[[str, AppKey], bytes]
"""From application and key to the secret (HS256) or the public key (PEM or JWK)."""


class Claims(Struct, frozen=True):
    """What a verified token says: who signed, with which key, and from when to when (seconds since the epoch)."""

    app_id: str
    key_id: str
    key_kind: str
    issued_at_s: float
    not_before_s: float
    expires_at_s: float


def mint(app_id: str, key_id: str, algorithm: str, key: str | bytes, now_s: float, ttl_s: int = 300) -> str:
    """A token of that application, valid for `ttl_s` from `now_s`; `key` is its secret, or a private key as PEM.

    Raises Permanent(param_invalid) for a lifetime that every verifier would refuse, or a key that cannot sign so.
    """
    if not 0 < ttl_s <= MAX_LIFETIME_S:
        raise Permanent(Reason.PARAM_INVALID, f"a token lives 1 to {MAX_LIFETIME_S} s, not {ttl_s}")
    issued = int(now_s)
    claims = {"iss": app_id, "aud": AUDIENCE, "iat": issued, "exp": issued + ttl_s}
    try:
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": key_id})
    except (jwt.PyJWTError, NotImplementedError, ValueError, TypeError) as problem:
        raise Permanent(Reason.PARAM_INVALID, f"not a key that signs with {algorithm}") from problem


def issuer(token: str) -> str:
    """Whose token it claims to be, unverified: only to know which application's keys to verify it with.

    Raises Permanent(token_malformed | token_signature).
    """
    claimed = _parts(token)[1].get("iss")
    if not isinstance(claimed, str):
        raise Permanent(Reason.TOKEN_SIGNATURE, "iss is missing or no text")
    return claimed


def unverified(token: str, at_ms: int) -> Claims:
    """What a token claims, after every check but its signature's: to tell a sender what is wrong, never to let in.

    Raises Permanent(token_*) with the first check that failed, judged at `at_ms` (UTC milliseconds).
    """
    app_id = issuer(token)
    header, payload, _ = _parts(token)
    if header["alg"] not in ALGORITHMS:
        raise Permanent(Reason.TOKEN_SIGNATURE, f"alg is none of {', '.join(ALGORITHMS)}")
    claims = _claims(payload, AppKey(header.get("kid", ""), header["alg"]), app_id)
    _check_times(claims, at_ms)
    return claims


class Verifier:
    """Verifies tokens of the applications of one registry version; made anew when the applications change."""

    def __init__(self, apps: Mapping[str, AppConfig], open_key: OpenKey, cached: int = CACHED_TOKENS) -> None:
        self._apps = apps
        self._open_key = open_key
        self._prepared: dict[tuple[str, str], tuple[Algorithm, Any]] = {}
        self._cache: OrderedDict[bytes, Claims] = OrderedDict()
        self._cached = cached

    def verify(self, token: str, app_id: str, at_ms: int) -> Claims:
        """The claims of a token that speaks for `app_id`, judged at `at_ms` (UTC milliseconds).

        Raises Permanent with the reason of the first check that failed. The signature is checked once a token, the
        times at every call.
        """
        app = self._app(app_id)
        if not token:
            raise Permanent(Reason.TOKEN_MISSING, "header authorization: Bearer <token> is missing")
        fingerprint = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        claims = self._cache.get(fingerprint)
        if claims is None or claims.app_id != app_id:
            claims = self._checked(token, app)
            self._remember(fingerprint, claims)
        _check_times(claims, at_ms)
        return claims

    def _app(self, app_id: str) -> AppConfig:
        app = self._apps.get(app_id)
        if app is None:
            raise Permanent(Reason.APP_UNKNOWN, "app_id is not registered" if app_id else "app_id is missing")
        if app.status != ENABLED:
            raise Permanent(Reason.APP_DISABLED, f"application {app_id} is disabled")
        return app

    def _remember(self, fingerprint: bytes, claims: Claims) -> None:
        self._cache[fingerprint] = claims
        if len(self._cache) > self._cached:
            self._cache.popitem(last=False)

    def _checked(self, token: str, app: AppConfig) -> Claims:
        """Form, signature, issuer, audience and lifetime: everything that does not depend on the time."""
        header, payload, signature = _parts(token)
        if payload.get("iss") != app.app_id:
            raise Permanent(Reason.TOKEN_SIGNATURE, "iss is not the message's app_id")
        key = self._signing_key(app, header, token.rpartition(".")[0].encode(), signature)
        return _claims(payload, key, app.app_id)

    def _signing_key(self, app: AppConfig, header: dict[str, Any], signed: bytes, signature: bytes) -> AppKey:
        """The application's live key that made the signature; without `kid` each one of that algorithm is tried."""
        for key in _candidates(app, header):
            algorithm, prepared = self._prepare(app.app_id, key)
            if algorithm.verify(signed, prepared, signature):
                return key
        raise Permanent(Reason.TOKEN_SIGNATURE, "the signature is not of this application's key")

    def _prepare(self, app_id: str, key: AppKey) -> tuple[Algorithm, Any]:
        at = (app_id, key.key_id)
        if at not in self._prepared:
            self._prepared[at] = usable_key(key.algorithm, self._open_key(app_id, key))
        return self._prepared[at]


def _candidates(app: AppConfig, header: dict[str, Any]) -> list[AppKey]:
    """The keys that may have signed; `alg` never chooses how a key is used, it only has to agree with it."""
    named = [key for key in app.keys if header.get("kid") in (None, key.key_id)]
    if not named:
        raise Permanent(Reason.TOKEN_SIGNATURE, "kid names no key of this application")
    alive = [key for key in named if key.status == ENABLED]
    if not alive:
        raise Permanent(Reason.TOKEN_SIGNATURE, "the key is no longer in use")
    agreeing = [key for key in alive if key.algorithm == header.get("alg")]
    if not agreeing:
        raise Permanent(Reason.TOKEN_SIGNATURE, "alg is not the algorithm registered for the key")
    return agreeing


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header, payload and signature; raises Permanent(token_malformed)."""
    pieces = token.split(".")
    if len(pieces) != 3 or len(token) > MAX_TOKEN_CHARS:
        raise Permanent(Reason.TOKEN_MALFORMED, "not three parts joined by dots, or too long")
    header, payload, signature = (_decoded(piece) for piece in pieces)
    return _header(header), _object(payload, "payload"), signature


def _decoded(piece: str) -> bytes:
    """base64url without padding; refused when encoding it again gives other text (stray bits, padding, spaces)."""
    try:
        raw = base64.b64decode(piece + "=" * (-len(piece) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Permanent(Reason.TOKEN_MALFORMED, "a part is not base64url") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != piece:
        raise Permanent(Reason.TOKEN_MALFORMED, "a part does not re-encode to itself")
    return raw


def _header(raw: bytes) -> dict[str, Any]:
    header = _object(raw, "header")
    brought = [name for name in _FOREIGN_KEY_MEMBERS if name in header]
    if brought:
        raise Permanent(Reason.TOKEN_MALFORMED, f"header member {brought[0]} is not allowed")
    if not isinstance(header.get("alg"), str) or not isinstance(header.get("kid", ""), str):
        raise Permanent(Reason.TOKEN_MALFORMED, "header members alg and kid are texts")
    return header


def _object(raw: bytes, part: str) -> dict[str, Any]:
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError):
        raise Permanent(Reason.TOKEN_MALFORMED, f"{part} is not JSON, or names a member twice") from None
    if not isinstance(found, dict):
        raise Permanent(Reason.TOKEN_MALFORMED, f"{part} is not a JSON object")
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("member given twice")
    return members


def _claims(payload: dict[str, Any], key: AppKey, app_id: str) -> Claims:
    audience = payload.get("aud")
    if AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
        raise Permanent(Reason.TOKEN_AUDIENCE, f"aud is not {AUDIENCE}")
    issued, expires = _seconds(payload, "iat"), _seconds(payload, "exp")
    not_before = _seconds(payload, "nbf") if "nbf" in payload else issued
    if not 0 < expires - issued <= MAX_LIFETIME_S:
        raise Permanent(
            Reason.TOKEN_MALFORMED, f"exp is {expires - issued:.0f} s after iat; allowed are 1 to {MAX_LIFETIME_S} s"
        )
    return Claims(app_id, key.key_id, key.kind, issued, not_before, expires)


def _seconds(payload: dict[str, Any], name: str) -> float:
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise Permanent(Reason.TOKEN_MALFORMED, f"{name} is missing or not seconds since 1970")
    return float(value)


def _check_times(claims: Claims, at_ms: int) -> None:
    at_s = at_ms / 1000
    if at_s >= claims.expires_at_s + TOLERANCE_S:
        raise Permanent(Reason.TOKEN_EXPIRED, f"expired {at_s - claims.expires_at_s:.0f} s before it arrived")
    valid_from = max(claims.issued_at_s, claims.not_before_s)
    if at_s < valid_from - TOLERANCE_S:
        raise Permanent(
            Reason.TOKEN_NOT_YET_VALID, f"valid in {valid_from - at_s:.0f} s only: is the sender's clock ahead?"
        )
