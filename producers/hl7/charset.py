"""Which characters the bytes of one HL7 message mean: what MSH-18 declares, checked against what the bytes can be.

Called by the reader before anything is split: the second byte of a GBK character may be 5C, 5E, 7C or 7E, which are
HL7's own separators. Every reading is strict. Nothing is ever replaced: a message that no charset explains is refused,
and so is one that already carries U+FFFD, for its text was destroyed before it came here.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from producers.refusals import Refused
from schemas.errors import Reason

UTF_8: Final = "utf-8"
GB18030: Final = "gb18030"
BIG5: Final = "big5hkscs"

_CHINESE: Final = ("GB18030", "GB180302000", "GB180302005", "GB180302022", "GBK", "GB2312", "GB231280", "CP936")
_NAMES: Final = {
    **dict.fromkeys(("UNICODEUTF8", "UTF8", "UNICODE"), UTF_8),
    **dict.fromkeys((*_CHINESE, "MS936", "EUCCN", "ISOIR58"), GB18030),
    **dict.fromkeys(("BIG5", "BIG5HKSCS", "CP950"), BIG5),
    **dict.fromkeys(("ASCII", "USASCII", "ISOIR6", "ISO646"), "ascii"),
    **{f"{prefix}8859{part}": f"iso8859-{part}" for prefix in ("", "ISO") for part in (*range(1, 12), 13, 14, 15, 16)},
}
"""Codes of HL7 table 0211 and what is met in their place, capitals and digits only, to Python's codecs."""

_SINGLE_BYTE: Final = ("ascii", "iso8859")
_SYMBOLS: Final = frozenset("\u00d7·°±÷²³µμ≥≤↑↓←→“”‘’…—～℃‰αβγ①②③④⑤⑥⑦⑧⑨⑩ⅠⅡⅢⅣⅤ")
_UPPER_CONTROL: Final = re.compile("[\x80-\x9f]")
_WORD: Final = re.compile("[一-龥]{2}")
_CHINESE_TEXT: Final = re.compile("[一-龥]+")
_LAST_FREQUENT: Final = 0xC6  # Big5: of the 5,401 frequent characters
_ENOUGH: Final = 4
_FLUENT: Final = 0.9
_LIKELY: Final = 0.5
_REMEDY: Final = "declare the charset in MSH-18 (UNICODE UTF-8 or GB 18030-2000) and send these bytes, or set --charset"


class Decoded(Struct, frozen=True):
    """A message's text, the codec that read it, and whether that is another one than MSH-18 declared."""

    text: str
    charset: str
    is_overruled: bool = False


def codec_named(name: str) -> str | None:
    """Python's codec for a charset's name in MSH-18 or on a command line; None when it names none we know.

    Of repetitions (`UTF-8~UNICODE`) the first known one counts; case, blanks and punctuation do not.
    """
    words = (re.sub("[^A-Z0-9]", "", part) for part in name.upper().split("~"))
    return next((_NAMES[word] for word in words if word in _NAMES), None)


def declared(raw: bytes) -> str:
    """MSH-18 as it stands, empty when there is none. The header is decoded before it is split, like everything."""
    header = raw.split(b"\r", 1)[0]
    text = _strict(header, UTF_8) or _strict(header, GB18030) or header.decode("latin-1")
    fields = text.split(text[3]) if len(text) > 3 else []
    return fields[17].strip() if len(fields) > 17 else ""


def decode(raw: bytes, default: str = "", certain: str = "") -> Decoded:
    """The text of one message, `MSH…` with CR between segments.

    `default` is the codec to trust where MSH-18 is silent or says nothing we know (a setting of the source);
    `certain` the one that a byte order mark proves. Raises Refused(decode_error).
    """
    if raw.isascii():
        return Decoded(raw.decode("ascii"), "ascii")
    stated = codec_named(declared(raw))
    trusted = stated or default
    charset = certain or _chosen(raw, trusted)
    text = _strict(raw, charset) if charset else None
    if text is None:
        said = f"MSH-18 declares {trusted}" if stated else "MSH-18 declares no charset that we know"
        raise Refused(Reason.DECODE_ERROR, f"undecodable bytes: {said}, and the bytes are not that", _REMEDY)
    if "\ufffd" in text:
        raise Refused(
            Reason.DECODE_ERROR,
            "the text holds U+FFFD: characters were destroyed before the message came here",
            "mend the conversion in the sending system and send the message again",
        )
    return Decoded(text, charset, is_overruled=bool(stated) and charset != stated)


