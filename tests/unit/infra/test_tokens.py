"""Tests of tokens: every refusal of the contract, and what must be let through."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.tokens import CACHED_TOKENS, TOLERANCE_S, Verifier, issuer, mint, unverified
from producers.tokens import Signer
from schemas.configuration import DISABLED, AppConfig, AppKey
from schemas.errors import Permanent, Reason
from tests.key_pairs import PAIRS, Pair

NOW_S = 1_800_000_000
AT_MS = NOW_S * 1000
SECRET = b"a-secret-of-at-least-thirty-two-bytes"
OTHER = b"another-secret-of-at-least-32-bytes!!"


def app(*keys: AppKey, **changes: Any) -> AppConfig:
    """The application `his` with these keys."""
    return AppConfig(app_id="his", keys=list(keys) or [AppKey("his-1", sealed=SECRET)], **changes)


def verifier(*apps: AppConfig) -> Verifier:
    """A verifier whose keys lie open."""
    return Verifier({one.app_id: one for one in apps or (app(),)}, lambda _app, key: key.sealed)


def signed(claims: dict[str, Any] | None = None, header: dict[str, Any] | None = None, key: bytes = SECRET) -> str:
    """A token with these claims and header members laid over good ones."""
    good = {"iss": "his", "aud": "medpost", "iat": NOW_S, "exp": NOW_S + 300}
    return jwt.encode({**good, **(claims or {})}, key, headers={"kid": "his-1", **(header or {})})


def raw(header: str, payload: str, key: bytes = SECRET) -> str:
    """A token of literal JSON texts, properly signed."""
    parts = [base64.urlsafe_b64encode(text.encode()).rstrip(b"=") for text in (header, payload)]
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(b".".join(parts), key)
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


HEADER = '{"alg":"HS256","kid":"his-1"}'
PAYLOAD = json.dumps({"iss": "his", "aud": "medpost", "iat": NOW_S, "exp": NOW_S + 300})


def refusal(token: str, at_ms: int = AT_MS, app_id: str = "his", by: Verifier | None = None) -> tuple[Reason, str]:
    """Reason and detail with which a token is refused."""
    with pytest.raises(Permanent) as refused:
        (by or verifier()).verify(token, app_id, at_ms)
    return refused.value.reason, refused.value.detail


def test_a_minted_token_is_verified() -> None:
    """What `mint` makes, `verify` believes, and says who signed with which key."""
    claims = verifier().verify(mint("his", "his-1", "HS256", SECRET, NOW_S), "his", AT_MS)
    assert (claims.app_id, claims.key_id, claims.expires_at_s) == ("his", "his-1", NOW_S + 300)


@pytest.mark.parametrize("ttl_s", [0, -1, 3_601])
def test_mint_refuses_a_lifetime_that_nobody_would_accept(ttl_s: int) -> None:
    """A token that every verifier refuses is not made."""
    with pytest.raises(Permanent):
        mint("his", "his-1", "HS256", SECRET, NOW_S, ttl_s)


def test_the_longest_lifetime_is_one_hour() -> None:
    """3,600 s is allowed, one second more is not."""
    assert verifier().verify(signed({"exp": NOW_S + 3_600}), "his", AT_MS)
    reason, detail = refusal(signed({"exp": NOW_S + 3_601}))
    assert reason is Reason.TOKEN_MALFORMED
    assert "3601 s" in detail


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", Reason.TOKEN_MISSING),
        ("nonsense", Reason.TOKEN_MALFORMED),
        ("a.b", Reason.TOKEN_MALFORMED),
        ("a.b.c.d", Reason.TOKEN_MALFORMED),
        ("é.é.é", Reason.TOKEN_MALFORMED),
        (signed() + "=", Reason.TOKEN_MALFORMED),
        (signed() + "!", Reason.TOKEN_MALFORMED),
        (raw("[]", PAYLOAD), Reason.TOKEN_MALFORMED),
        (raw("{", PAYLOAD), Reason.TOKEN_MALFORMED),
        (raw(HEADER, "[" * 3_000), Reason.TOKEN_MALFORMED),
        (raw('{"alg":"HS256","kid":"his-1","alg":"HS256"}', PAYLOAD), Reason.TOKEN_MALFORMED),
        (raw('{"alg":"HS256","alg":"none"}', PAYLOAD), Reason.TOKEN_MALFORMED),
        (raw('{"alg":"HS256","kid":7}', PAYLOAD), Reason.TOKEN_MALFORMED),
        (raw('{"kid":"his-1"}', PAYLOAD), Reason.TOKEN_MALFORMED),
        (raw(HEADER, PAYLOAD[:-1] + ',"iss":"his"}'), Reason.TOKEN_MALFORMED),
        (signed(header={"crit": ["exp"]}), Reason.TOKEN_MALFORMED),
        (signed(header={"jwk": {"kty": "oct"}}), Reason.TOKEN_MALFORMED),
        (signed({"exp": None}), Reason.TOKEN_MALFORMED),
        (signed({"exp": True}), Reason.TOKEN_MALFORMED),
        (signed({"exp": "soon"}), Reason.TOKEN_MALFORMED),
        (raw(HEADER, PAYLOAD.replace(str(NOW_S + 300), "NaN")), Reason.TOKEN_MALFORMED),
        (signed({"iat": NOW_S + 300}), Reason.TOKEN_MALFORMED),
        (signed({"nbf": "later"}), Reason.TOKEN_MALFORMED),
        (signed({"pad": "x" * 8_192}), Reason.TOKEN_MALFORMED),
        (signed(key=OTHER), Reason.TOKEN_SIGNATURE),
        (signed({"iss": "lis"}), Reason.TOKEN_SIGNATURE),
        (raw(HEADER, PAYLOAD.replace('"his"', '["his"]')), Reason.TOKEN_SIGNATURE),
        (signed(header={"kid": "his-9"}), Reason.TOKEN_SIGNATURE),
        (signed().rpartition(".")[0] + ".", Reason.TOKEN_SIGNATURE),
        (raw('{"alg":"none","kid":"his-1"}', PAYLOAD), Reason.TOKEN_SIGNATURE),
        (raw('{"alg":"HS512","kid":"his-1"}', PAYLOAD), Reason.TOKEN_SIGNATURE),
        (signed({"aud": "other"}), Reason.TOKEN_AUDIENCE),
        (signed({"aud": ["a", "b"]}), Reason.TOKEN_AUDIENCE),
        (signed({"aud": None}), Reason.TOKEN_AUDIENCE),
    ],
)
def test_a_bad_token_is_refused_with_its_reason(token: str, reason: Reason) -> None:
    """Each check of the contract has its own word."""
    assert refusal(token)[0] is reason


def test_an_audience_may_be_one_of_several() -> None:
    """`aud` is a text or a list (RFC 7519, section 4.1.3)."""
    assert verifier().verify(signed({"aud": ["other", "medpost"]}), "his", AT_MS)


def test_stray_bits_at_the_end_of_a_part_are_refused() -> None:
    """Two texts of one signature would be two tokens: a part must re-encode to itself."""
    good = signed()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(good[-1])
    twin = good[:-1] + alphabet[last ^ 1]
    assert refusal(twin) == (Reason.TOKEN_MALFORMED, "a part does not re-encode to itself")


def test_times_have_thirty_seconds_of_tolerance_and_no_more() -> None:
    """Both ends: a clock may be off by 30 s."""
    by, token = verifier(), signed()
    for at_s in (NOW_S - TOLERANCE_S, NOW_S + 300 + TOLERANCE_S - 1):
        by.verify(token, "his", at_s * 1000)
    assert refusal(token, (NOW_S + 330) * 1000, by=by) == (Reason.TOKEN_EXPIRED, "expired 30 s before it arrived")
    reason, detail = refusal(token, (NOW_S - 95) * 1000, by=by)
    assert reason is Reason.TOKEN_NOT_YET_VALID
    assert "95 s" in detail


def test_not_before_counts_when_it_is_later_than_issued() -> None:
    """A token for later is refused until then."""
    token = signed({"nbf": NOW_S + 100})
    assert refusal(token)[0] is Reason.TOKEN_NOT_YET_VALID
    assert verifier().verify(token, "his", (NOW_S + 100) * 1000)


def test_unknown_and_disabled_applications_are_refused() -> None:
    """Before anything is computed."""
    assert refusal(signed(), app_id="ris")[0] is Reason.APP_UNKNOWN
    assert refusal(signed(), app_id="")[0] is Reason.APP_UNKNOWN
    assert refusal(signed(), by=verifier(app(status=DISABLED)))[0] is Reason.APP_DISABLED


def test_several_live_keys_verify_and_a_disabled_one_does_not() -> None:
    """Rotation: old and new key live side by side, until the old one is disabled."""
    old, new = AppKey("his-1", sealed=SECRET), AppKey("his-2", sealed=OTHER)
    both = verifier(app(old, new))
    assert both.verify(signed(), "his", AT_MS).key_id == "his-1"
    assert both.verify(signed(header={"kid": "his-2"}, key=OTHER), "his", AT_MS).key_id == "his-2"
    gone = verifier(app(AppKey("his-1", status=DISABLED, sealed=SECRET), new))
    assert refusal(signed(), by=gone) == (Reason.TOKEN_SIGNATURE, "the key is no longer in use")


def test_without_kid_every_key_of_the_algorithm_is_tried() -> None:
    """A sender that names no key is still known by its signature."""
    both = verifier(app(AppKey("his-1", sealed=SECRET), AppKey("his-2", sealed=OTHER)))
    token = raw('{"alg":"HS256"}', PAYLOAD, OTHER)
    assert both.verify(token, "his", AT_MS).key_id == "his-2"


def test_a_public_key_is_never_used_as_a_secret() -> None:
    """The classic confusion: HS256 over the text of a registered public key."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    by = verifier(app(AppKey("his-1", "ES256", sealed=public)))
    forged = raw(HEADER, PAYLOAD, public)
    assert refusal(forged, by=by) == (Reason.TOKEN_SIGNATURE, "alg is not the algorithm registered for the key")
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert by.verify(mint("his", "his-1", "ES256", pem, NOW_S), "his", AT_MS)


