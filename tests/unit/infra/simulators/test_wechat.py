"""The simulated WeChat account refuses what the vendor refuses, and gives out tokens as it does."""

import json
from typing import Any

import pytest

from infra.simulators.exchange import Call, Inquiry, Letter, Refusal
from infra.simulators.inbox import Entry
from infra.simulators.reports import Report, Reports
from infra.simulators.wechat import DEMO_APP_ID, DEMO_APP_SECRET, SEND, TOKEN, Wechat

NOW = 1_760_000_000_000
ASKED: dict[str, Any] = {
    "touser": "o" + "x" * 27,
    "template_id": "T1",
    "client_msg_id": "00" * 16 + "11" * 16,
    "data": {"thing1": {"value": "血常规"}, "time2": {"value": "2026-01-02 09:00"}},
}


class Desk:
    """One account with one template."""

    def __init__(self) -> None:
        self.server = Wechat()
        self.server.configure("templates", {"template_id": "T1", "text": "报告\n{{thing1.DATA}} {{time2.DATA}}"})
        self.now_ms = NOW

    def token(self, **changed: Any) -> dict[str, Any]:
        """What is answered to asking for a token."""
        asked = {"grant_type": "client_credential", "appid": DEMO_APP_ID, "secret": DEMO_APP_SECRET, **changed}
        found = self.server.examine(Call("POST", TOKEN, "", {}, json.dumps(asked).encode(), self.now_ms))
        if isinstance(found, Refusal):
            return {"errcode": int(found.code)}
        assert isinstance(found, Inquiry)
        told: dict[str, Any] = json.loads(self.server.answer(found, Reports()).body)
        return told

    def send(self, token: str, body: Any = None, **changed: Any) -> Letter | Refusal:
        """What becomes of a message."""
        raw = json.dumps({**ASKED, **changed} if body is None else body).encode()
        found = self.server.examine(Call("POST", SEND, f"access_token={token}", {}, raw, self.now_ms))
        assert not isinstance(found, Inquiry)
        return found


@pytest.fixture
def desk() -> Desk:
    """A fresh account."""
    return Desk()


def test_a_good_message_is_what_the_follower_reads(desk: Desk) -> None:
    """Title and values, under our ids."""
    found = desk.send(desk.token()["access_token"])
    assert isinstance(found, Letter)
    assert (found.title, found.text, found.message_id) == ("报告", "血常规 2026-01-02 09:00", "00" * 16)


def test_a_stable_token_stays_until_it_ends_or_is_forced(desk: Desk) -> None:
    """Every process that asks is given the same one; forcing ends the old one."""
    first = desk.token()
    desk.now_ms += 1_000_000
    second = desk.token()
    assert (second["access_token"], first["expires_in"], second["expires_in"]) == (first["access_token"], 7200, 6200)
    forced = desk.token(force_refresh=True)["access_token"]
    assert forced != first["access_token"]
    assert desk.send(first["access_token"]) == Refusal("40001", ASKED["touser"], ASKED["client_msg_id"])
    assert desk.token(force_refresh=True) == {"errcode": 45011, "errmsg": "refused rid: 0000-0000-0000"}
    desk.now_ms += 30_000
    assert "access_token" in desk.token(force_refresh=True)


@pytest.mark.parametrize(("later_ms", "code"), [(7_199_999, ""), (7_200_000, "42001")])
def test_a_token_ends(desk: Desk, later_ms: int, code: str) -> None:
    """To the millisecond."""
    token = desk.token()["access_token"]
    desk.now_ms += later_ms
    found = desk.send(token)
    assert (found.code if isinstance(found, Refusal) else "") == code


@pytest.mark.parametrize(
    ("changed", "errcode"),
    [
        ({"secret": "x"}, 40125),
        ({"appid": "wx"}, 40013),
        ({"grant_type": "x"}, 40002),
        ({"force_refresh": "yes"}, 40002),
    ],
)
def test_strangers_are_given_no_token(desk: Desk, changed: dict[str, Any], errcode: int) -> None:
    """By the vendor's codes."""
    assert desk.token(**changed) == {"errcode": errcode}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"touser": "nobody"}, "40003"),
        ({"template_id": "T2"}, "40037"),
        ({"client_msg_id": "x" * 65}, "45067"),
        ({"url": "https://" + "x" * 1024}, "40039"),
        ({"colour": "red"}, "47001"),
        ({"data": []}, "47001"),
        ({"data": {"thing1": {"value": "x"}}}, "47003"),
        ({"data": {**ASKED["data"], "thing3": {"value": "x"}}}, "47003"),
        ({"data": {**ASKED["data"], "thing1": {"value": "字" * 21}}}, "47003"),
        ({"data": {**ASKED["data"], "thing1": {"value": ""}}}, "47003"),
        ({"data": {**ASKED["data"], "thing1": "x"}}, "47003"),
        ({"data": {**ASKED["data"], "time2": {"value": "soon"}}}, "47003"),
    ],
)
def test_a_wrong_message_is_refused(desk: Desk, changed: dict[str, Any], code: str) -> None:
    """Follower, template, id, link, members, keys, values."""
    found = desk.send(desk.token()["access_token"], **changed)
    assert isinstance(found, Refusal)
    assert found.code == code


def test_without_a_token_nothing_is_looked_at(desk: Desk) -> None:
    """Missing and unknown are two codes; what is no JSON is a third."""
    codes = [desk.send(""), desk.send("guessed"), desk.send("guessed", body=[1])]
    assert [one.code for one in codes if isinstance(one, Refusal)] == ["41001", "40001", "47001"]


@pytest.mark.parametrize(
    ("report", "status"),
    [
        (Report(NOW, 1), "success"),
        (Report(NOW, 1, 0, is_delivered=False, code="REJECTD"), "failed:user block"),
        (Report(NOW, 1, 0, is_delivered=False, code="UNDELIV"), "failed: system failed"),
    ],
)
def test_receipts_say_what_became_of_it(desk: Desk, report: Report, status: str) -> None:
    """In the vendor's words."""
    body = desk.server.push_of([(Entry(1, NOW, "template", "wechat", "taken", recipient="oX"), report)])
    assert f"<Status><![CDATA[{status}]]></Status>" in body.decode()


def test_accounts_and_templates_must_be_complete(desk: Desk) -> None:
    """What is missing is named."""
    with pytest.raises(ValueError, match="push_token"):
        desk.server.configure("accounts", {"app_id": "a", "app_secret": "b"})
