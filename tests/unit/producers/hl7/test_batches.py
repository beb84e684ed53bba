import pytest

from producers.hl7.framing import Frame, Framer
from schemas.errors import Reason

ONE, TWO = b"MSH|^~\\&|A|||||||C1\r", b"MSH|^~\\&|A|||||||C2\r"


def frames(raw: bytes) -> list[Frame]:
    """All frames of these bytes."""
    framer = Framer()
    return [*framer.feed(raw), *framer.finish()]


@pytest.mark.parametrize(
    ("raw", "complaints"),
    [
        (b"BHS|^~\\&\r" + ONE + TWO + b"BTS|2\r", []),
        (b"BHS|^~\\&\r" + ONE + TWO + b"BTS|3\r", ["BTS-1 counts 3 messages, and 2 came"]),
        (b"BHS|^~\\&\r" + ONE + TWO + b"BTS|1|note\r", ["BTS-1 counts 1 messages, and 2 came"]),
        (b"BHS#*~\\&\r" + ONE + b"BTS#2\r", ["BTS-1 counts 2 messages, and 1 came"]),
        (ONE + b"BTS|2\r", ["BTS-1 counts 2 messages, and 1 came"]),
        (b"FHS|\rBHS|\r" + ONE + b"BTS|1\rBHS|\r" + TWO + b"BTS|1\rFTS|2\r", []),
        (b"FHS|\rBHS|\r" + ONE + b"BTS|1\rFTS|2\r", ["FTS-1 counts 2 batches, and 1 came"]),
        (b"FHS|\rBHS|\r" + ONE + b"BTS|1\rFTS|1\rFHS|\rBHS|\r" + TWO + b"BTS|1\rFTS|1\r", []),
        (b"FHS|\r" + ONE + TWO + b"FTS|2\r", []),
        (b"FHS|\r" + ONE + TWO + b"FTS|1\r", []),
        (b"FHS|\r" + ONE + TWO + b"FTS|7\r", ["FTS-1 counts 7 batches, and 2 came"]),
        (b"BHS|\r" + ONE + b"BTS||\rFTS|\r", []),
        (b"BHS|\r" + ONE + b"BTS|many\r", []),
        (b"BHS|\r" + ONE + b"BTS|" + b"9" * 5000 + b"\r", []),
        (b"FHS|\rBHS|\r" + ONE, []),
    ],
)
def test_a_trailer_is_held_against_what_came(raw: bytes, complaints: list[str]) -> None:
    """A count that is wrong is a refusal of its own, and every message is read; no count promises nothing."""
    found = frames(raw)
    assert [frame.refused.detail.split(":")[0] for frame in found if frame.refused] == complaints
    assert [frame.raw + b"\r" for frame in found if not frame.refused] == ([ONE, TWO] if TWO in raw else [ONE])
    assert [frame.number for frame in found] == list(range(1, len(found) + 1))


def test_a_refused_message_came_too() -> None:
    """What is too large or has no type was sent: the count is right, and says nothing about it."""
    assert not [frame for frame in frames(b"BHS|\rMSH|^~\\&\r" + ONE + b"BTS|2\r") if frame.refused]


def test_the_remedy_speaks_of_the_sender() -> None:
    """What is missing can only be sent again by whoever has it."""
    (_, trailer) = frames(ONE + b"BTS|2\r")
    assert trailer.refused is not None
    assert (trailer.refused.reason, "sender" in trailer.refused.remedy) == (Reason.PARAM_INVALID, True)
