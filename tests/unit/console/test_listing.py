import json

import pytest

from console.listing import Format, show, show_one

ROWS: list[dict[str, object]] = [{"id": "a", "n": 1, "extra": "中"}, {"id": "b" * 200, "n": None, "extra": True}]
HEADINGS = {"id": "编号", "n": "数"}


def test_json_is_one_document_with_every_member(capsys: pytest.CaptureFixture[str]) -> None:
    """Chinese stays readable."""
    show(ROWS, HEADINGS, Format.JSON)
    out = capsys.readouterr().out
    assert json.loads(out) == ROWS
    assert "中" in out


def test_jsonl_is_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Made for pipes."""
    show(ROWS, HEADINGS, Format.JSONL)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == ROWS


def test_a_table_in_a_pipe_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """Only what has a heading is shown, whole and on one line."""
    show(ROWS, HEADINGS, Format.TABLE)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "b" * 200 in lines[2]
    assert "None" not in lines[2]
    assert "中" not in "".join(lines)


def test_markup_in_a_value_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A bracket in a reference is no colour."""
    show([{"id": "[red]x[/red]", "n": 1}], HEADINGS, Format.TABLE)
    assert "[red]x[/red]" in capsys.readouterr().out


def test_one_thing_leaves_out_what_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """In a table; JSON keeps every member."""
    show_one({"id": "a", "n": None}, HEADINGS, Format.TABLE)
    assert "数" not in capsys.readouterr().out
    show_one({"id": "a", "n": None}, HEADINGS, Format.JSONL)
    assert json.loads(capsys.readouterr().out) == {"id": "a", "n": None}
