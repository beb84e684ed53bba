import base64
import hashlib
import hmac
import json

import pytest
from msgspec import structs

from infra.receipts.door import Arrived, echo_to
from producers.gateway.problems import Refused
from producers.gateway.receipts import DISBELIEVED, by_whom_believed, read
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
    """403, and counted."""
    before = DISBELIEVED.labels("standard")._value.get()
    with pytest.raises(Refused) as raised:
        read(arrived(SECRETS["ward"]), ACCOUNTS[1:], {"desk": {"secret": SECRETS["desk"]}})
    assert (raised.value.status, raised.value.problems[0].code) == (403, "sender_not_believed")
    assert DISBELIEVED.labels("standard")._value.get() == before + 1


def test_an_old_signature_is_told_from_a_wrong_one() -> None:
    """A hospital whose clock is wrong finds out why."""
    old = structs.replace(arrived(SECRETS["ward"]), at_ms=NOW_MS + 301_000)
    with pytest.raises(Refused) as raised:
        read(old, ACCOUNTS[:1], {"ward": {"secret": SECRETS["ward"]}})
    assert "clock" in raised.value.problems[0].detail.en


def test_an_account_without_receipts_hides_nobody_s_forgery() -> None:
    """Whichever of two accounts stands first, a forged push is a 403."""
    accounts, secrets = [ACCOUNTS[1], ChannelConfig("sms", "aliyun")], {"desk": {"secret": SECRETS["desk"]}, "sms": {}}
    for these in (accounts, accounts[::-1]):
        with pytest.raises(Refused) as raised:
            read(arrived(SECRETS["ward"]), these, secrets)
        assert raised.value.status == 403


def test_wechat_tries_the_address() -> None:
    """The echo to whoever signs with the push token of one of the accounts; 403, and no 500, to others."""
    query = {"timestamp": str(NOW_MS // 1000), "nonce": "n", "echostr": "5577006791947779410"}
    signed = "".join(sorted(["tok", query["timestamp"], "n"])).encode()
    query["signature"] = hashlib.sha1(signed).hexdigest()  # noqa: S324 - the vendor's choice
    accounts = [ChannelConfig("other", "template"), ChannelConfig("wechat", "template")]
    secrets = {"other": {"push_token": "another"}, "wechat": {"push_token": "tok"}}
    tried = Arrived("", "127.0.0.1", {}, b"", NOW_MS, query)
    assert by_whom_believed(echo_to, tried, accounts, secrets) == b"5577006791947779410"
    for wrong in ({**query, "signature": "é"}, {**query, "nonce": "m"}, {}):
        with pytest.raises(Refused) as raised:
            by_whom_believed(echo_to, structs.replace(tried, query=wrong), accounts, secrets)
        assert raised.value.status == 403


def test_only_wechat_tries_addresses() -> None:
    """To others there is nothing to be got."""
    with pytest.raises(Refused) as raised:
        by_whom_believed(echo_to, arrived(SECRETS["ward"]), ACCOUNTS, {name: {} for name in SECRETS})
    assert raised.value.status == 404


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
