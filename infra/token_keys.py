"""Keys that tokens are verified with: which may be registered, and how each becomes what its algorithm needs.

Called by `infra.tokens` and by the form of registry files, so that a key that cannot verify is refused when it is
registered. A private key is never taken: nobody but its owner may have it. Never shows a key.
Sources: RFC 7517 (JWK), RFC 7518 (sizes), RFC 8725 (one algorithm per key).
"""

import json
from typing import Any, Final

import jwt
from jwt.algorithms import Algorithm, get_default_algorithms

from schemas.errors import Permanent, Reason

SHARED: Final = "HS256"
"""The one algorithm whose key is a secret that both sides have."""
ALGORITHMS: Final = (SHARED, "RS256", "ES256", "EdDSA")
MIN_SECRET_BYTES: Final = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as the hash."""
RSA_BITS: Final = range(2_048, 8_193)
"""RFC 7518, section 3.3: not shorter; longer ones cost more than they bring."""
MAX_KEY_CHARS: Final = 8_192
_PRIVATE_MEMBERS: Final = ("d", "p", "q", "dp", "dq", "qi", "k")


def usable_key(algorithm: str, material: bytes) -> tuple[Algorithm, Any]:
    """The algorithm and its prepared verifying key; raises Permanent(config_missing) saying why it cannot be used.

    `material` is the secret (HS256), or a public key as PEM or JWK.
    """
    if algorithm not in ALGORITHMS:
        raise _unusable(f"algorithm {algorithm}: one of {', '.join(ALGORITHMS)}")
    if algorithm == SHARED and len(material) < MIN_SECRET_BYTES:
        raise _unusable(f"an HS256 secret has at least {MIN_SECRET_BYTES} bytes")
    if len(material) > MAX_KEY_CHARS:
        raise _unusable(f"longer than {MAX_KEY_CHARS} characters")
    made = get_default_algorithms()[algorithm]
    try:
        key = _prepared(made, algorithm, material)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as problem:
        raise _unusable(f"not a key for {algorithm}") from problem
    if algorithm != SHARED:
        _check_public(key)
    return made, key


def _prepared(made: Any, algorithm: str, material: bytes) -> Any:
    if algorithm != SHARED and material.lstrip().startswith(b"{"):
        return made.from_jwk(_verifying_jwk(algorithm, material))
    return made.prepare_key(material)


def _verifying_jwk(algorithm: str, material: bytes) -> dict[str, Any]:
    """The members of a JWK that may verify with that algorithm; raises Permanent(config_missing)."""
    key: dict[str, Any] = json.loads(material)
    may = key.get("key_ops", ["verify"])
    if key.get("use", "sig") != "sig" or not isinstance(may, list) or "verify" not in may:
        raise _unusable("the key's use or key_ops forbid verifying")
    if key.get("alg", algorithm) != algorithm:
        raise _unusable(f"the key is for another algorithm than {algorithm}")
    if any(member in key for member in _PRIVATE_MEMBERS):
        raise _unusable("a private key: register the public one")
    return key


def _check_public(key: Any) -> None:
    if hasattr(key, "private_bytes"):
        raise _unusable("a private key: register the public one")
    bits = getattr(key, "key_size", RSA_BITS.start) if hasattr(key, "encrypt") else RSA_BITS.start
    if bits not in RSA_BITS:
        raise _unusable(f"an RSA key has {RSA_BITS.start} to {RSA_BITS.stop - 1} bits, not {bits}")


def _unusable(why: str) -> Permanent:
    return Permanent(Reason.CONFIG_MISSING, why)