def _chosen(raw: bytes, trusted: str) -> str:
    """The codec whose reading we believe, empty when there is none."""
    if not trusted:
        return _undeclared(raw)
    if trusted == UTF_8:
        return _first(raw, UTF_8) or (GB18030 if _is_surely_chinese(raw) else "")
    if trusted == GB18030:
        if _is_traditional(raw):
            return BIG5
        return _more_fluent(raw) if _strict(raw, GB18030) else _first(raw, UTF_8, BIG5)
    is_chinese = _is_surely_chinese(raw)
    if trusted.startswith(_SINGLE_BYTE):  # every byte is valid there: no proof of truth
        return _first(raw, UTF_8) or (GB18030 if is_chinese else _first(raw, trusted))
    is_lie = is_chinese and _big5_fluency(raw) < _FLUENT
    return _first(raw, UTF_8) or (GB18030 if is_lie else _first(raw, trusted))


def _first(raw: bytes, *charsets: str) -> str:
    return next((charset for charset in charsets if _strict(raw, charset) is not None), "")


def _undeclared(raw: bytes) -> str:
    best = _more_fluent(raw)
    if best in (GB18030, "") and _is_traditional(raw):
        return BIG5
    if best == GB18030 and _fluency(_strict(raw, GB18030)) < _LIKELY:
        return ""
    return best


def _more_fluent(raw: bytes) -> str:
    """UTF-8 or GB18030, whichever reads as ordinary Chinese; UTF-8 when both do."""
    utf8, chinese = _strict(raw, UTF_8), _strict(raw, GB18030)
    if utf8 is None:
        return GB18030 if chinese is not None else ""
    is_better = _fluency(chinese) > _fluency(utf8) and _WORD.search(chinese or "")
    return GB18030 if is_better else UTF_8


def _is_surely_chinese(raw: bytes) -> bool:
    text = _strict(raw, GB18030)
    return text is not None and _fluency(text) >= _FLUENT and _WORD.search(text) is not None


def _is_traditional(raw: bytes) -> bool:
    """Whether the bytes are good Big5, and as GB18030 mostly characters that nobody uses."""
    return _big5_fluency(raw) >= _FLUENT and _fluency(_strict(raw, GB18030)) < _LIKELY


def _big5_fluency(raw: bytes) -> float:
    """Share of Big5's frequent characters (lead bytes A1 to C6); 0 for too little text to tell."""
    text = _strict(raw, BIG5)
    is_enough = text is not None and sum(map(len, _CHINESE_TEXT.findall(text))) >= _ENOUGH
    return _share(text, _is_frequent) if is_enough else 0.0


def _is_frequent(char: str) -> bool:
    try:
        return char.encode("big5")[0] <= _LAST_FREQUENT
    except UnicodeEncodeError:
        return False


def _strict(raw: bytes, charset: str) -> str | None:
    try:
        text = raw.decode(charset)
    except UnicodeDecodeError:
        return None
    if charset.startswith(_SINGLE_BYTE) and _UPPER_CONTROL.search(text):
        return None  # control characters of the upper half: this is another charset
    return text


def is_fluent(text: str) -> bool:
    """Whether the text beyond ASCII is ordinary Chinese: bytes that were damaged seldom are, in whatever charset."""
    return _fluency(text) >= _FLUENT


def _fluency(text: str | None) -> float:
    """Share of the characters beyond ASCII that are ordinary in a Chinese hospital's text: GB 2312, its punctuation."""
    return _share(text, _is_ordinary)


def _share(text: str | None, is_one: Callable[[str], bool]) -> float:
    """Share of the characters beyond ASCII for which that holds; each different one is judged once."""
    counts = {char: count for char, count in Counter(text or "").items() if char > "\x7f"}
    return sum(count for char, count in counts.items() if is_one(char)) / (sum(counts.values()) or 1)


def _is_ordinary(char: str) -> bool:
    if char in _SYMBOLS or "\u3000" <= char <= "\u303f" or "\uff00" <= char <= "\uffef":
        return True
    try:
        return "一" <= char <= "龥" and bool(char.encode("gb2312"))
    except UnicodeEncodeError:
        return False
