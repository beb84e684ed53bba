import base64
import hashlib
import hmac
import json

import pytest

from infra.receipts.door import Arrived
from producers.gateway.problems import Refused
from producers.gateway.receipts import read
from schemas import ids
from schemas.configuration import ChannelConfig
from schemas.errors import Permanent

NOW_MS = 1_700_000_000_000
ID = ids.show(ids.mint(NOW_MS, bytes(10)))
SECRETS = {name: base64.b64encode(name.encode() * 8).decode() for name in ("ward", "desk")}
ACCOUNTS = [ChannelConfig("ward", "standard"), ChannelConfig("desk", "standard")]
BODY = json.dumps({"type": "message.receipt", "data": {"message_id": ID, "status": "read"}}).encode()


def arrived(secret: str, body: bytes = BODY) -> Arrived:
    """A receipt signed with a secret."""
    at = str(NOW_MS // 1000)
    digest = hmac.new(base64.b64decode(secret), f"w1.{at}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    headers = {"webhook-id": "w1", "webhook-timestamp": at, "webhook-signature": signature}
    return Arrived("", "127.0.0.1", headers, body, NOW_MS)


@pytest.mark.parametrize("channel", ["ward", "desk"])
def test_the_account_whose_secret_signed_it_is_meant(channel: str) -> None:
    """Whichever of several accounts of one provider that is."""
    found = read(arrived(SECRETS[channel]), ACCOUNTS, {name: {"secret": secret} for name, secret in SECRETS.items()})
    assert [(one.channel, one.kind, one.status, ids.show(one.message_id)) for one in found] == [
        (channel, "receipt", "read", ID)
    ]


def test_nobody_s_signature_is_refused() -> None:
    """With the last account's reason."""
    with pytest.raises(Permanent) as raised:
        read(arrived(SECRETS["ward"]), ACCOUNTS[1:], {"desk": {"secret": SECRETS["desk"]}})
    assert raised.value.reason == "token_signature"


def test_an_account_that_takes_no_receipts_does_not_exist_to_the_caller() -> None:
    """404 where no secret path was agreed."""
    with pytest.raises(Refused) as raised:
        read(Arrived("x", "127.0.0.1", {}, b"[]", NOW_MS), [ChannelConfig("sms", "aliyun")], {"sms": {}})
    assert raised.value.status == 404


def test_what_a_believed_sender_garbles_is_its_own_fault() -> None:
    """No other account is tried."""
    with pytest.raises(Permanent) as raised:
        read(arrived(SECRETS["ward"], b"{}"), ACCOUNTS, {name: {"secret": secret} for name, secret in SECRETS.items()})
    assert raised.value.reason == "param_invalid"
