"""Closed channels: by what sinks say of the channel or the account, for a bounded time, until somebody got through."""

from typing import Any

import pytest

from schemas.records import Event
from schemas.statuses import Stage
from streams.gates import MAX_CLOSED_MS, SHORTEST_MS, Gate, Gates
from tests.factories import T0, answer, message_id


def deferral(scope: str, until: int = T0 + 30_000) -> Event:
    """A sink that made no call."""
    return answer(message_id(1), Stage.DEFERRED, "x", reason="transient", scope=scope, until=until)


@pytest.mark.parametrize(
    ("scope", "is_closed"), [("channel", True), ("account", True), ("recipient", False), ("", False)]
)
def test_only_what_concerns_everybody_closes_a_channel(scope: str, is_closed: bool) -> None:
    """One person's trouble is no trouble of the channel."""
    gates = Gates()
    assert not gates.mind(deferral(scope), T0)
    assert gates.closed == ({"x": Gate(T0 + 30_000, "transient")} if is_closed else {})


@pytest.mark.parametrize(
    ("until", "closed_until"), [(0, T0 + SHORTEST_MS), (T0 - 5, T0 + SHORTEST_MS), (T0 + 10**9, T0 + MAX_CLOSED_MS)]
)
def test_the_time_is_bounded(until: int, closed_until: int) -> None:
    """Never so short that it spins, never so long that a raised quota is not seen."""
    gates = Gates()
    gates.mind(deferral("account", until), T0)
    assert gates.closed["x"].until == closed_until


@pytest.mark.parametrize(
    ("changes", "opens"),
    [
        ({"status": "accepted"}, True),
        ({"status": "failed", "scope": "recipient"}, True),
        ({"status": "failed", "scope": "account"}, False),
    ],
)
def test_an_answer_of_the_provider_opens_it(changes: dict[str, Any], opens: bool) -> None:
    """Also one that refuses a person: somebody was reached. Not one that says again that nobody is."""
    gates = Gates()
    gates.mind(deferral("channel"), T0)
    assert gates.mind(answer(message_id(2), Stage.OUTCOME, "x", **changes), T0) == opens
    assert ("x" not in gates.closed) == opens


def test_other_channels_stay_as_they_are() -> None:
    """Neither closed nor opened."""
    gates = Gates()
    gates.mind(deferral("channel"), T0)
    assert not gates.mind(answer(message_id(2), Stage.OUTCOME, "y", status="accepted"), T0)
    assert list(gates.closed) == ["x"]


def test_a_hold_closes_it_only_for_a_moment() -> None:
    """So that a release counts soon, whatever the sink said."""
    gates = Gates()
    gates.mind(answer(message_id(1), Stage.DEFERRED, "x", reason="held", scope="account", until=T0 + 10_000), T0)
    assert gates.closed["x"].until == T0 + SHORTEST_MS
