"""The door for pushed receipts: the secret path, the list of senders, the signature, and what is let in."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

import pytest
from msgspec import structs

from infra.receipts.door import VENDORS, Arrived, receipts_in, taken_by
from infra.receipts.echo import echo_of
from schemas import ids
from schemas.configuration import ChannelConfig
from schemas.errors import Permanent, Reason
from tests.channel_samples import delivery

NOW = 1_760_000_000_000
TOKEN = "a-secret-path-0123456789"
ALIYUN = ChannelConfig("sms", "aliyun", settings={"receipt_from": "10.0.0.0/8, 192.168.1.7"})
SECRETS = {"receipt_token": TOKEN}
LINE = {"success": True, "err_code": "DELIVERED", "out_id": echo_of(delivery()), "biz_id": "b"}
GOOD = Arrived(TOKEN, "10.1.2.3", {}, json.dumps([LINE, {**LINE, "out_id": "theirs"}]).encode(), NOW)
WEBHOOK = ChannelConfig("webhook", "standard")
WHSEC = "whsec_" + base64.b64encode(b"k" * 32).decode()


def refused(arrived: Arrived, account: ChannelConfig, secrets: Mapping[str, str]) -> Reason:
    """Why it was not let in."""
    with pytest.raises(Permanent) as caught:
        receipts_in(arrived, account, secrets)
    assert TOKEN not in str(caught.value)
    return caught.value.reason


def test_lets_in_what_is_ours() -> None:
    """Lines of other systems over the same account are left out; the vendor hears what it wants to hear."""
    (request,) = receipts_in(GOOD, ALIYUN, SECRETS)
    assert (request.message_id, request.status, request.at) == (delivery().message_id, "delivered", NOW)
    assert json.loads(taken_by("aliyun")) == {"code": 0, "msg": "ok"}
    assert json.loads(taken_by("tencent")) == {"result": 0, "errmsg": "OK"}


@pytest.mark.parametrize(
    ("arrived", "reason"),
    [
        (structs.replace(GOOD, token="guessed"), Reason.TOKEN_SIGNATURE),
        (structs.replace(GOOD, token=""), Reason.TOKEN_SIGNATURE),
        (structs.replace(GOOD, token="é"), Reason.TOKEN_SIGNATURE),
        (structs.replace(GOOD, peer="172.16.0.1"), Reason.TOKEN_SIGNATURE),
        (structs.replace(GOOD, peer="nonsense"), Reason.TOKEN_SIGNATURE),
        (structs.replace(GOOD, body=b"{}"), Reason.PARAM_INVALID),
        (structs.replace(GOOD, body=b"[" + b" " * 1_048_576 + b"]"), Reason.TOO_LARGE),
    ],
)
def test_refuses_a_forged_receipt(arrived: Arrived, reason: Reason) -> None:
    """Another path, another sender, or no receipt at all."""
    assert refused(arrived, ALIYUN, SECRETS) is reason


def test_is_shut_until_it_has_a_secret_path() -> None:
    """An account without token takes nothing; without a list every sender who knows the path is heard."""
    assert refused(GOOD, ALIYUN, {}) is Reason.CONFIG_MISSING
    assert refused(GOOD, structs.replace(ALIYUN, provider="nobody"), SECRETS) is Reason.CONFIG_MISSING
    assert receipts_in(structs.replace(GOOD, peer="1.2.3.4"), structs.replace(ALIYUN, settings={}), SECRETS)


def signed(secret: str = WHSEC, at_s: int = NOW // 1000) -> Arrived:
    """A receipt of our own system."""
    body = json.dumps({"type": "message.receipt", "data": {"message_id": ids.show(bytes(16)), "status": "read"}})
    mac = hmac.new(base64.b64decode(secret[6:]), f"m1.{at_s}.{body}".encode(), hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(mac).decode()
    headers = {"webhook-id": "m1", "webhook-timestamp": str(at_s), "webhook-signature": f"v1,AAAA {signature}"}
    return Arrived("", "1.2.3.4", headers, body.encode(), NOW)


def test_believes_a_signature_without_a_path() -> None:
    """Any of the live secrets; not another's, not an old one, not another body."""
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    assert receipts_in(signed(), WEBHOOK, {"secret": f"{other} {WHSEC}"})[0].status == "read"
    assert refused(signed(other), WEBHOOK, {"secret": WHSEC}) is Reason.TOKEN_SIGNATURE
    assert refused(signed(at_s=NOW // 1000 - 301), WEBHOOK, {"secret": WHSEC}) is Reason.TOKEN_EXPIRED
    changed = structs.replace(signed(), body=b"{}")
    assert refused(changed, WEBHOOK, {"secret": WHSEC}) is Reason.TOKEN_SIGNATURE
    assert refused(structs.replace(signed(), headers={}), WEBHOOK, {"secret": WHSEC}) is Reason.TOKEN_SIGNATURE
    assert refused(signed(), WEBHOOK, {"secret": "whsec_?"}) is Reason.CONFIG_MISSING


def test_every_vendor_hears_json_or_a_word() -> None:
    """Whatever it is."""
    for vendor in VENDORS.values():
        assert vendor.taken == b"success" or json.loads(vendor.taken)
