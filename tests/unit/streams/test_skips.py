"""Every cause of a skip has words of its own, in both languages, and none is about a person."""

from console.phrasebook import chinese
from infra.remark import causes_in, remark
from schemas.errors import Reason
from sinks.shift import CLOSED
from streams import skips
from streams.skips import USABLE, Skip

ALL = [one for one in vars(skips).values() if isinstance(one, Skip) and one is not USABLE]


def test_every_cause_is_told_in_chinese() -> None:
    """What a person at the console reads."""
    assert len(ALL) > 9
    for cause in [*(one.cause for one in ALL), CLOSED]:
        assert not chinese(cause).isascii()


def test_a_word_s_causes_differ_and_survive_the_remark() -> None:
    """`config_missing` has four of them."""
    causes = [one.cause for one in ALL]
    assert len({*causes}) == len(causes)
    assert [one.reason for one in ALL].count(Reason.CONFIG_MISSING) == 4
    for cause in causes:
        assert causes_in(remark("1/7", {"sms": cause})) == {"sms": cause}
