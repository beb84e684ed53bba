import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.phrasebook import HOLE, PHRASES, chinese

HOUSE = Path(__file__).parents[3]
TEXTS = {
    "UnavailableError": 0,
    "QueueFullError": 0,
    "Permanent": 1,
    "Transient": 1,
    "Refused": 1,
    "_Complaint": 1,
    "Trouble": 0,
    "Finding": 2,
}
"""Which argument of these is the first that a person reads; `detail` and `remedy` are read by name, too."""
ROOMS = ("schemas", "infra", "streams", "sinks", "producers", "console")
ASSEMBLED = 10
"""So few letters of its own has a text that is put together of others: `the store at {} {}`."""
NOT_AT_THE_CONSOLE = ("infra/simulators/", "infra/receipts/", "producers/gateway/")
"""What these refuse is answered to a program, in the words of its protocol."""


def sentences() -> Iterator[tuple[str, str]]:
    """Every text that is written where an error is raised, with holes for what is filled in, and where it stands."""
    for path in sorted(path for room in ROOMS for path in (HOUSE / room).rglob("*.py")):
        place = path.relative_to(HOUSE).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TEXTS:
                named = [keyword.value for keyword in node.keywords if keyword.arg in {"detail", "remedy"}]
                for text in map(written, [*node.args[TEXTS[node.func.id] :], *named]):
                    if is_sentence(text) and not place.startswith(NOT_AT_THE_CONSOLE):
                        yield f"{place}:{node.lineno}", text


def is_sentence(text: str) -> bool:
    """English with words of its own, not names that are put together."""
    return text.isascii() and sum(letter.isalpha() for letter in text.replace(HOLE, "")) > ASSEMBLED


def written(text: ast.expr) -> str:
    """A literal as the phrase book writes it; empty for what is not written here."""
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        return text.value
    if isinstance(text, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in text.values)
    return ""


def test_whatever_the_house_raises_is_in_the_book() -> None:
    """A new error must not reach an operator untranslated: add its sentence to `console/phrases/`."""
    found = list(sentences())
    assert len(found) > 150
    assert {f"{place} {text}" for place, text in found if chinese(text.replace(HOLE, "x:7")).isascii()} == set()


def test_a_chinese_sentence_keeps_every_hole() -> None:
    """Each name and number of the English one, or none at all where only the rule matters."""
    for english, told in PHRASES.items():
        asked = [name or str(place) for place, name in enumerate(re.findall(r"\{([0-9]*)\}", told))]
        wanted = [str(number) for number in range(english.count(HOLE))]
        assert sorted(asked) == wanted or (not asked and english.startswith("Input should")), english
        assert not told.isascii() or told == HOLE, english


@pytest.mark.parametrize(
    ("english", "told"),
    [
        ("topic x does not exist", "主题 x 不存在"),
        ("MEDPOST_PARTITIONS: Input should be greater than or equal to 1", "MEDPOST_PARTITIONS：须不小于 1"),
        ("/a/b: Permission denied", "/a/b：没有权限"),
        ("a: b", "a: b"),
        ("m.yaml:3: unknown member 'x'; allowed: a", "m.yaml:3：未知成员 'x'；可用：a"),
        ("topic a\nb does not exist", "主题 a\nb 不存在"),
        ("no such sentence", "no such sentence"),
        ("已是中文", "已是中文"),
        ("", ""),
    ],
)
def test_sentences_are_found_by_their_words(english: str, told: str) -> None:
    """What stands in a hole is looked up, too; a stranger is shown as it is."""
    assert chinese(english) == told


def test_the_longer_sentence_counts_first() -> None:
    """`no Kafka broker answers at …` is not `… answers`."""
    assert chinese("no Kafka broker answers at h:1 (_TRANSPORT)") == "h:1 没有 Kafka broker 应答（连接断开）"
