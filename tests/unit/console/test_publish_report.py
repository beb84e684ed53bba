import json
from collections.abc import Iterator

import pytest

from console import publish_report
from console.listing import Format
from console.publish_report import Report, gathered, print_report
from console.publishing import Ended, Offer, Outcome
from schemas.errors import UnavailableError

GOOD = Ended(Offer("a.hl7", 1, "ORU^R01", "lis", "lab_report"), Outcome.PUBLISHED, "id-1")
BAD = Ended(Offer("a.hl7", 2), Outcome.REFUSED, "", "decode_error", "undecodable bytes", "declare the charset")


def report_of(*endings: Ended) -> Report:
    """The report of these endings."""
    return gathered(endings, lambda *_: None)


def test_totals_and_refusals_are_gathered() -> None:
    """Everything is counted, and what was not published is kept to be listed."""
    report = report_of(GOOD, BAD, GOOD)
    assert (report.totals.read, report.refused) == (3, [BAD])


def test_progress_is_told_now_and_then() -> None:
    """Every hundred endings, with the outcomes so far."""
    told: list[tuple[int, str]] = []
    gathered([GOOD] * 250, lambda done, said: told.append((done, said)))
    assert told == [(100, "已发布 100"), (200, "已发布 200")]


def test_only_so_many_refusals_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed of nothing but bad messages does not fill the memory."""
    monkeypatch.setattr(publish_report, "LISTED", 3)
    report = report_of(*[BAD] * 10)
    assert (len(report.refused), report.totals.refused["decode_error"]) == (3, 10)


def test_the_table_tells_and_reconciles(capsys: pytest.CaptureFixture[str]) -> None:
    """Refusals with file, number, reason and remedy; totals that add up; exit code 1."""
    assert print_report(report_of(GOOD, BAD), Format.TABLE) == 1
    shown = capsys.readouterr().out
    for wanted in ("a.hl7", "无法解码 decode_error", "declare the charset", "lab_report", "相符"):
        assert wanted in shown


def test_a_clean_run_is_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing refused; a dry run says so."""
    assert print_report(report_of(GOOD), Format.TABLE, is_dry_run=True) == 0
    assert "可发布" in capsys.readouterr().out


def test_json_holds_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """One object, or a line for each refusal and one for the totals."""
    print_report(report_of(GOOD, BAD), Format.JSON)
    whole = json.loads(capsys.readouterr().out)
    assert whole["totals"]["refused_by_reason"] == {"decode_error": 1}
    assert whole["refused"][0]["number"] == 2
    print_report(report_of(GOOD, BAD), Format.JSONL)
    first, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["reason"], last["totals"]["reconciled"]) == ("decode_error", True)


def test_a_run_that_was_stopped_tells_what_it_did_and_then_raises(capsys: pytest.CaptureFixture[str]) -> None:
    """The broker went away: the totals so far are shown first."""

    def endings() -> Iterator[Ended]:
        yield GOOD
        raise UnavailableError("the broker stopped")

    with pytest.raises(UnavailableError):
        print_report(gathered(endings(), lambda *_: None), Format.TABLE)
    assert "lab_report" in capsys.readouterr().out
