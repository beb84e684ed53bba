"""A WeChat service account, simulated: stable_token, template/send, TEMPLATESENDJOBFINISH pushed plain or encrypted.

Checks what the vendor checks (account, token and its age, follower, template, its keys and their types) and refuses
with the vendor's errcodes; HTTP always says 200. Written from the vendor's documents, sharing no code with the channel.
Source: developers.weixin.qq.com. It proves that the protocol is spoken, not that a real account works.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlencode

from msgspec import Struct

from infra import crypto
from infra.simulators.exchange import Action, Call, Inquiry, Letter, Refusal, Reply, as_json
from infra.simulators.inbox import Entry
from infra.simulators.reports import Report, Reports
from schemas.topics import DAY_MS

DEMO_APP_ID: Final = "wx0123456789abcdef"
DEMO_APP_SECRET: Final = "medpost-demo-app-secret-00000000"  # noqa: S105 - opens nothing but this simulator
DEMO_PUSH_TOKEN: Final = "medpostDemoToken"  # noqa: S105 - as above
DEMO_AES_KEY: Final = "medpostDemoKey0123456789ABCDEFGHIJKLMNOPQRS"
TOKEN_S: Final = 7_200
FORCE_EVERY_MS: Final = 30_000
FORCED_A_DAY: Final = 20
CLIENT_ID_CHARS: Final = 64
URL_BYTES: Final = 1_024
SEND: Final = "/wechat/cgi-bin/message/template/send"
TOKEN: Final = "/wechat/cgi-bin/stable_token"  # noqa: S105 - a path
MEMBERS: Final = {
    "touser": str,
    "template_id": str,
    "url": str,
    "miniprogram": dict,
    "client_msg_id": str,
    "data": dict,
}
FAILURES: Final = {"REJECTD": "failed:user block"}
ERRMSGS: Final = {
    "0": "ok",
    "40001": "invalid credential, access_token is invalid or not latest",
    "47003": "argument invalid!",
}
_OPENID: Final = re.compile(r"o[0-9A-Za-z_-]{27}")
_DATA: Final = re.compile(r"\{\{([a-z_]+[0-9]*)\.DATA\}\}")
_TIME: Final = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?"
_DATE: Final = r"[0-9]{4}([-/.年])[0-9]{1,2}([-/.月])[0-9]{1,2}日?"


def _is_like(pattern: str) -> Callable[[str], bool]:
    found = re.compile(pattern)
    return lambda value: found.fullmatch(value) is not None


RULES: Final[Mapping[str, Callable[[str], bool]]] = {
    "thing": _is_like(r"[^\n\r]{1,20}"),
    "number": lambda value: len(value) <= 32 and value.lstrip("-").replace(".", "", 1).isdecimal(),
    "letter": lambda value: len(value) <= 32 and value.isascii() and value.isalpha(),
    "symbol": _is_like(r"[^\w\s]{1,5}"),
    "character_string": _is_like(r"[\x21-\x7e]{1,32}"),
    "time": _is_like(rf"({_DATE} ?)?{_TIME}(~.+)?"),
    "date": _is_like(rf"{_DATE}( ?{_TIME})?"),
    "amount": _is_like(r"[¥￥$€£]?[0-9]{1,10}(\.[0-9]+)?元?"),
    "phone_number": _is_like(r"[-+0-9]{1,17}"),
    "car_number": _is_like(r"\w{1,8}"),
    "name": lambda value: 0 < len(value) <= (20 if value.isascii() else 10) and not any(map(str.isdecimal, value)),
    "phrase": _is_like(r"[\u4e00-\u9fff·]{1,5}"),
    "const": _is_like(r"[^\n\r]{1,20}"),
}
"""How a value must be written, by its key's type."""


class Account(Struct):
    """A service account, and the token that is good for it now."""

    app_id: str
    app_secret: str
    push_token: str
    aes_key: str
    token: str = ""
    ends_at_ms: int = 0
    forced_at_ms: tuple[int, ...] = ()


