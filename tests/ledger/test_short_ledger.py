import os
from pathlib import Path

import pytest

from tests.ledger.course import Course, run
from tests.ledger.plant import say_now

COURSE = Course(
    messages=int(os.environ.get("MEDPOST_LEDGER_MESSAGES", Course().messages)),
    rate_per_s=float(os.environ.get("MEDPOST_LEDGER_RATE", Course().rate_per_s)),
    seed=int(os.environ.get("MEDPOST_LEDGER_SEED", Course().seed)),
)
"""By default the short ledger; smaller ones for development."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_while_everything_is_killed(tmp_path: Path) -> None:
    """Every message is final, seen or explained, none is sent again, and reading the log twice moves no figure."""
    report = run(COURSE, tmp_path / "home", say_now)
    say_now("\n".join(report.lines))
    assert report.verdict.submitted == COURSE.messages
    assert report.is_clean
