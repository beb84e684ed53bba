import base64
import hashlib
import hmac
import json
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from infra.receipts.door import Arrived, echo_to
from infra.receipts.standard import TAKEN
from infra.snapshot import Snapshot
from producers.gateway.call import Call
from producers.gateway.problems import Refused
from producers.gateway.receipts import DISBELIEVED, Held, by_whom_believed, read, take_receipts
from schemas import ids
from schemas.codec import REQUEST
from schemas.configuration import ChannelConfig, ProviderAccount
from schemas.errors import Permanent

NOW_MS = 1_700_000_000_000
ID = ids.show(ids.mint(NOW_MS, bytes(10)))
SECRETS = {name: base64.b64encode(name.encode() * 8).decode() for name in ("ward", "desk")}
HELD = [(ChannelConfig(name, "standard"), {"secret": secret}) for name, secret in SECRETS.items()]
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
    found = read(arrived(SECRETS[channel]), HELD)
    assert [(one.channel, one.kind, one.status, ids.show(one.message_id)) for one in found] == [
        (channel, "receipt", "read", ID)
    ]


class Counter:
    """As much of the gateway as receipts need: one channel with two accounts, and what was published."""

    def __init__(self) -> None:
        other = ProviderAccount("standard", secrets=b"desk")
        ward = ChannelConfig("ward", "standard", secrets=b"ward", others=[other])
        self.snapshot = Snapshot(1, channels={"ward": ward})
        self.settings = SimpleNamespace(gateway_body_s=5.0, namespace="")
        self.quota = SimpleNamespace(request=lambda *_: {})
        self.clock = SimpleNamespace(monotonic_s=lambda: 0.0)
        self.outbox = SimpleNamespace(shipment=lambda: self)
        self.published: list[bytes] = []

    @staticmethod
    def secrets_of(account: ChannelConfig) -> dict[str, str]:
        """An account's own."""
        return {"secret": SECRETS[account.secrets.decode()]}

    async def put_patiently(self, record: Any, _headers: object) -> None:
        """Keep it."""
        self.published.append(record.value)

    async def arrived(self) -> None:
        """All of it is there."""


def pushed(one: Arrived) -> Any:
    """The same as a call of the gateway."""
    pieces = [one.body]

    async def readany() -> bytes:
        return pieces.pop() if pieces else b""

    asked: Any = SimpleNamespace(
        match_info={"provider": "standard"},
        headers=one.headers,
        remote=one.peer,
        query={},
        content_length=len(one.body),
        content=SimpleNamespace(readany=readany),
    )
    nobody: Any = None
    return Call(asked, nobody, one.at_ms)


@pytest.mark.parametrize("account", ["ward", "desk"])
async def test_two_accounts_of_one_channel_keep_their_own_secrets(account: str) -> None:
    """Either may sign; each receipt is the channel's."""
    counter: Any = Counter()
    answer = await take_receipts(counter, pushed(arrived(SECRETS[account])))
    assert (answer.status, answer.body) == (200, TAKEN)
    told = [REQUEST.decode(one) for one in counter.published]
    assert [(one.channel, one.provider, ids.show(one.message_id)) for one in told] == [("ward", "standard", ID)]


async def test_a_stranger_s_receipt_is_refused_by_both_accounts() -> None:
    """403, and nothing is published."""
    counter: Any = Counter()
    with pytest.raises(Refused) as raised:
        await take_receipts(counter, pushed(arrived(base64.b64encode(b"stranger" * 4).decode())))
    assert (raised.value.status, counter.published) == (403, [])


def test_nobody_s_signature_is_refused() -> None:
    """403, and counted."""
    before = DISBELIEVED.labels("standard")._value.get()
    with pytest.raises(Refused) as raised:
        read(arrived(SECRETS["ward"]), HELD[1:])
    assert (raised.value.status, raised.value.problems[0].code) == (403, "sender_not_believed")
    assert DISBELIEVED.labels("standard")._value.get() == before + 1


def test_an_old_signature_is_told_from_a_wrong_one() -> None:
    """A hospital whose clock is wrong finds out why."""
    old = structs.replace(arrived(SECRETS["ward"]), at_ms=NOW_MS + 301_000)
    with pytest.raises(Refused) as raised:
        read(old, HELD[:1])
    assert "clock" in raised.value.problems[0].detail.en


def test_an_account_without_receipts_hides_nobody_s_forgery() -> None:
    """Whichever of two accounts stands first, a forged push is a 403."""
    held: list[Held] = [HELD[1], (ChannelConfig("sms", "aliyun"), {})]
    for these in (held, held[::-1]):
        with pytest.raises(Refused) as raised:
            read(arrived(SECRETS["ward"]), these)
        assert raised.value.status == 403


def test_wechat_tries_the_address() -> None:
    """The echo to whoever signs with the push token of one of the accounts; 403, and no 500, to others."""
    query = {"timestamp": str(NOW_MS // 1000), "nonce": "n", "echostr": "5577006791947779410"}
    signed = "".join(sorted(["tok", query["timestamp"], "n"])).encode()
    query["signature"] = hashlib.sha1(signed).hexdigest()  # noqa: S324 - the vendor's choice
    tokens = {"other": "another", "wechat": "tok"}
    held = [(ChannelConfig(name, "template"), {"push_token": token}) for name, token in tokens.items()]
    tried = Arrived("", "127.0.0.1", {}, b"", NOW_MS, query)
    assert by_whom_believed(echo_to, tried, held) == b"5577006791947779410"
    for wrong in ({**query, "signature": "é"}, {**query, "nonce": "m"}, {}):
        with pytest.raises(Refused) as raised:
            by_whom_believed(echo_to, structs.replace(tried, query=wrong), held)
        assert raised.value.status == 403


def test_only_wechat_tries_addresses() -> None:
    """To others there is nothing to be got."""
    with pytest.raises(Refused) as raised:
        by_whom_believed(echo_to, arrived(SECRETS["ward"]), [(account, {}) for account, _ in HELD])
    assert raised.value.status == 404


def test_an_account_that_takes_no_receipts_does_not_exist_to_the_caller() -> None:
    """404 where no secret path was agreed."""
    with pytest.raises(Refused) as raised:
        read(Arrived("x", "127.0.0.1", {}, b"[]", NOW_MS), [(ChannelConfig("sms", "aliyun"), {})])
    assert raised.value.status == 404


def test_what_a_believed_sender_garbles_is_its_own_fault() -> None:
    """No other account is tried."""
    with pytest.raises(Permanent) as raised:
        read(arrived(SECRETS["ward"], b"{}"), HELD)
    assert raised.value.reason == "param_invalid"
