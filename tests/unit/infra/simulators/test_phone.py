"""The page of the simulated phone: who may see it, what it is told, and that nothing in a message is more than text."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from msgspec import structs

from infra.simulators import phone
from infra.simulators.house import House
from infra.simulators.inbox import REFUSED, REPEATED, TAKEN, Entry, Journal
from infra.simulators.server import build

NODE = shutil.which("node")
PAGE = Path(phone.__file__).with_name("phone.html").read_text("utf-8")
SCRIPT = PAGE.partition("<script>")[2].partition("</script>")[0]
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
HELD = [
    Entry(1, 1_790_000_000_000, "aliyun", "sms", TAKEN, recipient="13800001001", key="k1", message_id="0" * 32,
          text="【和安医院】挂号成功", segments=2),
    Entry(2, 1_790_000_001_000, "template", "wechat", TAKEN, recipient="oHeanDemoFollower00000001001", key="k2",
          title="检验报告通知", text="检验项目：血常规\n请留意", url="https://hean.example/r"),
    Entry(3, 1_790_000_002_000, "smtp", "email", TAKEN, recipient="patient.1002@mail.example", key="k3",
          title="电子发票 7", text="您好！\n\n金额：25.00"),
    Entry(4, 1_790_000_003_000, "standard", "webhook", TAKEN, recipient="ward/3a", key="k4", title="危急值",
          text=HOSTILE),
    Entry(5, 1_790_000_004_000, "standard", "webhook", REPEATED, recipient="ward/3a", key="k4", text="again"),
    Entry(6, 1_790_000_005_000, "aliyun", "sms", REFUSED, recipient="13800001001", code="isv.X", text="never read"),
    Entry(7, 1_790_000_006_000, "aliyun", "sms", TAKEN, recipient="13800000002", key="k7", text="【和安医院】停机"),
]  # fmt: skip


@pytest.fixture
def app(tmp_path: Path) -> web.Application:
    """The server's application over a house that holds these calls."""
    house = House(Journal(tmp_path / "journal.jsonl"))
    for entry in HELD:
        house.tell("call", structs.asdict(entry))
    made = build(house)
    made.freeze()
    return made


async def get(app: web.Application, path: str, host: str = "127.0.0.1:8791") -> web.Response:
    """What the server answers."""
    found = await app._handle(make_mocked_request("GET", path, {"Host": host}, app=app))
    assert isinstance(found, web.Response)
    return found


async def messages(app: web.Application, query: str = "") -> list[dict[str, Any]]:
    """The messages behind the page."""
    answer = await get(app, f"/phone/messages{query}")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    found: list[dict[str, Any]] = json.loads(answer.text or "")["messages"]
    return found


async def test_the_page_is_served_with_a_policy_that_allows_only_what_stands_in_it(app: web.Application) -> None:
    """One script, one style, calls to where it came from; no address of elsewhere in it."""
    answer = await get(app, "/phone")
    assert (answer.status, answer.content_type, answer.text) == (200, "text/html", PAGE)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; connect-src 'self'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"https?:|//[a-z]| src=| on[a-z]+=\"| style=\"", PAGE)
    assert (PAGE.count("<script>"), PAGE.count("<style>")) == (1, 1)


async def test_what_was_taken_is_told_newest_first_with_recipients_starred(app: web.Application) -> None:
    """Neither a repeat nor a refusal was seen by anybody; no whole number, openid or mail name leaves the server."""
    found = await messages(app)
    assert [one["seq"] for one in found] == [7, 4, 3, 2, 1]
    assert [one["to"] for one in found] == [
        "138****0002", "ward/3a", "pa****02@mail.example", "oHean****1001", "138****1001",
    ]  # fmt: skip
    assert "13800001001" not in json.dumps(found)
    assert found[1]["text"] == HOSTILE
    assert found[4] == {
        "seq": 1, "at": 1_790_000_000_000, "channel": "sms", "provider": "aliyun", "to": "138****1001",
        "message_id": "0" * 32, "title": "", "text": "【和安医院】挂号成功", "url": "", "segments": 2,
        "fate": "delivered",
    }  # fmt: skip


async def test_a_message_whose_receipt_says_no_was_not_seen(app: web.Application) -> None:
    """It is told as undelivered; a channel without receipts says nothing."""
    assert [one["fate"] for one in await messages(app)] == ["undelivered", "", "", "delivered", "delivered"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?to=1001", [2, 1]),
        ("?to=02@mail.example", [3]),
        ("?to=1002", [3]),
        ("?to=%20ward/3a%20", [4]),
        ("?to=nobody", []),
        ("?channel=sms", [7, 1]),
        ("?channel=sms&to=1001", [1]),
        ("?limit=2", [7, 4]),
    ],
)
async def test_one_recipient_or_channel_may_be_asked_for(app: web.Application, query: str, found: list[int]) -> None:
    """By the end of the number or address, as the page and the command line do."""
    assert [one["seq"] for one in await messages(app, query)] == found


