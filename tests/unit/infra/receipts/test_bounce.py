"""What bounces say: reports in many forms, servers' own words, and what is no bounce; hostile ones within bounds."""

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.receipts.bounce import Said, notice_of, said_in

ECHO = f"{'ab' * 16}.1.0.{'00' * 16}"
DAEMON = "From: Mail Delivery System <MAILER-DAEMON@mx.example>"
GROUP = (
    "Final-Recipient: rfc822; zhang.san@mail.example\nAction: {action}\nStatus: {status}\nDiagnostic-Code: smtp; 550"
)


def mail(*heads: str, body: str = "") -> bytes:
    """A mail with these headers."""
    return ("\n".join(heads) + "\n\n" + body).replace("\n", "\r\n").encode()


def report(*groups: str, kind: str = "message/delivery-status") -> bytes:
    """A report with a group for each recipient, as Postfix and others write it."""
    told = "\n\n".join(("Reporting-MTA: dns; mx.example", *groups))
    body = (
        "Intro.\n--b/1\nContent-Type: text/plain\n\nSorry, 5.9.9.\n"
        f"--b/1\nContent-Type: {kind}\n\n{told}\n\n"
        "--b/1\nContent-Type: message/rfc822\n\nStatus: 2.0.0\n--b/1--\n"
    )
    top = 'Content-Type: multipart/report; report-type=delivery-status;\n boundary="b/1"'
    return mail(DAEMON, "Auto-Submitted: auto-replied", top, body=body)


def one(action: str, status: str) -> bytes:
    """A report on one recipient."""
    return report(GROUP.format(action=action, status=status))


@pytest.mark.parametrize(
    ("action", "status", "told", "reason"),
    [
        ("failed", "5.1.1", "failed", "recipient_invalid"),
        ("Failed", "5.2.2", "failed", "recipient_unreachable"),
        ("failed", "5.7.1", "failed", "content_rejected"),
        ("failed", "5.7.26", "failed", "auth_config"),
        ("failed", "5.3.4", "failed", "too_large"),
        ("failed", "4.4.7", "failed", "recipient_unreachable"),
        ("failed", "5.99.99", "failed", "recipient_unreachable"),
        ("failed", "nonsense", "failed", "recipient_unreachable"),
        ("delayed", "4.4.1", "accepted", ""),
        ("delivered", "2.1.5", "delivered", ""),
        ("relayed", "2.0.0", "accepted", ""),
        ("expanded", "2.0.0", "accepted", ""),
        ("astonished", "5.1.1", "failed", "recipient_invalid"),
    ],
)
def test_a_report_is_read(action: str, status: str, told: str, reason: str) -> None:
    """Whether it is final says the action; the code says why. Passing on is no delivery."""
    notice = notice_of(one(action, status), "<>", ECHO)
    assert notice is not None
    assert (notice.status, notice.reason, notice.echo) == (told, reason, ECHO)
    assert notice.code == (status if status[0].isdigit() else action.lower())


def test_only_codes_are_kept() -> None:
    """No address, no text of the other server."""
    notice = notice_of(one("failed", "5.1.1 (zhang.san@mail.example)"), "<>", ECHO)
    assert "zhang" not in repr(notice)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (["Action: failed\nStatus: 5.1.1", "Action: delivered\nStatus: 2.1.5"], Said("delivered", "2.1.5")),
        (["Action: delayed\nStatus: 4.4.1", "Action: failed\nStatus: 5.1.1"], Said("failed", "5.1.1")),
        (["Status: 5.2.1"], Said("failed", "5.2.1")),
        (["Status: 4.2.1"], Said("delayed", "4.2.1")),
        (["Nothing: here"], Said("failed")),
    ],
)
def test_one_word_is_found_for_all_recipients(groups: list[str], said: Said) -> None:
    """Ours was one; if an alias of it was reached, it was. Without an action the code's class counts."""
    assert said_in(report(*groups), "<>") == said


