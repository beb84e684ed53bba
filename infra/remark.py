"""The remark on a message's acceptance: which sending of how many it is, and why channels are skipped, in one line.

Written by intake (`detail` of `accepted`), read by settle, `infra.series` and the console. The plan holds one word for
each skipped channel, the reason; of `config_missing` there are four causes, and the trace shall say which. Never
personal data. Pure.
"""

import re
from collections.abc import Mapping
from typing import Final

PART: Final = "; "
CAUSE_CHARS: Final = 160
"""More than the longest that we write; only what a template engine complains of could be longer."""
_CAUSE: Final = re.compile(r"([a-z0-9]{1,64}): (.+)", re.DOTALL)
_BLANKS: Final = re.compile(r"[\s;]+")


def remark(place: str, causes: Mapping[str, str]) -> str:
    """One line of a place in a series ("": none) and of causes by channel: `2/7; sms: the channel is disabled`."""
    told = [f"{channel}: {_BLANKS.sub(' ', cause)[:CAUSE_CHARS]}" for channel, cause in causes.items() if cause]
    return PART.join([place, *told] if place else told)


def place_in(text: str) -> str:
    """The place in a series; "" where there is none."""
    first = text.partition(PART)[0]
    return "" if _CAUSE.fullmatch(first) else first


def causes_in(text: str) -> dict[str, str]:
    """The causes by channel."""
    return {found[1]: found[2] for part in text.split(PART) if (found := _CAUSE.fullmatch(part)) is not None}
