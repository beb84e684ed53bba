"""Why a channel of a message's policy is skipped: the contract's word, and the cause behind it as a sentence.

Named by `route`, `resolve` and `restrict`; the word goes into the plan, the sentence onto the acceptance
(`infra.remark`) and from there onto settle's `skipped`. A word has several causes, and only intake knows which it was.
Data only; every sentence has its Chinese one in `console.phrases.skips`.
"""

from typing import Final

from msgspec import Struct

from schemas.errors import Reason


class Skip(Struct, frozen=True, gc=False):
    """A reason's word, and what it was here; both empty: the channel can be used."""

    reason: str = ""
    cause: str = ""


USABLE: Final = Skip()
NOT_CHOSEN: Final = Skip(Reason.CANCELLED_BY_SENDER, "the sender chose other channels")
NOT_GRANTED: Final = Skip(Reason.CHANNEL_NOT_GRANTED, "the application may not use this channel")
NOT_SIMULATED: Final = Skip(Reason.CHANNEL_NOT_GRANTED, "the key is for tests, and this channel leads outside")
UNREGISTERED: Final = Skip(Reason.CONFIG_MISSING, "the channel is not registered")
DISABLED: Final = Skip(Reason.CONFIG_MISSING, "the channel is disabled in this installation")
NO_TEMPLATE: Final = Skip(Reason.CONFIG_MISSING, "the message type has no template for this channel")
NO_ADDRESS: Final = Skip(Reason.CONFIG_MISSING, "the recipient has no address in this channel")
OPTED_OUT: Final = Skip(Reason.RECIPIENT_OPTED_OUT, "the address is registered as opted out")
INVALID: Final = Skip(Reason.RECIPIENT_INVALID, "the address is registered as invalid")
UNREACHABLE: Final = Skip(Reason.RECIPIENT_UNREACHABLE, "the address is registered as one that is not to be used")
MALFORMED: Final = Skip(Reason.RECIPIENT_INVALID, "the address is too long, or holds control characters")
