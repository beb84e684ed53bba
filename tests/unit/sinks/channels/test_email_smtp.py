"""E-mail over SMTP: the mail to the byte, who may be written to, what replies mean."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from msgspec import structs

from infra.receipts.echo import echo_of
from infra.receipts.return_path import attempt_at
from schemas.errors import MedpostError, Permanent, Reason, Transient
from schemas.records import Content
from schemas.statuses import Status
from sinks.channel import Accepted, Answer, Mail, Stamp, UnknownOutcome
from sinks.channels.email_smtp import EmailSmtp, mail_address
from tests.channel_samples import ACCEPTED_AT, ChannelSample, channel_of, delivery

SAMPLE = ChannelSample(
    channel="email",
    provider="smtp",
    path="smtp",
    settings={
        "sender": "notice@hean.example",
        "sender_name": "和安市第一人民医院",
        "username": "medpost-demo",
        "tls": "none",
    },
    secrets={"password": "medpost-demo-password"},
    wrong_secrets={"password": "not-the-password"},
    address="zhang.san{tail}@mail.example",
    bad_address="zhang san@mail.example",
    content=Content(kind="text", title="随访：术后第七天", text="张三，您好！\n.请于 10 月 9 日前答复。\nFrom 心内科"),
    unknown_code="588",
)
STAMP = Stamp(ACCEPTED_AT + 5_000, "0" * 32)


def channel(**settings: str) -> EmailSmtp:
    """The channel with the sample's settings, some changed."""
    sample = structs.replace(SAMPLE, settings={**SAMPLE.settings, **settings})
    made = channel_of(sample, "smtp://127.0.0.1:25")
    assert isinstance(made, EmailSmtp)
    return made


def built(content: Content | None = None, lane: str = "normal", attempt: int = 1, **settings: str) -> Mail:
    """The mail for the sample."""
    one = delivery(channel="email", attempt=attempt, lane=lane)
    return channel(**settings).build_request(one, content or SAMPLE.content_for(), STAMP)


def read(mail: Mail) -> EmailMessage:
    """The mail as a reader sees it."""
    return message_from_bytes(mail.body, policy=policy.default)


def judged(status: int, text: str = "", command: str = "data") -> Accepted:
    """What a reply means."""
    return channel().classify_response(Answer(status, {"smtp-command": command}, text.encode(), ACCEPTED_AT))


def test_a_chinese_mail_is_seven_bits_on_the_wire() -> None:
    """RFC 2047 in the headers, base64 in the bodies, no line longer than the standard allows."""
    mail = built(structs.replace(SAMPLE.content_for(), title="检验报告" * 40, text="血常规" * 1_000))
    assert mail.body.isascii()
    assert max(map(len, mail.body.split(b"\r\n"))) <= 998
    assert b"\n" not in mail.body.replace(b"\r\n", b"")
    found = read(mail)
    assert found["Subject"] == "检验报告" * 40
    assert found["From"] == "和安市第一人民医院 <notice@hean.example>"
    assert not found.defects


def test_text_and_page_say_the_same() -> None:
    """Plain first, then HTML with what could be markup escaped; the link is in both."""
    content = structs.replace(SAMPLE.content_for(), text="值 <3 & 偏低", url="https://h.example/r?a=1&b=2")
    found = read(built(content))
    assert [part.get_content_type() for part in found.iter_parts()] == ["text/plain", "text/html"]
    plain, page = (part.get_content() for part in found.iter_parts())
    assert plain.replace("\r\n", "\n").strip() == "值 <3 & 偏低\n\nhttps://h.example/r?a=1&b=2"
    assert "<p>值 &lt;3 &amp; 偏低</p>" in page
    assert 'href="https://h.example/r?a=1&amp;b=2"' in page


def test_every_attempt_is_the_same_mail_under_an_envelope_of_its_own() -> None:
    """Message-ID and bytes follow from what must not count twice; bounces name the attempt."""
    first, second = built(attempt=1), built(attempt=2)
    assert first.body == second.body
    one = delivery(channel="email")
    assert read(first)["Message-ID"] == f"<{one.message_id.hex()}.{one.provider_key.hex()}@hean.example>"
    assert first.envelope_id == echo_of(one) != second.envelope_id
    assert read(first)["Auto-Submitted"] == "auto-generated"
    assert read(first)["Date"] == "Thu, 09 Oct 2025 08:53:20 +0000"


BOUNCES: dict[str, Any] = {"return_path": "bounce@Bounces.example", "bounce_key": "a-key-of-16-chars"}


def test_bounces_come_to_an_address_that_names_the_attempt() -> None:
    """From stays the sender; each attempt has an envelope sender of its own, the mail is the same."""
    first, second, plain = built(**BOUNCES), built(attempt=2, **BOUNCES), built()
    assert (plain.sender, read(first)["From"].addresses[0].addr_spec) == ("notice@hean.example", "notice@hean.example")
    assert first.sender.startswith("bounce+")
    found = attempt_at(second.sender, "bounce@bounces.example", BOUNCES["bounce_key"])
    assert found is not None
    assert (found.message_id, found.attempt) == (delivery().message_id, 2)
    assert first.sender != second.sender
    assert first.body == second.body


