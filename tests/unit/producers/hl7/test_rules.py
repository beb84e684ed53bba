"""rules.tsv: every rule about HL7 that files from the field taught, and the test that holds it."""

from pathlib import Path

ROWS = [line.split("\t") for line in Path(__file__).with_name("rules.tsv").read_text("utf-8").splitlines()]


def test_every_rule_has_a_test() -> None:
    """Each row names a rule once, and a test that is there."""
    heading, *rows = ROWS
    assert heading == ["rule", "file", "test"]
    assert len({rule for rule, _, _ in rows}) == len(rows) > 50
    folder = Path(__file__).parents[1]
    missing = [row for row in rows if f"def {row[2]}(" not in (folder / row[1]).read_text("utf-8")]
    assert missing == []
