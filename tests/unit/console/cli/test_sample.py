"""What the sample run shows of the phones."""

from console.cli.sample import by_turns, counted
from console.sample.phone import Received


def test_a_few_messages_show_every_channel() -> None:
    """One of each first, in the order of their arrival, and none is left out."""
    received = [Received(seq, 0, channel, "x") for seq, channel in enumerate(["sms", "sms", "sms", "email", "wechat"])]
    assert [one.seq for one in by_turns(received)] == [0, 3, 4, 1, 2]


def test_what_arrived_is_counted_by_channel() -> None:
    """Also a channel that no message of the outcomes' table is counted under."""
    received = [Received(seq, 0, channel, "x") for seq, channel in enumerate(["email", "sms", "sms"])]
    assert counted(received) == "共收到 3 条：sms 2、email 1"
    assert counted([]) == "共收到 0 条"
