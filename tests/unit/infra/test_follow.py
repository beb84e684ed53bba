"""A topic followed by a thread: handed over in order, ready at its end, begun again after the broker failed."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from infra import follow
from infra.follow import Follower
from infra.kafka import LogRecord
from infra.settings import Settings
from schemas import topics
from schemas.errors import UnavailableError


class Reader:
    """In the place of the reader of logs: fails first, then plays two records, then waits to be stopped."""

    made = 0

    def __init__(self, bootstrap: str) -> None:
        assert bootstrap == "nowhere:0"
        Reader.made += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def follow(
        self,
        topic: str,
        on_record: Callable[[LogRecord], None],
        is_stopped: Callable[[], bool],
        on_caught_up: Callable[[], None],
    ) -> None:
        """Play."""
        assert topic == "north.config.holds"
        if Reader.made == 1:
            raise UnavailableError("the broker is away")
        if Reader.made == 2:
            raise RuntimeError("a defect")
        for offset in range(2):
            on_record(LogRecord(topic, 0, offset, 0, b"k", b"v", ()))
        on_caught_up()
        while not is_stopped():
            pass


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A namespace, and no broker."""
    Reader.made = 0
    monkeypatch.setattr(follow, "LogReader", Reader)
    monkeypatch.setattr(follow, "RETRY_S", 0.0)
    return Settings(home=tmp_path, kafka="nowhere:0", namespace="north")


def test_it_begins_again_until_it_is_ready(settings: Settings) -> None:
    """Neither an absent broker nor a defect ends it; what was laid is laid in order."""
    laid: list[int] = []
    follower = Follower(settings, topics.HOLDS, lambda record: laid.append(record.offset))
    follower.start()
    follower.wait_ready(5.0)
    follower.close()
    assert (laid, Reader.made, follower.is_ready) == ([0, 1], 3, True)


def test_who_waits_is_told_what_cannot_be_read(settings: Settings) -> None:
    """Closing what never began is nothing."""
    follower = Follower(settings, topics.HOLDS, lambda _: None)
    with pytest.raises(UnavailableError, match=r"config\.holds"):
        follower.wait_ready(0.0)
    follower.close()
    assert not follower.is_ready