class Wechat:
    """One account at a time pushes; any number send."""

    name = "template"
    channel = "wechat"
    is_idempotent = True
    magic: ClassVar[Mapping[str, Action]] = {
        "0001": Action("code", "40003"),
        "0003": Action("code", "43019"),
        "0006": Action("code", "-1"),
        "0007": Action("throttle"),
        "0008": Action("cut"),
        "0009": Action("code", "40249"),
        "0014": Action("code", "43004"),
    }
    """0002, 0004, 0005 and 0010 to 0013 differ in receipts only."""

    def __init__(self) -> None:
        demo = Account(DEMO_APP_ID, DEMO_APP_SECRET, DEMO_PUSH_TOKEN, DEMO_AES_KEY)
        self._accounts = {demo.app_id: demo}
        self._pusher = demo
        self._templates: dict[str, str] = {}
        self._issued = 0

    def configure(self, kind: str, told: Mapping[str, str]) -> None:
        """`accounts` {app_id, app_secret, push_token, aes_key ("": plain)} or `templates` {template_id, text}."""
        wanted = {"accounts": ("app_id", "app_secret", "push_token"), "templates": ("template_id", "text")}[kind]
        missing = [name for name in wanted if not told.get(name)]
        if missing:
            raise ValueError(f"{kind} of {self.name} need {', '.join(missing)}")
        if kind == "templates":
            self._templates[told["template_id"]] = told["text"]
            return
        made = Account(told["app_id"], told["app_secret"], told["push_token"], told.get("aes_key", ""))
        self._accounts[made.app_id] = self._pusher = made

    def magic_tail(self, recipient: str) -> str:
        """The last four digits."""
        return recipient[-4:]

    def examine(self, call: Call) -> Letter | Refusal | Inquiry:
        """A call for a token, or a message."""
        try:
            asked: Any = json.loads(call.body)
        except ValueError:
            return Refusal("47001")
        if not isinstance(asked, dict) or call.method != "POST":
            return Refusal("47001")
        if call.path == TOKEN:
            code = self._stranger(asked)
            return Refusal(code) if code else Inquiry("stable_token", asked, call.at_ms)
        return self._message(call, asked) if call.path == SEND else Refusal("40066")

    # -- tokens

    def _stranger(self, asked: Mapping[str, Any]) -> str:
        account = self._accounts.get(str(asked.get("appid")))
        if asked.get("grant_type") != "client_credential" or not isinstance(asked.get("force_refresh", False), bool):
            return "40002"
        if account is None:
            return "40013"
        return "" if asked.get("secret") == account.app_secret else "40125"

    def answer(self, inquiry: Inquiry, reports: Reports) -> Reply:
        """The account's token: the same until it is about to end, or another where that is forced."""
        del reports
        account, now_ms = self._accounts[inquiry.asked["appid"]], inquiry.at_ms
        if inquiry.asked.get("force_refresh"):
            recent = tuple(at_ms for at_ms in account.forced_at_ms if at_ms > now_ms - DAY_MS)
            if len(recent) >= FORCED_A_DAY or (recent and now_ms - recent[-1] < FORCE_EVERY_MS):
                return self.refuse("45011")
            account.forced_at_ms = (*recent, now_ms)
            account.ends_at_ms = 0
        if now_ms >= account.ends_at_ms:
            self._issued += 1
            seed = f"{account.app_id} {account.app_secret} {now_ms} {self._issued}".encode()
            account.token, account.ends_at_ms = hashlib.sha512(seed).hexdigest(), now_ms + TOKEN_S * 1000
        told = {"access_token": account.token, "expires_in": (account.ends_at_ms - now_ms) // 1000}
        return as_json(200, told)

    def _bad_token(self, call: Call) -> str:
        token = parse_qs(call.query).get("access_token", [""])[0]
        if not token:
            return "41001"
        account = next((one for one in self._accounts.values() if one.token == token), None)
        if account is None:
            return "40001"
        return "" if call.at_ms < account.ends_at_ms else "42001"

    # -- messages

    def _message(self, call: Call, asked: dict[str, Any]) -> Letter | Refusal:
        recipient, key = str(asked.get("touser", "")), str(asked.get("client_msg_id", ""))
        code = self._bad_token(call) or self._complaint(asked)
        if code:
            return Refusal(code, recipient, key)
        values = {name: given["value"] for name, given in asked["data"].items()}
        text = _DATA.sub(lambda found: values[found[1]], self._templates[asked["template_id"]])
        title, _, rest = text.partition("\n")
        return Letter(
            recipient=recipient,
            key=key,
            message_id=key[:32],
            title=title,
            text=rest,
            url=asked.get("url", ""),
            template_code=asked["template_id"],
        )

    def _complaint(self, asked: dict[str, Any]) -> str:
        """The errcode of what is wrong with a message; empty when nothing is."""
        if not asked.keys() <= MEMBERS.keys() or not all(isinstance(asked[name], MEMBERS[name]) for name in asked):
            return "47001"
        template = self._templates.get(asked.get("template_id", ""))
        checks: dict[str, Callable[[], bool]] = {
            "40003": lambda: not _OPENID.fullmatch(asked.get("touser", "")),
            "40037": lambda: template is None,
            "45067": lambda: len(asked.get("client_msg_id", "")) > CLIENT_ID_CHARS,
            "40039": lambda: len(asked.get("url", "").encode()) > URL_BYTES,
            "47003": lambda: not _are_values(asked.get("data", {}), template or ""),
        }
        return next((code for code, is_wrong in checks.items() if is_wrong()), "")

    # -- answers

    def accept(self, letter: Letter, receipt: int) -> Reply:
        """Taken; reaching the follower is told later."""
        del letter
        return as_json(200, {"errcode": 0, "errmsg": "ok", "msgid": msgid_of(receipt)})

    def refuse(self, code: str) -> Reply:
        """An errcode, with HTTP 200."""
        return as_json(200, {"errcode": int(code), "errmsg": f"{ERRMSGS.get(code, 'refused')} rid: 0000-0000-0000"})

    def throttle(self) -> Reply:
        """One call too many in this minute."""
        return self.refuse("45011")

    def push_of(self, found: Sequence[tuple[Entry, Report]]) -> bytes:
        """The XML of the first of them, plain: the vendor pushes one at a time."""
        entry, report = found[0]
        status = "success" if report.is_delivered else FAILURES.get(report.code, "failed: system failed")
        return (
            "<xml><ToUserName><![CDATA[gh_medpostdemo]]></ToUserName>"
            f"<FromUserName><![CDATA[{entry.recipient}]]></FromUserName>"
            f"<CreateTime>{report.due_ms // 1000}</CreateTime>"
            "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event>"
            f"<MsgID>{msgid_of(entry.seq)}</MsgID><Status><![CDATA[{status}]]></Status></xml>"
        ).encode()

    def posts(self, url: str, found: Sequence[tuple[Entry, Report]], at_ms: int) -> list[tuple[str, bytes]]:
        """Signed pushes: where to, and what; encrypted where the account has a key."""
        return [self._post(url, self.push_of([one]), (at_ms // 1000, one[1].seq * 10 + one[1].nth)) for one in found]

    def _post(self, url: str, plain: bytes, at: tuple[int, int]) -> tuple[str, bytes]:
        account, at_s, nonce = self._pusher, str(at[0]), str(at[1])
        asked = {"signature": _sign(account.push_token, at_s, nonce), "timestamp": at_s, "nonce": nonce}
        if not account.aes_key:
            return f"{url}?{urlencode(asked)}", plain
        sealed = encrypted(plain, account.aes_key, account.app_id, nonce.rjust(16, "0").encode())
        asked |= {"encrypt_type": "aes", "msg_signature": _sign(account.push_token, at_s, nonce, sealed)}
        body = f"<xml><ToUserName><![CDATA[gh_medpostdemo]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
        return f"{url}?{urlencode(asked)}", body.encode()


def msgid_of(receipt: int) -> int:
    """The vendor's id of the message that was taken as number `receipt`."""
    return 2_600_000_000_000_000_000 + receipt


def encrypted(plain: bytes, aes_key: str, app_id: str, first: bytes) -> str:
    """A push as the vendor encrypts it; `first` are 16 bytes that the vendor draws at random."""
    key = base64.b64decode(aes_key + "=")
    framed = first + len(plain).to_bytes(4, "big") + plain + app_id.encode()
    pad = 32 - len(framed) % 32
    return base64.b64encode(crypto.cbc_sealed(key, key[:16], framed + bytes([pad]) * pad)).decode()


def _sign(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324 - the vendor's choice


def _are_values(given: Mapping[str, Any], template: str) -> bool:
    """Whether these are the template's keys, each with a value that keeps its type's rule."""
    if given.keys() != {*_DATA.findall(template)}:
        return False
    for key, one in given.items():
        value = one.get("value") if isinstance(one, dict) and one.keys() <= {"value", "color"} else None
        rule = RULES.get(key.rstrip("0123456789"))
        if rule is None or not isinstance(value, str) or not value.strip() or not rule(value):
            return False
    return True