def test_a_verified_token_is_remembered_but_its_times_are_judged_each_time() -> None:
    """The signature is checked once, the clock at every record."""
    opened: list[str] = []

    def open_key(_app: str, key: AppKey) -> bytes:
        opened.append(key.key_id)
        return key.sealed

    by = Verifier({"his": app()}, open_key)
    token = signed()
    for _ in range(3):
        by.verify(token, "his", AT_MS)
    assert opened == ["his-1"]
    assert refusal(token, AT_MS + 3_600_000, by=by)[0] is Reason.TOKEN_EXPIRED


def test_a_remembered_token_speaks_for_its_own_application_only() -> None:
    """A cached token of one application does not pass for another that claims it."""
    by = verifier(app(), AppConfig(app_id="lis", keys=[AppKey("his-1", sealed=SECRET)]))
    by.verify(signed(), "his", AT_MS)
    assert refusal(signed(), app_id="lis", by=by)[0] is Reason.TOKEN_SIGNATURE


def test_the_memory_of_tokens_is_bounded() -> None:
    """The oldest token is forgotten first."""
    by = Verifier({"his": app()}, lambda _app, key: key.sealed, cached=3)
    for number in range(10):
        by.verify(signed({"jti": number}), "his", AT_MS)
    assert len(by._cache) == 3
    assert CACHED_TOKENS > 1_000


