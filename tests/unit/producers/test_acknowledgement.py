from infra.kafka import PublishFailure
from producers.acknowledgement import NotAcknowledgedError, UnacknowledgedError, failed
from schemas.errors import Permanent, Reason, Transient


def test_a_records_own_fault_is_permanent() -> None:
    """Sending something too large again would be vain."""
    error = failed(PublishFailure("messages.normal", 10, "MSG_SIZE_TOO_LARGE", is_permanent=True, text=""), "id", "r")
    assert isinstance(error, Permanent)
    assert error.reason is Reason.TOO_LARGE


def test_silence_names_the_id_to_try_again_under() -> None:
    """The sender learns under which id a second try is the same message."""
    error = failed(PublishFailure("messages.normal", -192, "_MSG_TIMED_OUT", is_permanent=False, text=""), "id-1", "r")
    assert isinstance(error, NotAcknowledgedError)
    assert isinstance(error, Transient)
    assert (error.message_id, error.reference) == ("id-1", "r")
    assert "id-1" in str(error)


def test_closing_names_what_is_left() -> None:
    """How many, and which."""
    assert "2 messages" in str(UnacknowledgedError(("a", "b")))
