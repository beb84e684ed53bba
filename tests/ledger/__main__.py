"""`python -m tests.ledger --messages N --rate R --seed S`: the ledger by hand, with every line as it happens."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.ledger.course import LONG, Course, run
from tests.ledger.plant import say_now


def main() -> int:
    """Exit code 0 when the verdict is clean."""
    parser = argparse.ArgumentParser(prog="tests.ledger", description="Kill everything, lose nothing, and count.")
    parser.add_argument("--long", action="store_true", help="every blow there is, at 100,000 messages")
    parser.add_argument("--messages", type=int, default=None)
    parser.add_argument("--rate", type=float, default=None)
    parser.add_argument("--seed", type=int, default=Course().seed)
    parser.add_argument("--home", type=Path, default=None, help="an empty folder; a temporary one without it")
    asked = parser.parse_args()
    home = asked.home or Path(tempfile.mkdtemp(prefix="medpost-ledger-"))
    usual = LONG if asked.long else Course()
    course = Course(asked.messages or usual.messages, asked.rate or usual.rate_per_s, asked.seed, is_long=asked.long)
    report = run(course, home / "home", say_now)
    say_now(f"seed {course.seed}: `python -m tests.ledger{' --long' if asked.long else ''} --seed {course.seed}` again")
    say_now("\n".join(report.lines))
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
