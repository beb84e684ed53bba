"""Says in Chinese what the platform says in English: errors, their remedies, details of events and dead letters.

Code, logs and records keep one language, English, and their words can be searched for; what a person reads at the
console is looked up here, by the whole sentence with holes for its names and numbers. A sentence that is not in the
book is shown as it is. Called by the console's commands for tables and errors, never for JSON.
"""

import re
from functools import lru_cache
from typing import Final

from msgspec import Struct

from console.phrases import files, frame, guarded, refusals, servers, skips

HOLE: Final = "{}"
PHRASES: Final = {
    **frame.PHRASES,
    **servers.PHRASES,
    **guarded.PHRASES,
    **refusals.PHRASES,
    **files.PHRASES,
    **skips.PHRASES,
}


class _Phrase(Struct, frozen=True):
    """One sentence: what it looks like, what it says, and whether it has words of its own beside its holes."""

    pattern: re.Pattern[str]
    chinese: str
    has_words: bool


def _phrase(english: str, chinese: str) -> _Phrase:
    parts = english.split(HOLE)
    pattern = re.compile("(.+?)".join(re.escape(part) for part in parts), re.DOTALL)
    return _Phrase(pattern, chinese, has_words=any(part.strip(" .,:;()/") for part in parts))


_EXACT: Final = {english: chinese for english, chinese in PHRASES.items() if HOLE not in english}
_WITH_HOLES: Final = tuple(
    _phrase(english, PHRASES[english])
    for english in sorted(PHRASES, key=lambda text: len(text.replace(HOLE, "")), reverse=True)
    if HOLE in english
)
"""The more of its own a sentence says, the earlier it is tried."""


@lru_cache(maxsize=1_024)
def chinese(text: str) -> str:
    """The Chinese sentence, with what stands in its holes looked up in turn; the text itself where there is none."""
    return _EXACT.get(text) or _filled(text) or text


def _filled(text: str) -> str | None:
    for phrase in _WITH_HOLES:
        match = phrase.pattern.fullmatch(text)
        if match is not None:
            inside = [chinese(part) for part in match.groups()]
            if phrase.has_words or inside != list(match.groups()):
                return phrase.chinese.format(*inside)
    return None
