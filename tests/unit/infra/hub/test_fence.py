"""The fence by hand-turned time: only the sending of an answered heartbeat counts."""

from infra.hub.fence import Fence


class Hand:
    """A monotonic clock turned by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Its time."""
        return self.now_s


def fence_and_hand() -> tuple[Fence, Hand]:
    """A fence with a session of 6 s."""
    hand = Hand()
    return Fence(6.0, hand), hand


def test_is_not_fresh_before_the_first_answer() -> None:
    """A worker that never joined owns nothing."""
    fence, _ = fence_and_hand()
    assert not fence.is_fresh()
    assert fence.age_s() == float("inf")


def test_is_fresh_for_half_a_session_after_sending() -> None:
    """Half of 6 s, counted from when the heartbeat left."""
    fence, hand = fence_and_hand()
    fence.answered(100.0)
    hand.now_s = 102.99
    assert fence.is_fresh()
    hand.now_s = 103.0
    assert not fence.is_fresh()


def test_an_answer_read_after_a_freeze_proves_nothing() -> None:
    """The heartbeat left at 100 s, the process froze, and reads the answer at 110 s."""
    fence, hand = fence_and_hand()
    hand.now_s = 110.0
    fence.answered(100.0)
    assert not fence.is_fresh()


def test_a_late_old_answer_does_not_make_it_older() -> None:
    """Answers may be noted out of order."""
    fence, _ = fence_and_hand()
    fence.answered(99.0)
    fence.answered(90.0)
    assert fence.is_fresh()


def test_is_not_fresh_after_the_coordinator_forgot_us() -> None:
    """UNKNOWN_MEMBER_ID closes the fence at once."""
    fence, _ = fence_and_hand()
    fence.answered(100.0)
    fence.lost()
    assert not fence.is_fresh()


async def test_waiting_ends_when_fresh() -> None:
    """A handler goes on as soon as the next heartbeat is answered."""
    fence, _ = fence_and_hand()
    asked: list[bool] = []

    def answer_at_the_third_look() -> bool:
        asked.append(True)
        if len(asked) == 3:
            fence.answered(100.0)
        return False

    assert await fence.wait_fresh(answer_at_the_third_look)
    assert len(asked) == 3


async def test_waiting_ends_when_given_up() -> None:
    """Given up counts more than fresh."""
    fence, _ = fence_and_hand()
    fence.answered(100.0)
    assert not await fence.wait_fresh(lambda: True)
