r"""HL7's escape sequences (`\F\`, `\.br\`, `\XE4BDA0\`), undone on decoded text.

Called for every value that is taken out of a message. Runs of `\X..\` are joined before they are decoded, strictly,
with the message's own charset, or another one in which they are ordinary Chinese: so the bytes of one character become
that character. What is no escape sequence stays as it is: a lone backslash is ordinary text.

Source: HL7 v2.8, chapter 2, section 2.7.
"""

import re
from typing import Final

from msgspec import Struct

from producers.hl7.charset import is_fluent
from producers.refusals import Refused
from schemas.errors import Reason

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LAYOUT: Final = {"br": "\n", "ce": "\n", "sp": "\n", "sk": " ", "fi": "", "nf": "", "in": "", "ti": ""}
_REPEATS: Final = 20


class Separators(Struct, frozen=True):
    """The characters that MSH-1 and MSH-2 declare; `truncation` is version 2.7's fifth, empty when not declared."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""


class Unescape:
    """Undoes the escape sequences of one message; `charset` is the codec that its bytes were read with."""

    def __init__(self, separators: Separators, charset: str) -> None:
        mark = re.escape(separators.escape)
        self._mark = separators.escape
        self._charset = "utf-8" if charset == "ascii" else charset
        self._pattern = re.compile(
            rf"(?:{mark}X(?:[0-9A-Fa-f]{{2}})++{mark})++|{mark}(?:([FSTREPHN])|\.((?i:{'|'.join(_LAYOUT)}))[+-]?(\d*)){mark}"
        )
        self._plain = {
            "H": "",
            "N": "",
            "F": separators.field,
            "S": separators.component,
            "T": separators.subcomponent,
            "R": separators.repetition,
            "E": separators.escape,
            "P": separators.truncation or "#",
        }

    def __call__(self, text: str) -> str:
        r"""The text as a person should see it, line breaks as \n, without control characters.

        Raises Refused(decode_error) for `\X..\` whose bytes no charset explains.
        """
        if self._mark and self._mark in text:
            text = self._pattern.sub(self._replaced, text)
        return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " "))

    def _replaced(self, match: re.Match[str]) -> str:
        letter, layout, count = match.groups()
        if letter:
            return self._plain[letter]
        if layout:
            return _LAYOUT[layout.lower()] * min(int(count[:3] or 1), _REPEATS)
        return self._from_bytes(match[0])

    def _from_bytes(self, sequences: str) -> str:
        raw = bytes.fromhex("".join(part[1:] for part in sequences.split(self._mark) if part))
        for charset in dict.fromkeys((self._charset, "utf-8", "gb18030")):
            try:
                text = raw.decode(charset)
            except UnicodeDecodeError:
                continue
            if "\ufffd" not in text and (charset == self._charset or is_fluent(text)):
                return text
        raise Refused(
            Reason.DECODE_ERROR,
            "undecodable bytes in an escape sequence \\X..\\",
            "escape them in the message's charset",
        )
