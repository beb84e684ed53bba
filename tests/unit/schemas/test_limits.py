import pytest

from schemas.limits import CLAIM_MARGIN_MS, MAX_AHEAD_MS, NAME, REFERENCE_CHARS


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("his", True),
        ("lab_report.v2-b", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("His", False),
        ("2his", False),
        ("", False),
        ("his\n", False),
        ("检验", False),
    ],
)
def test_names_are_plain(name: str, *, is_one: bool) -> None:
    """They stand in topics, labels and keys, and are shown to everybody."""
    assert (NAME.fullmatch(name) is not None) is is_one


def test_what_was_promised_to_senders_stays() -> None:
    """They are written in the documents that vendors were given."""
    assert (REFERENCE_CHARS, MAX_AHEAD_MS, CLAIM_MARGIN_MS) == (256, 34_560_000_000, 2_000)