def test_delivery_is_reported_where_it_was_asked_for() -> None:
    """Then it can be what counts as success."""
    assert (built().notify, built(**BOUNCES).notify) == ("FAILURE,DELAY", "FAILURE,DELAY")
    asked = channel(delivery_reports="on", **BOUNCES)
    assert built(delivery_reports="on", **BOUNCES).notify == "SUCCESS,FAILURE,DELAY"
    assert (asked.settings.levels, channel(**BOUNCES).settings.levels) == (
        (Status.ACCEPTED, Status.DELIVERED),
        (Status.ACCEPTED,),
    )


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"return_path": "bounce@hean.example"}, "belong together"),
        ({"bounce_key": "a-key-of-16-chars"}, "belong together"),
        ({**BOUNCES, "bounce_key": "short"}, "16 characters"),
        ({**BOUNCES, "bounce_key": "a-key-of-16-chars short"}, "16 characters"),
        ({**BOUNCES, "return_path": "bounce+x@hean.example"}, "plus sign"),
        ({**BOUNCES, "return_path": "bounces-of-mail@hean.example"}, "at most 10"),
        ({**BOUNCES, "return_path": "nobody"}, "return_path"),
        ({"delivery_reports": "on"}, "return_path"),
    ],
)
def test_wrong_bounce_settings_are_named(changed: dict[str, str], word: str) -> None:
    """When they are applied, and without the key."""
    with pytest.raises(Permanent, match=word) as caught:
        channel(**changed)
    assert changed.get("bounce_key", "-key-") not in str(caught.value)


def test_only_bulk_mail_can_be_unsubscribed() -> None:
    """Nobody opts out of his own report by accident."""
    link = "https://h.example/u"
    bulk = read(built(lane="bulk", unsubscribe=link))
    assert (bulk["List-Unsubscribe"], bulk["List-Unsubscribe-Post"]) == (f"<{link}>", "List-Unsubscribe=One-Click")
    assert read(built(lane="bulk", unsubscribe="mailto:u@h.example"))["List-Unsubscribe-Post"] is None
    assert read(built(unsubscribe=link))["List-Unsubscribe"] is None
    assert read(built(lane="bulk"))["List-Unsubscribe"] is None


def test_a_line_break_in_a_title_is_no_header() -> None:
    """A subject is one line, whatever was rendered into it."""
    found = read(built(structs.replace(SAMPLE.content_for(), title="报告\r\nBcc: x@evil.example")))
    assert found["Subject"] == "报告 Bcc: x@evil.example"
    assert found["Bcc"] is None


def test_a_mail_without_a_subject_is_refused() -> None:
    """Nobody opens one."""
    with pytest.raises(Permanent) as caught:
        built(structs.replace(SAMPLE.content_for(), title=" \n"))
    assert caught.value.reason is Reason.TEMPLATE_INVALID


def test_a_mail_larger_than_servers_take_is_refused() -> None:
    """The limit is data in the codes file."""
    with pytest.raises(Permanent) as caught:
        built(structs.replace(SAMPLE.content_for(), text="字" * 1_300_000))
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a@B.Example", "a@b.example"),
        (" first.last+tag@mail.example ", "first.last+tag@mail.example"),
        ("张三@mail.example", "张三@mail.example"),
        ("a@医院.example", "a@xn--ekrs67m.example"),
    ],
)
def test_addresses_are_put_into_one_form(text: str, address: str) -> None:
    """The domain in lower case and ASCII; a local part belongs to its server."""
    assert mail_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "a", "@b.example", "a@", "a@b", "a b@c.example", "a@b.example\r\nRCPT TO:<x@y.example>", "a@@b.example",
     ".a@b.example", "a..b@c.example", "<a@b.example>", "a@b.example,c@d.example", '"a b"@c.example',
     "a@[127.0.0.1]", "x" * 65 + "@b.example", "a@-b.example"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_being_told_on(text: str) -> None:
    """Least of all one that would end the command and begin another."""
    with pytest.raises(Permanent) as caught:
        built(structs.replace(SAMPLE.content_for(), address=text))
    assert caught.value.reason is Reason.RECIPIENT_INVALID
    assert len(text) < 3 or text not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "tls", "is_starttls"),
    [("smtp://127.0.0.1:25", "none", False), ("smtp://mx.example:587", "starttls", True),
     ("smtps://mx.example:465", "starttls", False)],
)  # fmt: skip
def test_a_password_goes_over_tls(base_url: str, tls: str, is_starttls: bool) -> None:
    """From the first byte, after STARTTLS, or to this very machine."""
    made = channel_of(structs.replace(SAMPLE, settings={**SAMPLE.settings, "tls": tls}), base_url)
    mail = made.build_request(delivery(channel="email"), SAMPLE.content_for(), STAMP)
    assert isinstance(mail, Mail)
    assert (mail.login, mail.is_starttls) == (("medpost-demo", "medpost-demo-password"), is_starttls)


