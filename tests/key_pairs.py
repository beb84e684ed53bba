"""Key pairs for tests of tokens, one of every algorithm with a public key; made once a run."""

from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms
from msgspec import Struct


class Pair(Struct, frozen=True):
    """A private key, its public one as PEM and as JWK, and a private key of another pair."""

    algorithm: str
    private: bytes
    pem: bytes
    jwk: bytes
    other_private: bytes


def private_pem(key: Any) -> bytes:
    """A private key as PEM, without a password."""
    none = serialization.NoEncryption()
    made: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)
    return made


def public_pem(key: Any) -> bytes:
    """The public half of a private key as PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    made: bytes = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    return made


def pair(algorithm: str, key: Any, other: Any) -> Pair:
    """The pair of a private key."""
    jwk: Any = get_default_algorithms()[algorithm]
    return Pair(algorithm, private_pem(key), public_pem(key), jwk.to_jwk(key.public_key()).encode(), private_pem(other))


def rsa_key(bits: int = 2_048) -> Any:
    """A private RSA key."""
    return rsa.generate_private_key(65_537, bits)


def ec_key() -> Any:
    """A private key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


PAIRS: Final = (
    pair("RS256", rsa_key(), rsa_key()),
    pair("ES256", ec_key(), ec_key()),
    pair("EdDSA", ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()),
)
