"""Lines and flights follow the states, whatever a channel does next."""

from pathlib import Path

import pytest

from infra.state import Rows, Store
from streams.census import Census, Counts
from streams.keys import Keys
from streams.message_state import ChannelState, MessageState, Phase
from streams.rows import Row
from streams.standing import Standing, stands
from streams.waiting import WaitingLines

KEYS = Keys(2, 0)
ID = (7).to_bytes(16, "big")
SEQ = 40


class Bench:
    """One message with one channel, as it is told to stand."""

    def __init__(self, folder: Path) -> None:
        self.lines = WaitingLines(Store(folder / "db"), KEYS, [])
        self.census = Census(Counts())
        self.taken = {(ID, "sms")}
        self.standing = Standing(self.lines, self.census, self.taken, {"sms": 3})
        self.channel = ChannelState("sms", 1.0, 1, 1_000, seq=SEQ)
        self.row = Row(MessageState("his", "t", 0, channels=[self.channel]))

    def move(self, phase: int, until: int = 0) -> None:
        """The channel stands so now."""
        before = stands(self.row.state)
        self.channel.phase, self.channel.until = phase, until
        self.standing.moved(Rows(), ID, self.row, before)

    @property
    def waiting(self) -> int:
        """How many are in the line."""
        return sum(self.lines.backlog().values())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Nothing has happened."""
    return Bench(tmp_path)


def test_who_is_issued_leaves_the_line_and_is_under_way(bench: Bench) -> None:
    """And comes back down when the outcome is there."""
    bench.move(Phase.WAITING)
    assert (bench.waiting, bench.standing.in_flight["sms"]) == (1, 3)
    bench.move(Phase.ISSUED)
    assert (bench.waiting, bench.standing.in_flight["sms"], bench.taken) == (0, 4, set())
    bench.move(Phase.SENDING)
    assert bench.standing.in_flight["sms"] == 4
    bench.move(Phase.SUCCEEDED)
    assert (bench.standing.in_flight["sms"], bench.census.in_flight["sms", "his"]) == (3, 0)


def test_who_is_deferred_is_let_in_once_its_time_has_come(bench: Bench) -> None:
    """Once, however often it is asked; another moment takes it out again."""
    bench.move(Phase.DEFERRED, until=1_000)
    for upto_ms, waiting in ((999, 0), (1_000, 1), (1_500, 1)):
        bench.standing.release(Rows(), ID, bench.row, upto_ms, upto_ms + 40)
        assert bench.waiting == waiting
    assert bench.standing.late_ms == [40]
    bench.move(Phase.DEFERRED, until=2_000)
    assert (bench.waiting, bench.row.released) == (0, 0)


def test_the_same_moment_again_changes_nothing(bench: Bench) -> None:
    """It keeps its place in the line."""
    bench.move(Phase.DEFERRED, until=1_000)
    bench.standing.release(Rows(), ID, bench.row, 1_000, 1_000)
    bench.move(Phase.DEFERRED, until=1_000)
    assert (bench.waiting, bench.row.released) == (1, 1)
