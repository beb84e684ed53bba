"""An application's tokens on the sending side: minted when needed, attached when a record is published.

Used by the SDK alone. A token is judged at the time at which the broker appends the record, so one is only used while
it outlives the longest delivery. Never logs a token or a key.
"""

import threading
from typing import Final

from infra import tokens
from infra.token_keys import MIN_SECRET_BYTES, SHARED
from schemas.errors import Permanent, Reason

TTL_S: Final = 300
MARGIN_S: Final = 30


class Signer:
    """Bearer headers of one application; mints anew before a token could expire on its way. Safe for threads.

    Raises Permanent(param_invalid) when no token may live as long as `delivery_timeout_s`, or for a secret so short
    that the registry would not take it.
    """

    def __init__(self, app_id: str, key_id: str, algorithm: str, key: str | bytes, delivery_timeout_s: float) -> None:
        self._ttl_s = max(TTL_S, int(delivery_timeout_s * 2) + MARGIN_S)
        if self._ttl_s > tokens.MAX_LIFETIME_S:
            raise Permanent(
                Reason.PARAM_INVALID, f"delivery_timeout_s: at most {tokens.MAX_LIFETIME_S // 2 - MARGIN_S}"
            )
        secret = key.encode() if isinstance(key, str) else key
        if algorithm == SHARED and len(secret) < MIN_SECRET_BYTES:
            raise Permanent(Reason.PARAM_INVALID, f"secret: an HS256 secret has at least {MIN_SECRET_BYTES} bytes")
        self._named = (app_id, key_id, algorithm, key)
        self._usable_s = self._ttl_s - delivery_timeout_s - MARGIN_S
        self._minted_s = float("-inf")
        self._bearer = b""
        self._lock = threading.Lock()

    def bearer(self, now_s: float) -> bytes:
        """The value of the header `authorization` for a record published now."""
        with self._lock:
            if not 0 <= now_s - self._minted_s < self._usable_s:  # a clock set back is a new token, too
                app_id, key_id, algorithm, key = self._named
                token = tokens.mint(app_id, key_id, algorithm, key, now_s, self._ttl_s)
                self._bearer, self._minted_s = b"Bearer " + token.encode(), now_s
            return self._bearer