def test_other_forms_of_the_same_report() -> None:
    """For international addresses, encoded, inside a mixture, and the whole mail without one."""
    text = f"Reporting-MTA: x\n\n{GROUP.format(action='failed', status='5.1.1')}\n"
    coded = "Content-Transfer-Encoding: base64"
    packed = base64.b64encode(text.encode()).decode()
    inner = report(GROUP.format(action="failed", status="5.1.1")).decode().replace("\r\n", "\n")
    mixed = f"--o\n{inner}\n--o\nContent-Type: text/plain\n\nA disclaimer.\n--o--"
    quoted = text.replace("=", "=3D").replace("rfc822;", "rfc822;=\n")
    found = [
        report(GROUP.format(action="failed", status="5.1.1"), kind="message/global-delivery-status"),
        mail(DAEMON, "Content-Type: message/delivery-status", coded, body=packed),
        mail(
            DAEMON, "Content-Type: message/delivery-status", "Content-Transfer-Encoding: quoted-printable", body=quoted
        ),
        mail(DAEMON, "Content-Type: multipart/mixed; boundary=o", body=mixed),
        mail(DAEMON, "Content-Type: message/delivery-status", body=text),
    ]
    assert [said_in(each, "<>") for each in found] == [Said("failed", "5.1.1")] * len(found)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<a@b.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n", Said("failed", "5.1.1")),
        ("host mx[192.5.1.1] said: 550 5.7.1 rejected\n", Said("failed", "5.7.1")),
        ("SMTP error: 550 no such user\n4.4.1 before", Said("failed")),
        ("It did not work.\n", Said("failed")),
        ("Gave up: 4.4.1 no answer\n", Said("failed", "4.4.1")),
        ("It did not work.\n\n--- Below this line is a copy of the message.\n\nDose 5.2.1, K 4.1.2\n", Said("failed")),
    ],
)
def test_words_are_believed_for_the_return_path_alone(body: str, said: Said) -> None:
    """Many servers write no report; what they send back of the mail says nothing."""
    assert said_in(mail("From: x@mx.example", "Subject: failure notice", body=body), "<>") == said
    assert said_in(mail(DAEMON, "Auto-Submitted: auto-replied", "Subject: failure notice", body=body), "x@y.z") == said


def test_words_that_it_takes_long_are_not_the_end() -> None:
    """Sendmail's warning after four hours."""
    warning = mail(DAEMON, "Subject: Warning: could not send message for past 4 hours", body="Will keep trying.")
    assert said_in(warning, "<>") == Said("delayed")
    assert said_in(mail(DAEMON, "Subject: mail status", body="4.4.1 no answer"), "<>") == Said("delayed", "4.4.1")
    told = f"=?utf-8?B?{base64.b64encode('邮件投递延迟'.encode()).decode()}?="
    assert said_in(mail(DAEMON, f"Subject: {told}", body="550 bytes, 4.4.1"), "<>") == Said("delayed", "4.4.1")


def test_words_are_found_in_parts_too() -> None:
    """As the great Chinese mail services write them: HTML, encoded, from their PostMaster."""
    page = base64.b64encode("<p>收件人邮箱不存在 host said: 550 5.1.1 unknown</p>".encode()).decode()
    parts = (
        f"--p\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{page}\n"
        "--p\nContent-Type: message/rfc822\n\nSubject: 5.7.1\n\n5.7.1\n--p--\n"
    )
    heads = ("From: PostMaster@qq.example", "Content-Type: multipart/mixed; boundary=p", "Subject: =?x-none?B?!?=")
    assert said_in(mail(*heads, body=parts), "<>") == Said("failed", "5.1.1")


@pytest.mark.parametrize(
    ("raw", "sender"),
    [
        (mail("From: a@b.example", "Subject: Re: report", body="Thank you!"), "a@b.example"),
        (mail("From: a@b.example", "Auto-Submitted: auto-replied", body="On leave until 5.11."), "<>"),
        (mail("From: a@b.example", "Precedence: bulk", body="On leave"), ""),
        (mail("From: a@b.example", "X-Autoreply: yes", body="On leave"), "<>"),
        (mail("Content-Type: multipart/report; report-type=disposition-notification; boundary=c", body="--c--"), "<>"),
    ],
)
def test_what_is_no_bounce_says_nothing(raw: bytes, sender: str) -> None:
    """An answer by hand, somebody on leave, a reader's confirmation: the mail may well have arrived."""
    assert notice_of(raw, sender, ECHO) is None


NESTED = b"".join(b"Content-Type: multipart/mixed; boundary=n%d\n\n--n%d\n" % (n, n) for n in range(8_000))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n" * 300_000,
        b"A" * 5_000_000,
        b"Subject: " + b"x\n " * 100_000,
        b"X: y\n" * 100_000,
        NESTED,
        b"Content-Type: multipart/report; boundary=b\n\n" + b"--b\n" * 100_000,
        b"Content-Type: multipart/report; boundary=\xff\xfe\n\n--\xff\xfe\n",
        b"Content-Type: message/delivery-status\n\n" + b"Action: failed\n\n" * 50_000,
        b"Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n" + b"=" * 200_000,
        b"From: " + b"<" * 200_000,
        b"\n" + b"-" * 250_000 + b"\n" + b"5.5." * 60_000,
    ],
)
def test_hostile_mail_costs_little(raw: bytes) -> None:
    """Bounded by what is looked at, whatever its form."""
    began = time.perf_counter()
    said_in(raw, "<>")
    assert time.perf_counter() - began < 1.0


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"Content-Type: multipart/report; boundary=", b"Subject: =?x?b?"])
)
def test_no_bytes_are_too_strange(raw: bytes, head: bytes) -> None:
    """Something or nothing is said of all of them."""
    assert said_in(head + raw, "<>") is None or isinstance(said_in(head + raw, "<>"), Said)