each_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.algorithm)


@each_pair
@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_token_of_a_registered_public_key_is_verified(pair: Pair, form: str) -> None:
    """RS256, ES256 and EdDSA, registered as PEM or as JWK."""
    by = verifier(app(AppKey("his-1", pair.algorithm, sealed=getattr(pair, form))))
    token = mint("his", "his-1", pair.algorithm, pair.private, NOW_S)
    assert by.verify(token, "his", AT_MS).key_id == "his-1"


@each_pair
def test_another_pair_of_the_same_kind_is_refused(pair: Pair) -> None:
    """The signature counts, not the algorithm."""
    by = verifier(app(AppKey("his-1", pair.algorithm, sealed=pair.pem)))
    token = mint("his", "his-1", pair.algorithm, pair.other_private, NOW_S)
    assert refusal(token, by=by) == (Reason.TOKEN_SIGNATURE, "the signature is not of this application's key")


@each_pair
@pytest.mark.parametrize("alg", ["HS256", "RS256", "ES256", "EdDSA", "RS512", "none"])
def test_alg_must_be_that_of_the_key(pair: Pair, alg: str) -> None:
    """Whatever the header says, it never chooses how a key is used; a public key is never a secret."""
    if alg == pair.algorithm:
        return
    by = verifier(app(AppKey("his-1", pair.algorithm, sealed=pair.pem)))
    forged = raw(f'{{"alg":"{alg}","kid":"his-1"}}', PAYLOAD, pair.pem)
    assert refusal(forged, by=by) == (Reason.TOKEN_SIGNATURE, "alg is not the algorithm registered for the key")


@each_pair
def test_a_changed_payload_is_refused(pair: Pair) -> None:
    """One claim more under the old signature."""
    by = verifier(app(AppKey("his-1", pair.algorithm, sealed=pair.pem)))
    header, payload, signature = mint("his", "his-1", pair.algorithm, pair.private, NOW_S).split(".")
    told = json.loads(base64.urlsafe_b64decode(payload + "=="))
    changed = base64.urlsafe_b64encode(json.dumps({**told, "exp": told["exp"] + 60}).encode()).rstrip(b"=").decode()
    assert refusal(f"{header}.{changed}.{signature}", by=by)[0] is Reason.TOKEN_SIGNATURE


