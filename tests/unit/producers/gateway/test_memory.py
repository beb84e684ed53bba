import msgspec

from producers.gateway.memory import Memory, Taken, digest_of
from producers.gateway.models import MessageBody, SourceBody

BODY = MessageBody(type="lab_report", personalisation={"a": "1", "b": "2"}, reference="r")


def test_a_repeat_is_known_from_a_conflict() -> None:
    """The order of members, the id and the source are not what is asked for."""
    same = msgspec.structs.replace(
        BODY, personalisation={"b": "2", "a": "1"}, message_id="x", source=SourceBody(system="LIS")
    )
    other = msgspec.structs.replace(BODY, personalisation={"a": "1", "b": "3"})
    assert digest_of(same) == digest_of(BODY) != digest_of(other)
    memory = Memory()
    memory.note("id", Taken("his", digest_of(BODY), 7))
    assert not memory.is_conflict("id", "his", digest_of(same))
    assert memory.is_conflict("id", "his", digest_of(other))
    assert memory.is_conflict("id", "lis", digest_of(BODY))
    assert not memory.is_conflict("other", "his", digest_of(other))


def test_the_oldest_is_forgotten_first_and_only_the_owner_sees_it() -> None:
    """Bounded; a repeat makes young again."""
    memory = Memory(kept=2)
    for name in ("a", "b", "a", "c"):
        memory.note(name, Taken("his", b"", 7))
    assert [memory.taken_at_ms(name, "his") for name in ("a", "b", "c")] == [7, None, 7]
    assert memory.taken_at_ms("a", "lis") is None
