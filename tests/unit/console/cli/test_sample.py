"""What the sample run shows of the phones."""

from console.cli.sample import by_turns
from console.sample.phone import Received


def test_a_few_messages_show_every_channel() -> None:
    """One of each first, in the order of their arrival, and none is left out."""
    received = [Received(seq, 0, channel, "x") for seq, channel in enumerate(["sms", "sms", "sms", "email", "wechat"])]
    assert [one.seq for one in by_turns(received)] == [0, 3, 4, 1, 2]