@pytest.mark.parametrize(
    ("base_url", "changed", "word"),
    [
        ("smtp://mx.example:25", {}, "TLS"),
        ("http://mx.example", {}, "base_url"),
        ("smtp://127.0.0.1", {"username": ""}, "belong together"),
        ("smtp://127.0.0.1", {"sender": "nobody"}, "sender"),
        ("smtp://127.0.0.1", {"unsubscribe": "http://h.example"}, "unsubscribe"),
    ],
)
def test_wrong_settings_are_named(base_url: str, changed: dict[str, str], word: str) -> None:
    """When they are applied, and without the password."""
    with pytest.raises(Permanent, match=word) as caught:
        channel_of(structs.replace(SAMPLE, settings={**SAMPLE.settings, **changed}), base_url)
    assert "medpost-demo-password" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message_id"),
    [("2.0.0 Ok: queued as 4Bx9", "4Bx9"), ("OK id=1tR-0-q", "1tR-0-q"), ("Great success", "Great success")],
)
def test_a_2xx_is_acceptance_by_the_next_hop(text: str, message_id: str) -> None:
    """Not delivery; the server's name for the mail is kept."""
    assert judged(250, text) == Accepted(message_id, Status.ACCEPTED, "250")


@pytest.mark.parametrize(
    ("reply", "reason", "code", "wait_s"),
    [
        ((450, "4.7.1 Greylisted, see http://x", "rcpt"), Reason.TRANSIENT, "greylisted", 300.0),
        ((451, "graylisting in action, come back in 2 minutes", "rcpt"), Reason.TRANSIENT, "greylisted", 120.0),
        ((450, "4.7.1 not now", "rcpt"), Reason.TRANSIENT, "4.7.1", None),
        ((421, "4.7.0 slow down, retry in 60 seconds", "mail"), Reason.RATE_LIMITED, "4.7.0", 60.0),
        ((452, "4.3.1 no space", "data"), Reason.TRANSIENT, "4.3.1", None),
        ((454, "TLS not available", "auth"), Reason.TRANSIENT, "454", None),
        ((450, "5.1.1 classes that contradict each other", "rcpt"), Reason.TRANSIENT, "450", None),
    ],
)
def test_a_4xx_may_be_tried_again(reply: tuple[int, str, str], reason: Reason, code: str, wait_s: float | None) -> None:
    """When the server said so, or after what greylisting takes."""
    with pytest.raises(Transient) as caught:
        judged(*reply)
    assert (caught.value.reason, caught.value.retry_after_s) == (reason, wait_s)
    assert getattr(caught.value, "provider_code", "") == code


def test_greylisting_speaks_of_the_recipient() -> None:
    """It must not close the account for everybody."""
    with pytest.raises(Transient) as caught:
        judged(450, "4.7.1 Greylisted", "rcpt")
    assert caught.value.hint.scope == "recipient"  # type: ignore[attr-defined]  # the book's exceptions carry it


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ((550, "5.1.1 no such user", "rcpt"), Reason.RECIPIENT_INVALID),
        ((550, "no such user", "rcpt"), Reason.RECIPIENT_INVALID),
        ((550, "5.7.1 blocked by policy", "data"), Reason.CONTENT_REJECTED),
        ((552, "5.2.2 mailbox full", "rcpt"), Reason.RECIPIENT_UNREACHABLE),
        ((552, "5.3.4 too big", "mail"), Reason.AUTH_CONFIG),
        ((552, "5.3.4 too big", "data"), Reason.TOO_LARGE),
        ((554, "spam", "data"), Reason.CONTENT_REJECTED),
        ((554, "go away", "connect"), Reason.AUTH_CONFIG),
        ((553, "not your address", "mail"), Reason.AUTH_CONFIG),
        ((535, "5.7.8 no", "auth"), Reason.AUTH_CONFIG),
        ((588, "what", "data"), Reason.UNMAPPED),
    ],
)
def test_a_5xx_is_final(reply: tuple[int, str, str], reason: Reason) -> None:
    """By the enhanced code where there is one, and by who was refused."""
    with pytest.raises(Permanent) as caught:
        judged(*reply)
    assert caught.value.reason is reason


@pytest.mark.parametrize("status", [199, 250, 354])
def test_what_is_no_last_word_leaves_it_open(status: int) -> None:
    """A 250 to anything but the message proves nothing."""
    with pytest.raises(MedpostError) as caught:
        judged(status, "Ok", "rcpt")
    assert isinstance(caught.value, UnknownOutcome)
