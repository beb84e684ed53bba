"""The port: one call, told as what it left behind; files that fit, Retry-After."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from schemas.codec import EVENT
from schemas.errors import MedpostError, Permanent, Reason, Transient
from schemas.limits import MAX_AHEAD_MS
from schemas.records import Content, Delivery
from schemas.statuses import Status
from sinks.answers import Scribe
from sinks.channel import (
    LONGEST_WAIT_S,
    Accepted,
    Answer,
    Capability,
    Channel,
    Mail,
    ProviderSettings,
    Request,
    Stamp,
    UnknownOutcome,
    channel_files,
    channel_names,
    code_or_status,
    retry_after_s,
)
from sinks.codebook import parse
from tests.channel_samples import delivery

BOOK = parse("provider: x\nsource: x\naccepted: [OK]\nreasons: {}\n", "x.yaml")
AT_MS = 1_445_412_480_000
"""Wed, 21 Oct 2015 07:28:00 GMT."""


class Line:
    """A provider that answers what it was told to, and counts."""

    def __init__(self, answer: Answer | MedpostError) -> None:
        self.answer = answer
        self.calls = 0

    async def call(self, request: Request | Mail) -> Answer:
        """Answer."""
        assert isinstance(request, Request)
        self.calls += 1
        if isinstance(self.answer, MedpostError):
            raise self.answer
        return self.answer

    def stamp(self) -> Stamp:
        """Always the same moment."""
        return Stamp(AT_MS, "0" * 32)


class Plain(Channel[ProviderSettings]):
    """The smallest channel; breaks where it is told to."""

    settings_type: ClassVar = ProviderSettings
    capability: ClassVar = Capability(frozenset({"text"}), (Status.ACCEPTED,), None, 1, 1, costs_money=False)

    def build_request(self, delivery: Delivery, content: Content, stamp: Stamp) -> Request:
        """A request, unless the text says otherwise."""
        if content.text == "bug":
            raise KeyError(content.address)
        if content.text == "refuse":
            raise Permanent(Reason.TEMPLATE_INVALID, "no")
        return Request("POST", self.settings.base_url, {}, content.text.encode(), delivery.provider_key.hex())

    def classify_response(self, answer: Answer) -> Accepted:
        """The body's first byte."""
        return Accepted(str(answer.body[0]))


def channel(answer: Answer | MedpostError) -> tuple[Plain, Line]:
    """The smallest channel, and the line it calls over."""
    line = Line(answer)
    return Plain(ProviderSettings(base_url="http://x"), BOOK, line), line


def said(body: bytes = b"\x07", headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with status 200."""
    return Answer(200, headers or {}, body, AT_MS)


async def test_calls_once_and_tells_what_it_means() -> None:
    """Build, call, classify."""
    made, line = channel(said())
    assert await made.send(delivery(), Content(kind="text", text="hi")) == Accepted("7")
    assert line.calls == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (Content(kind="rich", text="hi"), Reason.PARAM_INVALID),
        (Content(kind="text", text="refuse"), Reason.TEMPLATE_INVALID),
        (Content(kind="text", text="bug", address="13800130000"), Reason.PARAM_INVALID),
    ],
)
async def test_what_cannot_be_built_calls_nobody(content: Content, reason: Reason) -> None:
    """Nothing was sent, so it is a definite failure; a bug is told by its class alone."""
    made, line = channel(said())
    with pytest.raises(Permanent) as caught:
        await made.send(delivery(), content)
    assert (caught.value.reason, line.calls) == (reason, 0)
    assert "13800130000" not in str(caught.value)


async def test_an_answer_that_breaks_the_classifier_is_unknown() -> None:
    """The call was made: a bug after it must not look like a failure."""
    made, _ = channel(said(b""))
    with pytest.raises(UnknownOutcome) as caught:
        await made.send(delivery(), Content(kind="text", text="hi"))
    assert caught.value.provider_code == "unreadable_200"


@pytest.mark.parametrize("problem", [Transient(Reason.TRANSIENT, "connecting"), UnknownOutcome("timeout")])
async def test_what_the_line_says_is_passed_on(problem: MedpostError) -> None:
    """The port does not try again."""
    made, line = channel(problem)
    with pytest.raises(type(problem)):
        await made.send(delivery(), Content(kind="text", text="hi"))
    assert line.calls == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("-3", 0.0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("Wednesday, 21-Oct-15 07:28:30 GMT", 30.0),
        ("1e300", LONGEST_WAIT_S),
        ("99999999999999999999", LONGEST_WAIT_S),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT_S),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_retry_after_in_both_forms(text: str, seconds: float | None) -> None:
    """Seconds or a date; nonsense is no wish."""
    assert retry_after_s(said(headers={"retry-after": text})) == seconds


def test_a_date_without_a_zone_is_one_of_gmt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old form of a date names none, and this machine's own zone has nothing to say about it."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert retry_after_s(said(headers={"retry-after": "Wed Oct 21 07:28:30 2015"})) == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_longest_wait_fits_into_an_event() -> None:
    """A provider that asks for more than that broke the process that wrote it down."""
    told = Scribe("test").failed(delivery(), AT_MS, Transient(Reason.RATE_LIMITED, "", LONGEST_WAIT_S))
    assert EVENT.decode(EVENT.encode(told)).until == AT_MS + MAX_AHEAD_MS


def test_no_header_is_no_wish() -> None:
    """Most answers have none."""
    assert retry_after_s(said()) is None


@pytest.mark.parametrize(
    ("code", "status", "found"),
    [("OK", 500, "OK"), ("isv.X", 200, "isv.X"), ("", 302, "http_302"), ("", 403, "http_403"), ("", 499, "http_499")],
)
def test_a_code_counts_before_the_status(code: str, status: int, found: str) -> None:
    """A status alone only where it is a refusal."""
    assert code_or_status(code, Answer(status, {}, b"", AT_MS)) == found


@pytest.mark.parametrize("status", [200, 204, 500, 503])
def test_no_code_and_no_refusal_leaves_it_open(status: int) -> None:
    """Somebody in between may have answered."""
    with pytest.raises(UnknownOutcome, match=f"http_{status}"):
        code_or_status("", Answer(status, {}, b"", AT_MS))


@pytest.mark.parametrize("name", ["sms.py", "SMS_aliyun.py", "sms_aliyun_2.py", "sms-aliyun.py", "notes.txt", "sms_"])
def test_a_file_with_another_name_is_refused(tmp_path: Path, name: str) -> None:
    """The name is the registration, so it must be one."""
    (tmp_path / "sms_good.py").touch()
    assert channel_files(tmp_path) == ("sms_good",)
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=name):
        channel_files(tmp_path)


def test_channels_are_named_once() -> None:
    """However many providers a channel has."""
    names: Any = channel_names()
    assert {"sms", "webhook"} <= {*names}
    assert list(names) == sorted({*names})
