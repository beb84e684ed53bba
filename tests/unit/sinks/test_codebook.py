"""Codebooks: what a vendor's code means, and how a wrong file is refused."""

from pathlib import Path

import pytest

from schemas.errors import Permanent, Reason, Transient
from sinks.channel import channel_files
from sinks.codebook import CODES_FOLDER, Codebook, load, load_for, parse
from sinks.hints import LATER, SCOPE_OF, Hint, by_reason

PAGE = """
provider: acme
source: a page
accepted: [OK, "2*"]
reasons:
  transient: [BUSY]
  rate_limited: [Throttling.*]
  quota_exhausted: [Throttling.Day*]
  duplicate: [SEEN]
  billing: [POOR, "E1*"]
retry: {once: [BUSY], later: ["E1*"]}
scope: {recipient: [BUSY]}
limits: {text_chars: 70}
"""


def book() -> Codebook:
    """The page above."""
    return parse(PAGE, "acme.yaml")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("OK", None),
        ("204", None),
        ("BUSY", Reason.TRANSIENT),
        ("Throttling.User", Reason.RATE_LIMITED),
        ("Throttling.DayLimit", Reason.QUOTA_EXHAUSTED),
        ("busy", Reason.UNMAPPED),
        ("", Reason.UNMAPPED),
    ],
)
def test_the_longest_match_decides(code: str, reason: Reason | None) -> None:
    """Exact codes first, then the longest beginning; what nobody listed is unmapped."""
    assert book().reason_of(code) is reason


def test_success_and_a_recognised_repeat_pass() -> None:
    """Neither raises: the provider has the message."""
    book().check("OK")
    book().check("SEEN")


def test_refusals_raise_with_the_vendors_word() -> None:
    """Retryable reasons are Transient and carry the wish to wait; the others are Permanent."""
    with pytest.raises(Transient) as transient:
        book().check("BUSY", 3.0)
    with pytest.raises(Permanent) as permanent:
        book().check("POOR", 3.0)
    assert (transient.value.retry_after_s, getattr(transient.value, "provider_code", "")) == (3.0, "BUSY")
    assert (permanent.value.reason, getattr(permanent.value, "provider_code", "")) == (Reason.BILLING, "POOR")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (PAGE.replace("billing", "bankrupt"), "bankrupt"),
        (PAGE.replace("[POOR,", "[BUSY,"), "BUSY"),
        (PAGE.replace("[POOR,", "[OK,"), "OK"),
        (PAGE.replace("once: [BUSY]", "twice: [BUSY]"), "twice"),
        (PAGE.replace("once: [BUSY]", "once: [NOBODY]"), "without a reason: NOBODY"),
        (PAGE.replace("recipient: [BUSY]", "recipient: [OK]"), "without a reason: OK"),
        (PAGE.replace("recipient:", "everybody:"), "everybody"),
        (PAGE + "colour: red\n", "colour"),
        (PAGE.replace('accepted: [OK, "2*"]', "accepted: []"), "accepted"),
        (PAGE.replace("text_chars: 70", "text_chars: many"), "text_chars"),
        ("provider: [", "acme.yaml"),
    ],
)
def test_a_wrong_page_is_refused(wrong: str, complaint: str) -> None:
    """The complaint names the file and what is wrong in it."""
    with pytest.raises(ValueError, match=complaint) as caught:
        parse(wrong, "acme.yaml")
    assert "acme.yaml" in str(caught.value)


def test_a_page_for_another_provider_is_refused(tmp_path: Path) -> None:
    """A copied file does not pass for its copy."""
    (tmp_path / "other.yaml").write_text(PAGE, "utf-8")
    with pytest.raises(ValueError, match="acme"):
        load("other", tmp_path)
    with pytest.raises(ValueError, match="missing"):
        load("nobody", tmp_path)


def test_every_provider_has_a_page_and_every_page_a_provider() -> None:
    """Nothing in the folder belongs to nobody."""
    pages = {path.stem for path in CODES_FOLDER.iterdir()}
    assert pages == {load_for(name.split("_")[0], name.split("_")[1]).provider for name in channel_files()}
    assert all(load(name).meanings for name in pages)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("POOR", Hint("never", "account")),
        ("BUSY", Hint("once", "recipient")),
        ("E17", Hint("later", "account")),
        ("Throttling.User", Hint("later", "account")),
        ("nobody", Hint("never", "message")),
    ],
)
def test_a_code_advises_as_its_reason_unless_the_book_knows_better(code: str, hint: Hint) -> None:
    """Also for codes that stand for many."""
    assert book().hint_of(code) == hint
    with pytest.raises((Permanent, Transient)) as refused:
        book().check(code)
    assert getattr(refused.value, "hint", None) == hint
    assert isinstance(refused.value, Transient) == (hint.retry != "never")


def test_only_what_may_pass_by_itself_is_tried_again() -> None:
    """A wrong number or an empty account is not."""
    assert {reason for reason in Reason if by_reason(reason).retry == "later"} == LATER
    assert {
        Reason.TRANSIENT,
        Reason.RATE_LIMITED,
        Reason.AUTH_EXPIRED,
        Reason.QUOTA_EXHAUSTED,
        Reason.TIME_WINDOW,
    } == LATER


@pytest.mark.parametrize("name", sorted(path.stem for path in CODES_FOLDER.iterdir()))
def test_the_whole_book_advises_what_its_reasons_allow(name: str) -> None:
    """Every refusal has a scope by its reason; an override says something else; what is about one is tried no more."""
    one = load(name)
    for code, reason in one.meanings.items():
        if reason is None:
            continue
        assert reason in SCOPE_OF, f"{code}: {reason} is not a provider's"
        hint, plain = one.hint_of(code), by_reason(reason)
        if code in one.overridden:
            assert hint != plain, f"{code}: the book repeats what its reason says"
        if plain.scope in {"recipient", "template", "message"} and reason not in LATER:
            assert hint.retry == "never", code
