"""What the simulated mail server writes back, to whom, and when it writes nothing."""

from email import message_from_bytes, policy
from pathlib import Path

import pytest

from infra.simulators.exchange import Call
from infra.simulators.house import House
from infra.simulators.inbox import Journal
from infra.simulators.smtp_bounces import post

NOW = 1_760_000_000_000
PATH = "bounce+" + "b" * 40 + "@hean.example"
MAIL = (
    "From: Hospital <notice@hean.example>\r\nTo: a@mail.example\r\nSubject: x\r\n"
    "Date: Thu, 09 Oct 2025 08:53:20 +0000\r\nMessage-ID: <00ab.cd@hean.example>\r\n\r\nhello\r\n"
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """The simulators, their mail server told where to bounce to."""
    made = House(Journal(tmp_path / "journal.jsonl"))
    made.tell("receipts", {"provider": "smtp", "url": "smtp://127.0.0.1:2526"})
    return made


def sent(house: House, tail: str, notify: str = "", sender: str = PATH) -> list[tuple[str, str, str]]:
    """A mail to a recipient with these last digits: where bounces went, the kind of mail, what the report says."""
    told = {"mail-from": sender, "rcpt-to": f"a{tail}@mail.example", "notify": notify}
    assert house.receive("smtp", Call("DATA", "", "", told, MAIL.encode(), NOW)).reply.status == 250
    found = []
    for push in house.pushes(NOW + 10_000):
        read = message_from_bytes(push.body, policy=policy.default)
        assert not read.defects
        report = [
            str(part.get_payload()) for part in read.walk() if part.get_content_type() == "message/delivery-status"
        ]
        found.append((push.url, read.get_content_type(), report[0] if report else read.get_content()))
    return found


def test_a_bounce_is_a_report_to_the_return_path(house: House) -> None:
    """...0004 was taken, and comes back."""
    ((url, kind, _),) = sent(house, "0004")
    assert (url, kind) == (f"smtp://127.0.0.1:2526/{PATH.replace('+', '%2B').replace('@', '%40')}", "multipart/report")


def test_some_servers_write_words_only(house: House) -> None:
    """...0018."""
    ((_, kind, text),) = sent(house, "0018")
    assert (kind, "no mailbox here" in text) == ("text/plain", True)


def test_delivery_is_reported_to_those_who_asked(house: House) -> None:
    """And never for ...0005."""
    assert sent(house, "0000") == sent(house, "0005", "SUCCESS,FAILURE") == []
    assert len(sent(house, "0000", "SUCCESS,FAILURE,DELAY")) == 1
    assert len(sent(house, "0012", "SUCCESS,FAILURE,DELAY")) == 2


def test_a_forged_report_goes_to_an_address_that_we_never_wrote(house: House) -> None:
    """...0013."""
    ((url, _, _),) = sent(house, "0013", "SUCCESS")
    assert "bounce%2Baaaa" in url


def test_without_a_return_path_nobody_is_told(house: House) -> None:
    """The sender's own mailbox is a person's."""
    assert sent(house, "0004", sender="notice@hean.example") == []


def test_only_the_account_s_own_return_path_may_be_used(house: House) -> None:
    """And From is the account's sender all the same."""
    server = house.mail_server
    assert server.may_send("medpost-demo", PATH)
    assert not server.may_send("medpost-demo", PATH.replace("bounce+", "other+"))
    assert not server.may_send("medpost-demo", "bounce@hean.example")
    assert not server.may_send("", "")


def test_where_nobody_listens_it_is_not_taken() -> None:
    """It is posted again later then."""
    assert not post("smtp://127.0.0.1:9/bounce%2Bx%40hean.example", b"x")
