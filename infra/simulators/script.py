"""What a simulated provider does with a letter it is willing to take: by script, else by the recipient's magic digits.

Scripts are laid by `POST /sim/script` and asked newest first. Pure: chance is derived from the letter's key, so the
same letter meets the same fate.
"""

import zlib
from collections import Counter
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from infra.simulators.exchange import Action, Provider

TRANSIENT_TAIL: Final = "0006"
TRANSIENT_TIMES: Final = 2
"""A recipient ending in 0006 is refused twice, then taken, and so on."""
EVERYBODY: Final = "*"


class Script(Struct, forbid_unknown_fields=True):
    """One rule: which letters (`match`: end of the recipient, or `*`), how often, and what happens to them.

    A rule with a `name` takes the place of the one that had it; `forget` only takes that one away.
    """

    action: Literal["ok", "code", "throttle", "hang", "cut", "garbage", "slow_ms", "forget"]
    provider: str = EVERYBODY
    match: Annotated[str, Meta(min_length=1)] = EVERYBODY
    times: Annotated[int, Meta(ge=1)] | None = None
    rate: Annotated[float, Meta(gt=0, le=1)] | None = None
    code: str = ""
    ms: Annotated[int, Meta(ge=0, le=600_000)] = 0
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse a rule that lacks what its action needs."""
        if self.action == "code" and not self.code:
            raise ValueError("action code needs a code")
        if self.action == "slow_ms" and not self.ms:
            raise ValueError("action slow_ms needs ms")
        if self.action == "forget" and not self.name:
            raise ValueError("action forget needs the name of a rule")

    def fits(self, provider: str, recipient: str, key: str) -> bool:
        """Whether the rule is about this letter."""
        if self.provider not in (EVERYBODY, provider):
            return False
        if self.match != EVERYBODY and not (recipient.endswith(self.match) or f"{self.match}@" in recipient):
            return False
        return self.rate is None or zlib.crc32(f"{key}{recipient}".encode()) % 10_000 < self.rate * 10_000


class Scripts:
    """All rules in force, and how often the magic recipients were met."""

    def __init__(self) -> None:
        self._scripts: list[Script] = []
        self._met: Counter[tuple[str, str]] = Counter()

    def lay(self, script: Script) -> None:
        """A new rule, asked before the older ones."""
        if script.name:
            self._scripts = [one for one in self._scripts if one.name != script.name]
        if script.action != "forget":
            self._scripts.insert(0, script)

    def clear(self) -> None:
        """No rule any more."""
        self._scripts.clear()
        self._met.clear()

    def action_for(self, provider: Provider, recipient: str, key: str) -> Action:
        """What happens to a letter to `recipient` now; uses up one time of the rule that says so."""
        script = next((script for script in self._scripts if script.fits(provider.name, recipient, key)), None)
        if script is None:
            return self._by_magic(provider, recipient)
        if script.times is not None:
            script.times -= 1
            if not script.times:
                self._scripts.remove(script)
        return Action("slow" if script.action == "slow_ms" else script.action, script.code, script.ms)

    def _by_magic(self, provider: Provider, recipient: str) -> Action:
        tail = provider.magic_tail(recipient)
        action = provider.magic.get(tail, Action())
        if tail != TRANSIENT_TAIL:
            return action
        met = self._met[provider.name, recipient]
        self._met[provider.name, recipient] += 1
        return Action() if met % (TRANSIENT_TIMES + 1) == TRANSIENT_TIMES else action
