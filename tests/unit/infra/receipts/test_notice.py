"""A line of a receipt as a request: whose it is, what it says, and that the same twice is the same."""

from msgspec import structs

from infra.receipts.echo import echo_of
from infra.receipts.notice import KIND, Notice, Source, attempt_of, code_of, completed, request_of
from schemas.errors import Reason
from schemas.records import NO_KEY
from schemas.statuses import Status
from tests.channel_samples import delivery

SOURCE = Source("sms", "aliyun", 1_760_000_000_000)
ONE = delivery(7, attempt=3, replay_id=2)
FAILED = Notice(Status.FAILED, Reason.RECIPIENT_UNREACHABLE, "UNDELIV", echo_of(ONE), "9006^0")


def test_a_receipt_becomes_a_request_about_its_message() -> None:
    """With the channel, the provider and its id, the status and the reason; the attempt is kept too."""
    found = request_of(FAILED, SOURCE)
    assert found is not None
    assert (found.kind, found.message_id, found.replay_id, attempt_of(found)) == (KIND, ONE.message_id, 2, 3)
    assert (found.channel, found.provider, found.provider_message_id) == ("sms", "aliyun", "9006^0")
    assert (found.status, found.reason, found.at) == ("failed", "recipient_unreachable", SOURCE.at_ms)


def test_the_same_receipt_twice_is_the_same_request() -> None:
    """Whenever it comes; one that says something else is another."""
    told = [
        (FAILED, SOURCE),
        (FAILED, structs.replace(SOURCE, at_ms=SOURCE.at_ms + 9)),
        (structs.replace(FAILED, status=Status.DELIVERED), SOURCE),
        (FAILED, structs.replace(SOURCE, provider="tencent")),
    ]
    found = [request.request_id for one in told if (request := request_of(*one)) is not None]
    assert len(found) == 4
    assert found[0] == found[1]
    assert len({*found}) == 3


def test_without_an_echo_the_providers_id_must_do() -> None:
    """The message is found by it later."""
    found = request_of(structs.replace(FAILED, echo=""), SOURCE)
    assert found is not None
    assert (found.message_id, found.provider_message_id, attempt_of(found)) == (NO_KEY, "9006^0", 0)


def test_a_receipt_is_completed_once_its_message_is_known() -> None:
    """The same way every time, whoever does it."""
    found = request_of(structs.replace(FAILED, echo=""), SOURCE)
    assert found is not None
    whole = completed(found, ONE.message_id, 3, 2)
    assert (whole.message_id, whole.replay_id, attempt_of(whole)) == (ONE.message_id, 2, 3)
    assert code_of(whole) == "UNDELIV"
    assert whole.request_id != found.request_id
    assert completed(found, ONE.message_id, 3, 2) == whole


def test_a_code_is_what_stands_behind_the_attempt() -> None:
    """None where the vendor gives none, and none in anybody else's words."""
    found = request_of(structs.replace(FAILED, code=""), SOURCE)
    assert found is not None
    assert code_of(found) == code_of(structs.replace(found, detail="code=X")) == ""


def test_what_names_no_message_of_ours_is_left_out() -> None:
    """Other systems may send over the same account."""
    assert request_of(structs.replace(FAILED, echo="theirs-17"), SOURCE) is None
    assert request_of(structs.replace(FAILED, echo="", provider_message_id=""), SOURCE) is None


def test_a_code_cannot_carry_anything_else() -> None:
    """What a sender puts there is cut to a word: it reaches logs and traces."""
    found = request_of(structs.replace(FAILED, code="张三 138\n" + "x" * 100), SOURCE)
    assert found is not None
    assert found.detail.startswith("attempt=3 code=???138?xxx")
    assert len(found.detail) < 90
