import re
from typing import Any

import pytest

from infra import queries
from infra.clickhouse import Store
from infra.queries import Selection

STATEMENTS = {
    name: value
    for name, value in vars(queries).items()
    if name.isupper() and not name.startswith("_") and isinstance(value, str)
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_reads_and_is_whole(name: str) -> None:
    """No fragment is left open, nothing is written, every parameter has a type."""
    sql = STATEMENTS[name]
    assert sql.lstrip().startswith("SELECT")
    assert not re.search(r"<\w+>", sql)
    assert all(re.fullmatch(r"\w+:[A-Z]\w+(\(\w+\))?", held) for held in re.findall(r"\{([^}]*)\}", sql))


@pytest.mark.parametrize("name", sorted(set(STATEMENTS) - {"DAYS"}))
def test_every_answer_is_without_repeated_events(name: str) -> None:
    """Only the look-up of days may see an event twice."""
    assert " FINAL" in STATEMENTS[name]


class Answers(Store):
    """A store that answers from a table of statements and notes what was asked."""

    def __init__(self, answers: dict[str, list[dict[str, Any]]]) -> None:
        super().__init__("http://nowhere/x")
        self.answers = answers
        self.asked: list[tuple[str, dict[str, object]]] = []

    def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """The prepared rows of that statement."""
        self.asked.append((sql, parameters))
        return self.answers.get(sql, [])


def event(message_id: str, at_ms: int) -> dict[str, Any]:
    """A row of a timeline."""
    words = ("stage", "status", "channel", "reason", "provider", "provider_code", "provider_message_id", "app_id")
    numbers = ("attempt", "replay_id", "latency_ms", "lateness_ms", "accepted_at_ms", "until_ms", "config_version")
    return {
        **dict.fromkeys((*words, "type", "lane", "worker", "detail", "recipient_key"), ""),
        **dict.fromkeys(numbers, 0),
        "possible_duplicate": False,
        "message_id": message_id,
        "at_ms": at_ms,
    }


def test_open_messages_keep_their_order_and_own_their_events() -> None:
    """The list's order is the ids' order, whatever the order of their events."""
    store = Answers(
        {
            queries.OPEN: [{"id": "b"}, {"id": "a"}],
            queries.EVENTS_OF: [event("a", 1), event("b", 2), event("a", 3)],
        }
    )
    found = queries.timelines_of_open(store, Selection(since_ms=5, status="accepted"))
    assert [[(one.message_id, one.at_ms) for one in timeline] for timeline in found] == [
        [("b", 2)],
        [("a", 1), ("a", 3)],
    ]
    assert "status" not in store.asked[0][1]


def test_no_open_message_asks_for_no_events() -> None:
    """An empty list of ids is not sent to the store."""
    store = Answers({})
    assert queries.timelines_of_open(store, Selection(since_ms=5)) == []
    assert len(store.asked) == 1
