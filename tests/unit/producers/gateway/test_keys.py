import base64
import json

import pytest
from msgspec import structs

from infra.snapshot import Snapshot
from infra.tokens import mint
from producers.gateway.keys import TTL_S, Gatekeeper
from producers.gateway.problems import Refused
from schemas.configuration import DISABLED, AppConfig, AppKey

NOW_MS = 1_700_000_000_000
NOW_S = NOW_MS / 1000
SECRETS = {"his-1": "first-" + "0" * 32, "his-2": "second-" + "0" * 32, "his-old": "old-" + "0" * 32}
HIS = AppConfig(
    "his", keys=[AppKey("his-1"), AppKey("his-2"), AppKey("his-old", status=DISABLED)], types=["*"], channels=["*"]
)


def keeper(app: AppConfig = HIS) -> Gatekeeper:
    """One that knows one application."""
    return Gatekeeper(Snapshot(1, apps={app.app_id: app}), lambda _app, key: SECRETS[key.key_id].encode())


def token(key_id: str = "his-1", app_id: str = "his", at_s: float = NOW_S, ttl_s: int = 300, secret: str = "") -> str:
    """A token as a sender makes it."""
    return mint(app_id, key_id, "HS256", secret or SECRETS[key_id], at_s, ttl_s)


def refused(header: str, margin_ms: int = 0, app: AppConfig = HIS) -> Refused:
    """How a header is refused."""
    with pytest.raises(Refused) as raised:
        keeper(app).caller(header, NOW_MS, margin_ms)
    return raised.value


@pytest.mark.parametrize("key_id", ["his-1", "his-2"])
def test_every_live_key_proves_the_caller(key_id: str) -> None:
    """So keys can be rotated without a gap; the scheme's case does not matter."""
    caller = keeper().caller(f"bearer {token(key_id)}", NOW_MS, 6_000)
    assert (caller.app, caller.bearer) == (HIS, b"Bearer " + token(key_id).encode())


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "token_missing"),
        ("Basic aGk6aG8=", "token_malformed"),
        ("Bearer", "token_malformed"),
        ("Bearer a.b", "token_malformed"),
        ("Bearer \udcff", "token_malformed"),
        (f"Bearer {token(secret='x' * 40)}", "token_signature"),
        (f"Bearer {token('his-old')}", "token_signature"),
        (f"Bearer {token(app_id='nobody')}", "token_signature"),
        (f"Bearer {token(at_s=NOW_S - 400)}", "token_expired"),
        (f"Bearer {token(at_s=NOW_S + 95)}", "token_not_yet_valid"),
    ],
)
def test_a_refusal_says_which_check_failed(header: str, code: str) -> None:
    """401, the code, the challenge."""
    failed = refused(header)
    assert (failed.status, failed.problems[0].code) == (401, code)
    assert failed.headers["WWW-Authenticate"].startswith("Bearer")
    assert failed.problems[0].source.header == "Authorization"


def test_a_fast_clock_is_told_how_fast() -> None:
    """The one thing that a sender can mend by himself."""
    assert refused(f"Bearer {token(at_s=NOW_S + 95)}").problems[0].detail.en == "your clock is 95 s ahead"


def test_whether_an_application_exists_is_not_told() -> None:
    """Unknown application, wrong secret and withdrawn key are told in the same words."""
    headers = (token(app_id="nobody"), token(secret="x" * 40), token("his-old"), token(secret="x" * 40) + "")
    assert len({str(refused(f"Bearer {one}").body()) for one in headers}) == 1


def test_a_disabled_application_is_told_only_to_its_key_s_owner() -> None:
    """403 with a good signature, the common 401 without."""
    app = structs.replace(HIS, status=DISABLED)
    assert refused(f"Bearer {token()}", app=app).problems[0].code == "app_disabled"
    assert refused(f"Bearer {token(secret='x' * 40)}", app=app).problems[0].code == "token_signature"


def test_a_token_has_to_outlive_the_broker_s_acknowledgement() -> None:
    """Intake judges it at the append time, which may be seconds later: 30 s are tolerated in all."""
    ending = f"Bearer {token(at_s=NOW_S - 325)}"
    assert keeper().caller(ending, NOW_MS, 0).app == HIS
    assert refused(ending, 6_000).problems[0].code == "token_expired"


def test_members_given_twice_and_foreign_algorithms_are_refused() -> None:
    """As the verifier refuses them."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","alg":"none"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps({"iss": "his"}).encode()).rstrip(b"=").decode()
    assert refused(f"Bearer {head}.{body}.AAAA").problems[0].code == "token_malformed"
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    assert refused(f"Bearer {head}.{body}.").problems[0].code == "token_signature"


def test_credentials_give_a_token_that_works() -> None:
    """For an hour, under whichever live key was given."""
    for key_id in ("his-1", "his-2"):
        given, until_ms = keeper().token("his", SECRETS[key_id], NOW_MS)
        assert until_ms == NOW_MS + TTL_S * 1000
        assert keeper().caller(f"Bearer {given}", NOW_MS, 0).app == HIS


@pytest.mark.parametrize(
    ("app_key", "secret"),
    [("his", "x" * 40), ("his", SECRETS["his-old"]), ("nobody", SECRETS["his-1"]), ("nobody", "\0" * 32), ("his", "é")],
)
def test_wrong_credentials_are_refused_alike(app_key: str, secret: str) -> None:
    """Nobody learns whether the application exists."""
    with pytest.raises(Refused) as raised:
        keeper().token(app_key, secret, NOW_MS)
    assert (raised.value.status, raised.value.problems[0].code) == (401, "app_unknown")
