"""What a sender is told when the broker did not confirm: under which ids to try again.

Raised by the SDK. Trying again under the same id or reference is always safe: it is the same message.
"""

from typing import TYPE_CHECKING

from schemas.errors import MedpostError, Permanent, Reason, Transient

if TYPE_CHECKING:  # whoever sends over HTTP needs no Kafka
    from infra.kafka import PublishFailure


class NotAcknowledgedError(Transient):
    """The broker did not confirm in time; the message may or may not be there. Send again under the same id.

    `message_id` and `reference` are those to try again under; doing so can never send it twice.
    """

    def __init__(self, detail: str, message_id: str, reference: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(Reason.TRANSIENT, f"{detail}; try again under message_id {message_id}", retry_after_s)
        self.message_id = message_id
        self.reference = reference


class UnacknowledgedError(Transient):
    """A client was closed while these messages had no answer; `left` are their ids, to try again under."""

    def __init__(self, left: tuple[str, ...]) -> None:
        super().__init__(Reason.TRANSIENT, f"{len(left)} messages are not acknowledged; try again under their ids")
        self.left = left


def failed(failure: "PublishFailure", message_id: str, reference: str) -> MedpostError:
    """A negative delivery report as the sender's error: the record's own fault, or not acknowledged."""
    if failure.is_permanent:
        return Permanent(failure.reason, f"{failure.name} for {failure.topic}")
    return NotAcknowledgedError(f"the broker did not acknowledge ({failure.name})", message_id, reference)
