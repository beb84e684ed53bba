"""Errors carry a reason of the closed vocabulary and a text that is safe to show."""

import pytest

from schemas.errors import MedpostError, Permanent, Reason, Transient, UnavailableError


def test_a_text_begins_with_its_reason() -> None:
    """The word that a dead letter, a trace row and a metric show is the first one a person reads."""
    assert str(Permanent(Reason.TYPE_UNKNOWN, "lab_reprot")) == "type_unknown: lab_reprot"
    assert str(Permanent(Reason.TYPE_UNKNOWN)) == "type_unknown"


def test_a_transient_error_carries_the_other_side_s_wish() -> None:
    """Retry-After is a number of seconds, or None when the other side named none."""
    assert Transient(Reason.RATE_LIMITED, retry_after_s=2.5).retry_after_s == 2.5
    assert Transient(Reason.TRANSIENT).retry_after_s is None


def test_what_is_unavailable_says_how_to_mend_it() -> None:
    """The remedy stands apart from the text, so that a command line can print it on its own line."""
    error = UnavailableError("no kafka server is known here", "start the embedded ones with `medpost up`")
    assert (error.reason, error.remedy) == (Reason.TRANSIENT, "start the embedded ones with `medpost up`")


def test_one_tree() -> None:
    """Whoever catches MedpostError catches all of them; nothing permanent or unavailable passes for transient."""
    assert all(issubclass(kind, MedpostError) for kind in (Transient, Permanent, UnavailableError))
    assert not issubclass(Permanent, Transient)
    assert not issubclass(UnavailableError, Permanent | Transient)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_its_own_name_in_lower_case(reason: Reason) -> None:
    """One word from the code to the column, without a second spelling."""
    assert reason.value == reason.name.lower()
    assert str(reason) == reason.value