@pytest.mark.parametrize("limit", ["0", "-1", "501", "x", "٣", ""])
async def test_a_limit_that_is_none_is_refused(app: web.Application, limit: str) -> None:
    """In one line."""
    answer = await get(app, f"/phone/messages?limit={limit}")
    assert (answer.status, "from 1 to 500" in (answer.text or "")) == (400, True)


@pytest.mark.parametrize("path", ["/phone", "/phone/messages"])
async def test_under_a_strangers_name_nothing_is_shown(app: web.Application, path: str) -> None:
    """A page elsewhere whose name was made to lead here gets a refusal; this machine's own names get the page."""
    for host in ("evil.example", "evil.example:8791", "127.0.0.1.evil.example", "[", ""):
        answer = await get(app, path, host)
        assert (answer.status, "127.0.0.1" in (answer.text or "")) == (403, True)
    for host in ("127.0.0.1", "localhost:1", "[::1]:8791"):
        assert (await get(app, path, host)).status == 200


async def test_only_the_newest_calls_are_looked_through(app: web.Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a filter that fits nothing costs the same whatever the journal has grown to."""
    monkeypatch.setattr(phone, "SEARCHED", 3)
    assert [one["seq"] for one in await messages(app)] == [7]


def test_the_script_makes_text_and_never_html() -> None:
    """None of the ways in which a browser takes text for a page or a program stands in it."""
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(|srcdoc|DOMParser", SCRIPT
    )


def drawn(told: list[dict[str, Any]] | None, search: str = "") -> dict[str, Any]:
    """What the page's script draws of an answer (None: there is none)."""
    text = "down" if told is None else json.dumps({"messages": told}, ensure_ascii=False)
    probe = Path(__file__).with_name("phone_probe.js")
    done = subprocess.run(
        [NODE or "node", probe, SCRIPT, text, search], capture_output=True, text=True, timeout=20, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def texts(card: list[Any]) -> list[str]:
    """Every text in an element, in order."""
    return [text for text in [card[2], *(one for child in card[3] for one in texts(child))] if text]


@pytest.mark.skipif(NODE is None, reason="node is not installed")
async def test_every_channel_has_its_look_and_hostile_text_stays_text(app: web.Application) -> None:
    """The page's own script, run by node: signature, fields, subject; markup arrives as the characters it is."""
    found = drawn(await messages(app), "?to=1001")
    down, ward, mail, wechat, sms = found["cards"]
    assert found["asked"][0] == "/phone/messages?to=1001&channel=&limit=50"
    assert texts(sms)[2:4] == ["【和安医院】", "挂号成功"]
    assert "已送达 · 按 2 条计费" in texts(sms)
    assert "编号 00000000-0000-0000-0000-000000000000" in texts(sms)
    assert texts(sms)[0] == "09-21 22:13:20 · 短信 · 阿里云 · "
    assert [texts(wechat)[at] for at in (2, 3, 4, 5)] == ["检验报告通知", "检验项目", "血常规", "请留意"]
    assert "详情：https://hean.example/r" in texts(wechat)
    assert texts(mail)[1:] == ["pa****02@mail.example", "电子发票 7", "您好！\n\n金额：25.00"]
    assert texts(ward)[1:] == ["病区工作站 ward/3a", "危急值", HOSTILE]
    assert {tag for tag, *_ in ward[3]} == {"p", "div"}
    assert down[1] == "undelivered"
    assert not found["hasMore"]
    assert found["isKept"]


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_the_page_says_when_there_is_nothing_and_when_nobody_answers() -> None:
    """In words, and it goes on asking."""
    assert texts(drawn([])["cards"][0]) == ["还没有收到什么。"]
    away = drawn(None)
    assert "没有回答" in away["state"]
    assert len(away["asked"]) == 2


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_a_full_page_offers_the_older_ones_and_a_channel_it_does_not_know_is_shown_plainly() -> None:
    """So a channel that is added needs no change here."""
    one = {"seq": 1, "at": 0, "channel": "voice", "provider": "x", "to": "138****1001", "message_id": "", "title": "",
           "text": "t", "url": "", "segments": 0, "fate": ""}  # fmt: skip
    found = drawn([one] * 50)
    assert found["hasMore"]
    assert texts(found["cards"][0]) == ["01-01 08:00:00 · voice · x · ", "138****1001", "t"]
