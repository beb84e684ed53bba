import base64
import json
import re
from typing import Any

import pytest

from infra.snapshot import Snapshot
from infra.tokens import mint
from producers.gateway.keys import Gatekeeper
from producers.gateway.problems import Refused
from producers.gateway.translated import chinese_for
from schemas.configuration import AppConfig, AppKey

NOW_S, SECRET = 1_700_000_000, "first-" + "0" * 32
ENGLISH = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")
"""Two English words in a row; the name of a member may stand in a Chinese text."""


def part(value: Any) -> str:
    """One part of a token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(**claims: Any) -> str:
    """A token with these claims, signed; its lifetime is for the verifier to judge."""
    import hashlib
    import hmac

    told = {"iss": "his", "aud": "medpost", "iat": NOW_S, "exp": NOW_S + 300, **claims}
    text = f"{part({'alg': 'HS256', 'kid': 'his-1'})}.{part({k: v for k, v in told.items() if v is not None})}"
    return f"{text}.{part(hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest())}"


HEAD, BODY = part({"alg": "HS256", "kid": "his-1"}), part({"iss": "his"})
MALFORMED = {
    "too few parts": "a.b",
    "no base64": f"{HEAD}.{BODY}.%%%",
    "loose base64": f"{HEAD}.{BODY}.AB",
    "foreign member": f"{part({'alg': 'HS256', 'kid': 'his-1', 'jku': 'x'})}.{BODY}.AAAA",
    "kid no text": f"{part({'alg': 'HS256', 'kid': 7})}.{BODY}.AAAA",
    "no JSON": f"{part(b'x')}.{BODY}.AAAA",
    "no object": f"{part([])}.{BODY}.AAAA",
    "too long a life": signed(exp=NOW_S + 90_000),
    "no exp": signed(exp=None),
    "iat no number": signed(iat="now"),
}


@pytest.mark.parametrize("token", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_token_is_told_in_either_language(token: str) -> None:
    """Which check failed, each in its own words."""
    app = AppConfig("his", keys=[AppKey("his-1")])
    keeper = Gatekeeper(Snapshot(1, apps={"his": app}), lambda _app, _key: SECRET.encode())
    with pytest.raises(Refused) as raised:
        keeper.caller(f"Bearer {token}", NOW_S * 1000, 0)
    (told,) = raised.value.problems
    assert (raised.value.status, told.code) == (401, "token_malformed")
    assert told.detail.zh != told.title.zh
    assert not ENGLISH.search(told.detail.zh), told.detail.zh
    assert told.detail.en.isascii()


def test_a_good_token_is_what_the_others_differ_from() -> None:
    """Else they would be refused for something else."""
    keeper = Gatekeeper(
        Snapshot(1, apps={"his": AppConfig("his", keys=[AppKey("his-1")])}), lambda _app, _key: SECRET.encode()
    )
    for token in (signed(), mint("his", "his-1", "HS256", SECRET, NOW_S, 300)):
        assert keeper.caller(f"Bearer {token}", NOW_S * 1000, 0).app.app_id == "his"


def test_figures_and_names_are_carried_over() -> None:
    """They are what a reader needs."""
    assert (
        chinese_for("2097152 bytes for messages.bulk, at most 1048576", "x") == "消息有 2097152 字节，最多 1048576 字节"
    )
    assert chinese_for("send_at: a time needs its zone, e.g. 2026-01-05T14:30:00+08:00", "x").startswith("send_at：")


def test_what_nobody_translated_is_told_by_its_title() -> None:
    """Rather than in English among Chinese."""
    assert chinese_for("something new", "参数不合要求") == "参数不合要求"