def test_live_keys_of_every_algorithm_stand_side_by_side() -> None:
    """With and without `kid`: each token finds its key."""
    keys = [
        AppKey("his-1", sealed=SECRET),
        *(AppKey(f"his-{one.algorithm}", one.algorithm, sealed=one.pem) for one in PAIRS),
    ]
    by = verifier(app(*keys))
    assert by.verify(signed(), "his", AT_MS).key_id == "his-1"
    for pair in PAIRS:
        named = mint("his", f"his-{pair.algorithm}", pair.algorithm, pair.private, NOW_S)
        claims = {"iss": "his", "aud": "medpost", "iat": NOW_S, "exp": NOW_S + 60}
        unnamed = jwt.encode(claims, pair.private, algorithm=pair.algorithm)
        assert {by.verify(token, "his", AT_MS).key_id for token in (named, unnamed)} == {f"his-{pair.algorithm}"}


@pytest.mark.parametrize("after", [Pair("HS256", OTHER, OTHER, OTHER, OTHER), *PAIRS], ids=lambda pair: pair.algorithm)
def test_a_key_is_rotated_without_a_gap(after: Pair) -> None:
    """Both keys live, then the sender changes over, then the old one is disabled: nothing is refused in between."""
    old, new = AppKey("his-1", sealed=SECRET), AppKey("his-2", after.algorithm, sealed=after.pem)
    gone = AppKey("his-1", status=DISABLED, sealed=SECRET)
    registries = {0: verifier(app(old)), 60: verifier(app(old, new)), 500: verifier(app(gone, new))}
    senders = {
        0: Signer("his", "his-1", "HS256", SECRET, 30),
        120: Signer("his", "his-2", after.algorithm, after.private, 30),
    }
    used = []
    for second in range(0, 900, 5):
        sender = senders[max(start for start in senders if start <= second)]
        token = sender.bearer(NOW_S + second).decode().removeprefix("Bearer ")
        by = registries[max(start for start in registries if start <= second)]
        used.append(by.verify(token, "his", (NOW_S + second) * 1000).key_id)
    assert (used[0], used[-1], len(set(used))) == ("his-1", "his-2", 2)
    assert refusal(signed(), by=registries[500]) == (Reason.TOKEN_SIGNATURE, "the key is no longer in use")


def test_an_unverified_look_judges_everything_but_the_signature() -> None:
    """To tell a sender what is wrong, without the key."""
    claims = unverified(signed(key=OTHER), AT_MS)
    assert (claims.app_id, claims.key_id, claims.expires_at_s) == ("his", "his-1", NOW_S + 300)
    for token, reason in [
        ("a.b", Reason.TOKEN_MALFORMED),
        (raw(HEADER, PAYLOAD.replace('"his"', "7")), Reason.TOKEN_SIGNATURE),
        (raw('{"alg":"none"}', PAYLOAD), Reason.TOKEN_SIGNATURE),
        (signed({"aud": "other"}), Reason.TOKEN_AUDIENCE),
        (signed({"exp": NOW_S + 3_601}), Reason.TOKEN_MALFORMED),
        (signed({"iat": NOW_S - 3_000, "exp": NOW_S - 40}), Reason.TOKEN_EXPIRED),
        (signed({"nbf": NOW_S + 40}), Reason.TOKEN_NOT_YET_VALID),
    ]:
        with pytest.raises(Permanent) as refused:
            unverified(token, AT_MS)
        assert refused.value.reason is reason


def test_the_issuer_is_read_without_believing_it() -> None:
    """Only to know whose keys to ask."""
    assert issuer(signed(key=OTHER)) == "his"


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("spoil", ["=", "==", " ", "\n", "+", "."])
def test_every_part_must_re_encode_to_itself(part: int, spoil: str) -> None:
    """Padding, spaces, the other alphabet, a part more: refused in each of the three."""
    pieces = signed().split(".")
    pieces[part] += spoil
    assert refusal(".".join(pieces))[0] is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize("member", ["jwk", "jku", "x5c", "x5u", "crit"])
def test_a_token_brings_neither_its_key_nor_its_rules(member: str) -> None:
    """Each such header member is refused by name."""
    reason, detail = refusal(raw(f'{{"alg":"HS256","kid":"his-1","{member}":"x"}}', PAYLOAD))
    assert (reason, detail) == (Reason.TOKEN_MALFORMED, f"header member {member} is not allowed")


@pytest.mark.parametrize("member", ["alg", "kid", "typ", "x"])
def test_a_header_member_given_twice_is_refused(member: str) -> None:
    """Also with equal values: two readers might take different ones."""
    header = f'{{"alg":"HS256","kid":"his-1","{member}":"HS256","{member}":"HS256"}}'
    assert refusal(raw(header, PAYLOAD))[0] is Reason.TOKEN_MALFORMED
