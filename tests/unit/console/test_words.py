import pytest

from console import words
from schemas.errors import Reason
from schemas.statuses import LANES, Stage, Status


@pytest.mark.parametrize(
    ("table", "vocabulary"),
    [(words.STATUSES, Status), (words.STAGES, Stage), (words.LANES, LANES), (words.REASONS, Reason)],
    ids=["statuses", "stages", "lanes", "reasons"],
)
def test_every_word_of_the_contract_has_a_chinese_one(table: dict[str, str], vocabulary: list[str]) -> None:
    """A new reason must not reach a user untranslated."""
    assert set(table) == set(vocabulary)
    assert all(not chinese.isascii() for chinese in table.values())


def test_accepted_by_the_provider_is_not_called_delivered() -> None:
    """Two words, and never the same."""
    assert words.STATUSES[Status.SENT] != words.STATUSES[Status.DELIVERED]
    assert "达" not in words.STATUSES[Status.SENT]


def test_the_contracts_word_stays_visible() -> None:
    """It is what one searches for; unknown words are shown as they are."""
    assert words.of_reason("token_expired") == "令牌已过期 token_expired"
    assert words.of_status("strange") == "strange"
    assert words.of_reason("") == ""


def test_times_are_shown_in_shanghai() -> None:
    """Midnight there is 16:00 UTC of the day before."""
    assert words.moment(1_793_462_400_123) == "2026-11-01 00:00:00.123"
    assert words.iso(1_793_462_400_000) == "2026-11-01T00:00:00.000+08:00"


@pytest.mark.parametrize(
    ("span_ms", "shown"),
    [(0, "0 毫秒"), (999, "999 毫秒"), (1240, "1.24 秒"), (185_000, "3 分 05 秒"), (7_800_000, "2 小时 10 分")],
)
def test_durations_are_shown_in_the_unit_that_reads_best(span_ms: int, shown: str) -> None:
    """Three digits are enough for a person."""
    assert words.span(span_ms) == shown
