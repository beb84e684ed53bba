"""How a partition decides, as far as the log does not say it: the shell's word on names, room, holds and budgets.

Made by settle's shell (or a test) and handed to every `partition`. Holds no state.
"""

from collections.abc import Callable

from msgspec import Struct

from streams.budget import OnSpent, nobody
from streams.consequences import Author

Window = Callable[[str], int]
"""How many attempts may be in flight on a channel, in this partition; 0: none."""
IsHeld = Callable[[str, str, str], bool]
"""Whether messages of an application and a type are held on a channel."""


def _never_held(_app_id: str, _type: str, _channel: str) -> bool:
    return False


class Rules(Struct, frozen=True):
    """How a partition decides: in whose name, how long a claim may take (ms), and the window per channel.

    Besides, what is held by hand, over how many `partitions` a type's budget of fallbacks is divided, and whom to tell
    when it is spent.
    """

    author: Author
    hold_ms: int
    window: Window
    is_held: IsHeld = _never_held
    partitions: int = 1
    on_spent: OnSpent = nobody
