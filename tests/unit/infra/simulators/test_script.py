"""Scripts: which letters meet which fate, how often, and what magic recipients do without any."""

from typing import Any

import msgspec
import pytest

from infra.simulators.aliyun import Aliyun
from infra.simulators.exchange import Action
from infra.simulators.script import Script, Scripts

VENDOR = Aliyun()


def scripts(*told: dict[str, Any]) -> Scripts:
    """With these laid, one after the other."""
    made = Scripts()
    for one in told:
        made.lay(msgspec.convert(one, Script))
    return made


def fates(made: Scripts, recipient: str = "13800130000", count: int = 4) -> list[str]:
    """What happens to the next letters to a recipient."""
    return [made.action_for(VENDOR, recipient, f"k{number}").kind for number in range(count)]


def test_without_a_script_all_is_well() -> None:
    """For everybody who is not magic."""
    assert fates(scripts()) == ["ok"] * 4


def test_the_newest_script_that_fits_decides() -> None:
    """By the end of the recipient and by the provider."""
    made = scripts(
        {"action": "hang"}, {"action": "cut", "match": "0031"}, {"action": "garbage", "provider": "standard"}
    )
    assert fates(made, "13800130031", 1) == ["cut"]
    assert fates(made, "13800130032", 1) == ["hang"]


def test_times_are_used_up() -> None:
    """Then the next one down is asked."""
    made = scripts({"action": "cut", "times": 1}, {"action": "throttle", "times": 2})
    assert fates(made) == ["throttle", "throttle", "cut", "ok"]


def test_a_rate_meets_about_its_part_and_always_the_same_letters() -> None:
    """Chance comes from the key."""
    made = scripts({"action": "cut", "rate": 0.25})
    found = [made.action_for(VENDOR, "13800130000", f"k{number}").kind for number in range(2_000)]
    again = [made.action_for(VENDOR, "13800130000", f"k{number}").kind for number in range(2_000)]
    assert 400 < found.count("cut") < 600
    assert found == again


def test_a_code_and_a_delay_travel_with_the_action() -> None:
    """As the provider needs them."""
    made = scripts({"action": "slow_ms", "ms": 50}, {"action": "code", "code": "isv.X", "times": 1})
    assert made.action_for(VENDOR, "13800130000", "k") == Action("code", "isv.X", 0)
    assert made.action_for(VENDOR, "13800130000", "k") == Action("slow", "", 50)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"action": "explode"},
        {"action": "code"},
        {"action": "forget"},
        {"action": "slow_ms"},
        {"action": "ok", "times": 0},
        {"action": "ok", "rate": 1.5},
        {"action": "ok", "colour": "red"},
        {"action": "ok", "match": ""},
    ],
)
def test_a_script_that_makes_no_sense_is_refused(told: dict[str, Any]) -> None:
    """Before it is laid."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(told, Script)


def test_magic_recipients_need_no_script() -> None:
    """The sixth refuses twice and then takes, again and again; a script goes before magic."""
    assert fates(scripts(), "13800000006", 6) == ["code", "code", "ok"] * 2
    assert fates(scripts(), "13800000008", 1) == ["cut"]
    assert fates(scripts({"action": "ok"}), "13800000008", 1) == ["ok"]


def test_cleared_scripts_are_gone() -> None:
    """And magic begins anew."""
    made = scripts({"action": "cut"})
    fates(made, "13800000006", 1)
    made.clear()
    assert fates(made, "13800000006", 3) == ["code", "code", "ok"]


def test_a_named_rule_is_replaced_and_forgotten() -> None:
    """An outage begins and ends without touching the other rules."""
    made = scripts(
        {"action": "cut", "match": "7"},
        {"action": "code", "code": "isv.X", "name": "outage"},
        {"action": "code", "code": "isv.Y", "name": "outage"},
    )
    assert made.action_for(VENDOR, "13800130007", "k") == Action("code", "isv.Y", 0)
    made.lay(Script(action="forget", name="outage"))
    assert made.action_for(VENDOR, "13800130007", "k") == Action("cut", "", 0)
    assert made.action_for(VENDOR, "13800130000", "k") == Action()
