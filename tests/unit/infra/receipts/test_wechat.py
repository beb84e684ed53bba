"""WeChat's message push: signatures and encryption to the vectors, what is refused, what receipts say."""

import pytest

from infra.receipts import wechat
from infra.receipts.door import Arrived, receipts_in, taken_by
from infra.simulators.inbox import Entry
from infra.simulators.reports import Report
from infra.simulators.wechat import DEMO_AES_KEY, DEMO_APP_ID, DEMO_PUSH_TOKEN, Wechat, encrypted, msgid_of
from schemas.configuration import ChannelConfig
from schemas.errors import Permanent, Reason
from schemas.records import NO_KEY

NOW = 1_700_000_000_000
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APP_ID = "wx1234567890abcdef"
SEALED = (
    "Q3stYC6hdFzMh9T8HCvyDIqws7/d8koJ8JwLxrb8SOsy7d/eUIN4zcaCgrROWzAcpmAhKCc1rphLsoCai3bw19NaCHkHY/m3pqf/wUr4msU900"
    "jIeA70zZ7BCDtJxMtV"
)
PLAIN_SIGN = "0856c9b34a64da513c77403f4dab6497debdbb06"
SEALED_SIGN = "e88de2d1f72c6207cfaf515892683c4c047461ec"
QUERY = {"timestamp": "1700000000", "nonce": "123456789", "signature": PLAIN_SIGN, "msg_signature": SEALED_SIGN}
PLAIN = {"push_token": "hospital_token", "app_id": APP_ID}
SECURE = {**PLAIN, "aes_key": AES_KEY}
BODY = f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt><![CDATA[{SEALED}]]></Encrypt></xml>".encode()
EVENT = (
    b"<xml><ToUserName><![CDATA[gh_x]]></ToUserName><FromUserName><![CDATA[oOPENID]]></FromUserName>"
    b"<CreateTime>1395658920</CreateTime><MsgType><![CDATA[event]]></MsgType>"
    b"<Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event><MsgID>200163836</MsgID><Status><![CDATA[%b]]></Status></xml>"
)


def test_signs_and_decrypts_as_the_vectors() -> None:
    """Vectors that another implementation of the protocol agrees with."""
    assert wechat.signature("hospital_token", "1700000000", "123456789") == PLAIN_SIGN
    assert wechat.signature("hospital_token", "1700000000", "123456789", SEALED) == SEALED_SIGN
    assert wechat.opened(QUERY, BODY, SECURE, NOW) == b"<xml><ToUserName><![CDATA[gh_1]]></ToUserName></xml>"


def test_the_simulator_encrypts_to_the_same_vector() -> None:
    """Written apart from the reader."""
    plain = b"<xml><ToUserName><![CDATA[gh_1]]></ToUserName></xml>"
    assert encrypted(plain, AES_KEY, APP_ID, b"0123456789abcdef") == SEALED


def test_answers_the_vendors_check() -> None:
    """The echo to whoever signs as the vendor, and to nobody else."""
    query = {**QUERY, "echostr": "5577006791947779410"}
    assert wechat.answer_of_check(query, PLAIN, NOW) == b"5577006791947779410"
    with pytest.raises(Permanent):
        wechat.answer_of_check({**query, "nonce": "1"}, PLAIN, NOW)


@pytest.mark.parametrize(
    ("query", "body", "account", "at_ms", "reason"),
    [
        ({**QUERY, "signature": "0" * 40}, BODY, SECURE, NOW, Reason.TOKEN_SIGNATURE),
        ({}, BODY, SECURE, NOW, Reason.TOKEN_SIGNATURE),
        ({**QUERY, "timestamp": "soon"}, BODY, SECURE, NOW, Reason.TOKEN_SIGNATURE),
        ({**QUERY, "msg_signature": PLAIN_SIGN}, BODY, SECURE, NOW, Reason.TOKEN_SIGNATURE),
        (QUERY, EVENT % b"success", SECURE, NOW, Reason.TOKEN_SIGNATURE),
        (QUERY, BODY, {**SECURE, "app_id": "wx0000000000000000"}, NOW, Reason.TOKEN_SIGNATURE),
        (QUERY, BODY, {**SECURE, "aes_key": "b" * 43}, NOW, Reason.TOKEN_SIGNATURE),
        (QUERY, BODY, {**SECURE, "aes_key": "b"}, NOW, Reason.TOKEN_SIGNATURE),
        (QUERY, BODY, SECURE, NOW + 301_000, Reason.TOKEN_EXPIRED),
        (QUERY, BODY, {"app_id": APP_ID}, NOW, Reason.CONFIG_MISSING),
        (QUERY, b"x" * 65_537, PLAIN, NOW, Reason.TOO_LARGE),
    ],
)
def test_refuses_whom_it_does_not_believe(
    query: dict[str, str], body: bytes, account: dict[str, str], at_ms: int, reason: Reason
) -> None:
    """Another's signature, another account's message, an old one; plain where a key was agreed."""
    with pytest.raises(Permanent) as caught:
        wechat.opened(query, body, account, at_ms)
    assert caught.value.reason is reason


