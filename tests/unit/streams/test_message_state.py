"""The state of a message: made from its first event, the same after a trip to the disk."""

from schemas.statuses import Stage
from streams.message_state import Phase, by_weight, find, first_state, pack, unpack
from tests.factories import T0, accepted, answer, message_id, plan, plan_channel

ID = message_id(1)


def test_first_state_takes_policy_and_identity_from_the_event() -> None:
    """Everything later events and the completed one need is in it; addresses and texts are not."""
    state = first_state(accepted(ID, plan(0.5, send_at=T0 + 5)))
    assert (state.app_id, state.type, state.accepted_at, state.send_at) == ("his", "lab_report", T0, T0 + 5)
    assert [channel.channel for channel in state.channels] == ["x", "y", "z"]
    assert b"sealed" not in pack(state)


def test_channels_stand_by_weight_then_in_the_order_of_the_registry() -> None:
    """Highest first; equal ones stay as they are listed."""
    listed = [plan_channel("low", 0.1), plan_channel("b", 0.5), plan_channel("a", 0.5), plan_channel("top", 1.0)]
    assert [channel.channel for channel in by_weight(plan(channels=listed))] == ["top", "b", "a", "low"]


def test_unusable_channels_are_skipped_from_the_beginning() -> None:
    """With intake's reason."""
    state = first_state(accepted(ID, plan(channels=[plan_channel("x", 0.9, skip="recipient_unknown")])))
    assert (state.channels[0].phase, state.channels[0].reason) == (Phase.SKIPPED, "recipient_unknown")


def test_a_state_survives_the_disk() -> None:
    """Packed and unpacked it is equal."""
    state = first_state(accepted(ID, plan(0.5)))
    assert unpack(pack(state)) == state


def test_rows_of_an_older_version_are_read() -> None:
    """A row that lacks the newest fields, which stand at the end, gets their defaults."""
    state = first_state(accepted(ID, plan(0.5)))
    older = pack([*_fields(state)[:-2]])
    assert unpack(older) == state


def _fields(state: object) -> list[object]:
    import msgspec

    return list(msgspec.msgpack.decode(pack(state)))


def test_an_event_without_plan_makes_a_message_without_channels() -> None:
    """It ends as failed for want of a channel, and is not lost."""
    assert first_state(answer(ID, Stage.ACCEPTED, "")).channels == []


def test_find_by_name() -> None:
    """The channel, or None."""
    state = first_state(accepted(ID, plan(0.5)))
    assert find(state, "y") is state.channels[1]
    assert find(state, "fax") is None
