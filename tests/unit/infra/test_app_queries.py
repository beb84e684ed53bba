import re
from typing import Any

import msgspec
import pytest

from infra.app_queries import OPEN, OpenCount, open_messages
from infra.clickhouse import Store

ROW: dict[str, Any] = {"app_id": "his", "lane": "urgent", "messages": 3, "at_least": 2, "at_most": 5}


class Answers(Store):
    """A store that answers with these rows and notes what was asked."""

    def __init__(self, *found: dict[str, Any]) -> None:
        super().__init__("http://nowhere/x")
        self.found = list(found)
        self.asked: list[tuple[str, dict[str, object]]] = []

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """The prepared rows."""
        self.asked.append((sql, parameters))
        return self.found


def test_the_span_s_ends_are_told_apart() -> None:
    """The beginning bounds the count, the end is the moment it is for; both reach the statement by name."""
    store = Answers(ROW)
    assert open_messages(store, 1, (7, 9)) == [OpenCount(**ROW)]
    assert store.asked == [(OPEN, {"since_ms": 1, "from_ms": 7, "until_ms": 9})]


def test_every_parameter_of_the_statement_is_given() -> None:
    """And none is filled in as text."""
    store = Answers()
    assert open_messages(store, 1, (7, 9)) == []
    named = set(re.findall(r"\{(\w+):Int64\}", OPEN))
    assert named == set(store.asked[0][1])
    assert "%" not in OPEN


def test_rows_of_another_shape_are_no_answer() -> None:
    """A store of another version must not be read as zeros."""
    with pytest.raises(msgspec.ValidationError):
        open_messages(Answers({**ROW, "messages": "3"}), 1, (7, 9))
