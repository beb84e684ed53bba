"""Measures: all cases, or those named as arguments or in CASES; three interleaved rounds, medians, ratios.

Cases that need a whole installation for minutes are measured once, and say so.

`make bench`. Discovers `case_*.py` beside it. Writes `latest.json` and appends to `results.csv`; BENCH_SECONDS and
BENCH_ROUNDS shorten a trial run, which is then not recorded.
"""

# ruff: noqa: T201 - a program that prints its figures
import csv
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench.ground import ROOT, SECONDS, Case, Ground

HERE: Final = Path(__file__).parent
LATEST: Final = HERE / "latest.json"
RESULTS: Final = HERE / "results.csv"
FULL_S: Final = 15.0
ROUNDS: Final = 3


def discovered() -> list[Case]:
    """The cases of all `case_*.py`."""
    found: list[Case] = []
    for path in sorted(HERE.glob("case_*.py")):
        found += _cases_of(importlib.import_module(f"tests.bench.{path.stem}"))
    return found


def _cases_of(module: Any) -> list[Case]:
    listed: list[Case] | None = getattr(module, "CASES", None)
    return listed if listed is not None else [Case(module.NAME, module.UNIT, module.run, module.GOAL)]


def selected(cases: Sequence[Case], wanted: Sequence[str]) -> list[Case]:
    """Cases by name or by first part of their name (`step` means all of `step.*`); all when none is wanted.

    Raises SystemExit(2) for a name that no case has.
    """
    unknown = [name for name in wanted if not any(_answers(case, name) for case in cases)]
    if unknown:
        print(f"no case {', '.join(unknown)}; there are: {', '.join(case.name for case in cases)}", file=sys.stderr)
        raise SystemExit(2)
    return [case for case in cases if not wanted or any(_answers(case, name) for name in wanted)]


def _answers(case: Case, name: str) -> bool:
    return case.name == name or case.name.startswith(f"{name}.")


def commit() -> str:
    """The checked-out commit, with `+` when something is changed."""
    revision = _git("rev-parse", "--short", "HEAD") or "none"
    return revision + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def measure(cases: Sequence[Case], ground: Ground, rounds: int) -> dict[str, list[float]]:
    """Run every case once a round, so that a slow minute of the machine hits all of them."""
    runs: dict[str, list[float]] = {case.name: [] for case in cases}
    for number in range(1, rounds + 1):
        for case in (case for case in cases if number <= case.rounds):
            figure = case.run(ground.kafka)
            runs[case.name].append(figure)
            print(f"round {number}/{rounds}  {case.name:<18} {figure:>12,.1f} {case.unit}", flush=True)
    return runs


def figures(cases: Sequence[Case], runs: dict[str, list[float]]) -> dict[str, dict[str, Any]]:
    """Per case its median, unit and runs."""
    return {
        case.name: {
            "median": round(statistics.median(runs[case.name]), 3),
            "unit": case.unit,
            "runs": [round(figure, 3) for figure in runs[case.name]],
        }
        for case in cases
    }


def show(measured: dict[str, dict[str, Any]], cases: Sequence[Case]) -> None:
    """Medians; goals; and for a family with peers our ratio to each of them."""
    for case in cases:
        name, figure = case.name, measured[case.name]
        ours = measured.get(f"{name.split('.')[0]}.medpost", figure)["median"]
        ratio = "" if ours == figure["median"] else f"   medpost is {ours / figure['median']:.2f} times that"
        goal = f"   (goal {case.goal:,.0f})" if case.goal else ""
        print(f"{name:<18} {figure['median']:>12,.1f} {figure['unit']}{goal}{ratio}")


def record(measured: dict[str, dict[str, Any]], cases: Sequence[Case]) -> None:
    """Write `latest.json` (cases that were not run keep their figures) and append to `results.csv`."""
    revision = commit()
    before = json.loads(LATEST.read_text("utf-8"))["cases"] if LATEST.exists() else {}
    LATEST.write_text(json.dumps({"commit": revision, "cases": {**before, **measured}}, indent=2) + "\n", "utf-8")
    is_new = not RESULTS.exists()
    with RESULTS.open("a", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        if is_new:
            rows.writerow(["date", "commit", "case", "figure", "unit", "conditions"])
        today = time.strftime("%Y-%m-%d", time.gmtime())
        for case in cases:
            machine = f"{os.cpu_count()} cores; median of {len(measured[case.name]['runs'])}"
            conditions = "; ".join(part for part in (machine, case.conditions) if part)
            rows.writerow([today, revision, case.name, measured[case.name]["median"], case.unit, conditions])


def main(arguments: Sequence[str]) -> int:
    """Measure and write."""
    wanted = list(arguments) or os.environ.get("CASES", "").split()
    cases = selected(discovered(), wanted)
    rounds = int(os.environ.get("BENCH_ROUNDS", ROUNDS))
    ground = Ground()
    try:
        measured = figures(cases, measure(cases, ground, rounds))
    finally:
        ground.close()
    show(measured, cases)
    if SECONDS >= FULL_S and rounds >= ROUNDS:
        record(measured, cases)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
