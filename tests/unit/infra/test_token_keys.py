"""Which keys may be registered: public, strong, for this algorithm and for verifying; everything else says why not."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from infra.registry_apps import KeyForm
from infra.token_keys import ALGORITHMS, MAX_KEY_CHARS, usable_key
from schemas.errors import Permanent, Reason
from tests.key_pairs import PAIRS, Pair, private_pem, public_pem, rsa_key

SECRET = b"a-secret-of-at-least-thirty-two-bytes"
RS, ES, ED = PAIRS
each_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.algorithm)


def jwk(pair: Pair, **members: Any) -> bytes:
    """The public key as JWK with these members."""
    return json.dumps({**json.loads(pair.jwk), **members}).encode()


@each_pair
@pytest.mark.parametrize("members", [{}, {"use": "sig"}, {"key_ops": ["verify"]}, {"key_ops": ["verify", "sign"]}])
def test_a_public_key_is_usable(pair: Pair, members: dict[str, Any]) -> None:
    """As PEM, and as a JWK that is meant for verifying."""
    assert usable_key(pair.algorithm, pair.pem)
    assert usable_key(pair.algorithm, jwk(pair, alg=pair.algorithm, **members))


@each_pair
@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": ["sig"]},
        {"key_ops": ["encrypt"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"use": "sig", "key_ops": ["sign"]},
    ],
)
def test_a_key_that_forbids_verifying_is_refused(pair: Pair, members: dict[str, Any]) -> None:
    """`use` and `key_ops` are obeyed (RFC 7517, sections 4.2 and 4.3)."""
    assert "forbid verifying" in refusal(pair.algorithm, jwk(pair, **members))


def refusal(algorithm: str, material: bytes) -> str:
    """Why the key cannot be registered."""
    with pytest.raises(Permanent) as refused:
        usable_key(algorithm, material)
    assert refused.value.reason is Reason.CONFIG_MISSING
    return refused.value.detail


@each_pair
def test_a_private_key_is_refused(pair: Pair) -> None:
    """Nobody but its owner may have it."""
    assert "private key" in refusal(pair.algorithm, pair.private)
    assert "private key" in refusal(pair.algorithm, jwk(pair, d="AAAA"))


@each_pair
def test_a_key_of_another_algorithm_is_refused(pair: Pair) -> None:
    """Of every other one, and a JWK that names another."""
    for algorithm in set(ALGORITHMS) - {pair.algorithm}:
        refusal(algorithm, pair.pem)
        if algorithm != "HS256":
            refusal(algorithm, pair.jwk)
    assert "another algorithm" in refusal(pair.algorithm, jwk(pair, alg="RS512"))


@pytest.mark.parametrize(
    ("algorithm", "material"),
    [
        ("HS512", SECRET),
        ("none", b""),
        ("HS256", b"short"),
        ("HS256", b"x" * (MAX_KEY_CHARS + 1)),
        ("ES256", b"no key"),
        ("ES256", public_pem(ec.generate_private_key(ec.SECP384R1()))),
        ("RS256", public_pem(rsa_key(1_024))),
        ("EdDSA", b"{broken"),
        ("EdDSA", b'{"keys":[]}'),
        ("EdDSA", b'{"kty":"oct","k":"AAAA"}'),
        ("EdDSA", b'{"kty":"OKP","crv":"Ed25519","x":7}'),
        ("EdDSA", b'{"a":' * 1_000),
    ],
)
def test_a_weak_broken_or_foreign_key_is_refused(algorithm: str, material: bytes) -> None:
    """With a reason, and never with itself."""
    why = refusal(algorithm, material)
    assert material.decode()[:40] not in why or not material


@each_pair
@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_the_registry_takes_it(pair: Pair, form: str) -> None:
    """As `public_key` of an application's key."""
    text = getattr(pair, form).decode()
    key = KeyForm.model_validate({"id": "his-2", "algorithm": pair.algorithm, "public_key": text})
    assert key.material().decode() == text


@each_pair
@pytest.mark.parametrize("place", ["secret", "secret_env"])
def test_the_registry_takes_no_secret_for_it(pair: Pair, place: str) -> None:
    """And no public key for HS256."""
    with pytest.raises(ValidationError, match="public_key"):
        KeyForm.model_validate({"id": "his-2", "algorithm": pair.algorithm, place: pair.pem.decode()})
    with pytest.raises(ValidationError, match="secret"):
        KeyForm.model_validate({"id": "his-2", "public_key": pair.pem.decode()})


def test_the_registry_refuses_a_private_key_without_showing_it() -> None:
    """The file's author is told, the key is not repeated."""
    private = private_pem(ec.generate_private_key(ec.SECP256R1())).decode()
    with pytest.raises(ValidationError, match="private key") as refused:
        KeyForm.model_validate({"id": "his-2", "algorithm": "ES256", "public_key": private})
    assert private.splitlines()[1] not in refused.value.errors(include_input=False)[0]["msg"]
