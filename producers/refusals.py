"""A refusal: why a producer did not publish something, and what its sender can do about it.

Raised by every reader of this package and listed by the console. Neither text ever holds a value from the input: a
refusal may be logged and shown.
"""

from schemas.errors import Permanent, Reason


class Refused(Permanent):
    """This input cannot be published as it is; `remedy` is one line for whoever sent it."""

    def __init__(self, reason: Reason, detail: str, remedy: str = "") -> None:
        super().__init__(reason, detail)
        self.remedy = remedy
