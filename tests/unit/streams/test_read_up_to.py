"""Up to when the log is read: an answer holds once its end is passed, and a silent broker is asked again."""

import pytest

from schemas.errors import UnavailableError
from streams import read_up_to
from streams.read_up_to import ReadUpTo


class Broker:
    """Its log ends at 5; each `fault` is raised once, in order."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.answers = 0
        self.one = ReadUpTo(5, self.end_offset, self.answered)

    async def end_offset(self) -> int:
        """As asked."""
        if self.faults:
            raise self.faults.pop(0)
        return 5

    def answered(self) -> None:
        """Counts."""
        self.answers += 1


async def test_an_answer_holds_when_its_end_is_read() -> None:
    """Not one record earlier, and once."""
    broker = Broker()
    await broker.one.ask(1_000)
    assert (broker.answers, broker.one.is_idle) == (1, False)
    assert [broker.one.passed(position) for position in (4, 5, 5)] == [0, 1_000, 0]
    assert broker.one.is_idle


async def test_one_question_at_a_time() -> None:
    """From the moment it is asked, not from when it runs."""
    broker = Broker()
    asked = broker.one.ask(1_000)
    assert not broker.one.is_idle
    await asked


async def test_a_broker_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is passed meanwhile, and the owner is told that it may ask."""
    monkeypatch.setattr(read_up_to, "ASK_AGAIN_S", 0.0)
    broker = Broker(UnavailableError("away", "wait"))
    await broker.one.ask(1_000)
    assert (broker.answers, broker.one.is_idle, broker.one.passed(99)) == (1, True, 0)
    await broker.one.ask(2_000)
    assert broker.one.passed(5) == 2_000
