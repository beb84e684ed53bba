"""Who is calling: verified bearer tokens, and tokens given for an application's credentials.

Called for every request. It says which check of a token failed; about applications and keys that do not exist it says
no more than about a wrong signature, and it never logs a token, a key, or how nearly somebody guessed one.
"""

import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from msgspec import Struct, structs

from infra import tokens
from infra.snapshot import Snapshot
from infra.tokens import Verifier
from producers.gateway.models import Place
from producers.gateway.problems import TITLES, Refused, problem, refused
from producers.gateway.translated import chinese_for
from schemas.configuration import ENABLED, AppConfig, AppKey
from schemas.errors import Permanent, Reason

TTL_S: Final = 3_600
"""How long a token lives that was given for credentials: as long as any may."""

OpenKey = Callable[[str, AppKey], bytes]
_issuer: Final = lru_cache(maxsize=1_024)(tokens.issuer)
"""A token is used for minutes, and reading its parts is a tenth of what a message costs (`bench` http.accept)."""
_SCHEME: Final = "bearer "
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="medpost"'}
_HEADER: Final = Place(header="Authorization")
_SIGNATURE: Final = (
    "签名与 iss 所登记的有效密钥及其算法不符",
    "the signature is not of a live key that is registered for iss with this alg",
)
_AUDIENCE: Final = ("aud 应为 medpost", "aud has to be medpost")


class Caller(Struct, frozen=True):
    """An application that has proved who it is, and the token it did so with (it travels on with the message)."""

    app: AppConfig
    bearer: bytes


NOBODY: Final = Caller(AppConfig(), b"")
"""Who calls an operation that wants no token."""


class Gatekeeper:
    """Verifies the callers of one registry version; made anew when the version changes."""

    def __init__(self, snapshot: Snapshot, open_key: OpenKey) -> None:
        self._apps = snapshot.apps
        self._open_key = open_key
        # Whether an application is disabled is said only to whoever holds one of its keys.
        proving = {name: structs.replace(app, status=ENABLED) for name, app in snapshot.apps.items()}
        self._verifier = Verifier(proving, open_key)

    def knows(self, app_id: str) -> bool:
        """Whether there is such an application; for counting, never to be told."""
        return app_id in self._apps

    def caller(self, header: str, now_ms: int, margin_ms: int) -> Caller:
        """The application behind an `Authorization` header.

        The token has to outlive `margin_ms` more: it is judged again when the broker appends the message. Raises
        Refused (401, or 403 for a disabled application).
        """
        token = _token(header)
        try:
            app_id = _issuer(token)
            self._verifier.verify(token, app_id, now_ms)
            self._verifier.verify(token, app_id, now_ms + margin_ms)
        except Permanent as failed:
            raise _unauthorised(failed) from None
        return Caller(_enabled(self._apps[app_id]), b"Bearer " + token.encode())

    def token(self, app_key: str, app_secret: str, now_ms: int) -> tuple[str, int]:
        """A token for credentials and when it ends (UTC milliseconds).

        Raises Refused(app_unknown) without saying which of them is wrong.
        """
        app = self._apps.get(app_key)
        given, found = app_secret.encode("utf-8", "surrogatepass"), None
        for key in app.keys if app is not None else [AppKey("", status=ENABLED)]:
            usable = key.status == ENABLED and key.algorithm == "HS256"
            secret = self._open_key(app_key, key) if usable and app is not None else b"\0" * 32
            if hmac.compare_digest(given, secret) and usable and app is not None:
                found = key.key_id, secret
        if app is None or found is None:
            raise Refused([problem(Reason.APP_UNKNOWN)], _CHALLENGE)
        _enabled(app)
        key_id, secret = found
        return tokens.mint(
            app.app_id, key_id, "HS256", secret, now_ms / 1000, TTL_S
        ), now_ms // 1000 * 1000 + TTL_S * 1000


def _token(header: str) -> str:
    if not header:
        detail = ("请求头 Authorization: Bearer <令牌> 缺失", "header Authorization: Bearer <token> is missing")
        raise Refused([problem(Reason.TOKEN_MISSING, detail, _HEADER)], _CHALLENGE)
    if header[: len(_SCHEME)].lower() != _SCHEME:
        detail = ("应为 Bearer <令牌>", "it has to be Bearer <token>")
        raise Refused([problem(Reason.TOKEN_MALFORMED, detail, _HEADER)], _CHALLENGE)
    return header[len(_SCHEME) :].strip()


def _enabled(app: AppConfig) -> AppConfig:
    if app.status != ENABLED:
        raise refused(Reason.APP_DISABLED)
    return app


def _unauthorised(failed: Permanent) -> Refused:
    """A failed check as an answer; whether application and key exist is not told."""
    code = Reason.TOKEN_SIGNATURE if failed.reason in (Reason.APP_UNKNOWN, Reason.CONFIG_MISSING) else failed.reason
    return Refused([problem(code, _told(code, failed.detail), _HEADER)], _CHALLENGE)


def _told(code: str, detail: str) -> tuple[str, str]:
    if code == Reason.TOKEN_SIGNATURE:
        return _SIGNATURE
    if code == Reason.TOKEN_AUDIENCE:
        return _AUDIENCE
    seconds = next((word for word in detail.split() if word.lstrip("-").isdigit()), "?")
    if code == Reason.TOKEN_NOT_YET_VALID:
        return f"您的时钟快了 {seconds} 秒", f"your clock is {seconds} s ahead"
    if code == Reason.TOKEN_EXPIRED:
        return "请重新签发令牌，并检查时钟", "mint a new token, and check your clock"
    return chinese_for(detail, TITLES[code][1]), detail