@pytest.mark.parametrize("spoilt", [SEALED[:-4], SEALED[:-4] + "AAA=", "", "****"])
def test_a_spoilt_message_is_refused(spoilt: str) -> None:
    """Under a right signature too: the padding, the length and the account must fit."""
    body = f"<xml><Encrypt><![CDATA[{spoilt}]]></Encrypt></xml>".encode()
    sign = wechat.signature("hospital_token", "1700000000", "123456789", spoilt)
    with pytest.raises(Permanent) as caught:
        wechat.opened({**QUERY, "msg_signature": sign}, body, SECURE, NOW)
    assert caught.value.reason is Reason.TOKEN_SIGNATURE


@pytest.mark.parametrize(
    ("status", "told", "reason"),
    [
        (b"success", "delivered", ""),
        (b"failed:user block", "failed", "recipient_opted_out"),
        (b"failed: system failed", "failed", "transient"),
        (b"failed: of boredom", "failed", "unmapped"),
    ],
)
def test_a_receipt_names_the_message_by_the_vendors_id(status: bytes, told: str, reason: str) -> None:
    """There is no echo: whoever knows the vendor's id fills ours in."""
    (notice,) = wechat.read_push(EVENT % status)
    assert (notice.status, notice.reason, notice.provider_message_id) == (told, reason, "200163836")


def test_other_events_are_taken_and_left() -> None:
    """The vendor pushes what followers do, too; what is no push at all is refused."""
    assert wechat.read_push(b"<xml><MsgType>event</MsgType><Event>subscribe</Event></xml>") == []
    with pytest.raises(Permanent):
        wechat.read_push(b"<xml></xml>")


def test_words_of_followers_are_not_members() -> None:
    """What stands inside CDATA is text, and there is no parser to attack."""
    body = b"<xml><Content><![CDATA[<Status>success</Status>]]></Content><Status>no</Status></xml>"
    assert wechat.pairs_of(body) == {"Content": "<Status>success</Status>", "Status": "no"}


@pytest.mark.parametrize("aes_key", ["", DEMO_AES_KEY])
def test_what_the_simulator_pushes_comes_in(aes_key: str) -> None:
    """Plain and encrypted, through the door; a wrong path aside, the signature is all the proof."""
    server = Wechat()
    server.configure(
        "accounts",
        {"app_id": DEMO_APP_ID, "app_secret": "s" * 16, "push_token": DEMO_PUSH_TOKEN, "aes_key": aes_key},
    )
    entry = Entry(7, NOW, "template", "wechat", "taken", recipient="o" * 28)
    ((url, body),) = server.posts("http://x/v1/receipts/template", [(entry, Report(NOW, 7))], NOW)
    query = dict(pair.split("=") for pair in url.partition("?")[2].split("&"))
    account = ChannelConfig("wechat", "template", settings={"app_id": DEMO_APP_ID})
    secrets = {"push_token": DEMO_PUSH_TOKEN, "aes_key": aes_key}
    (request,) = receipts_in(Arrived("", "1.2.3.4", {}, body, NOW, query), account, secrets)
    assert (request.message_id, request.provider_message_id) == (NO_KEY, str(msgid_of(7)))
    assert (request.status, request.channel) == ("delivered", "wechat")
    assert (b"Encrypt" in body) is bool(aes_key)
    assert taken_by("template") == b"success"
