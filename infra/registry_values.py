"""The values in registry files: durations, times of day, names; and the base of every form.

Used by the forms. Durations carry their unit as text (`30s`), so that a wrong unit cannot pass for a number; what YAML
made something else of is named, not guessed.
"""

import re
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from schemas.limits import NAME
from schemas.topics import DAY_MS

UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}
MAX_LIFE_MS: Final = 400 * DAY_MS
_DURATION: Final = re.compile(r"([1-9][0-9]*)(ms|s|m|h|d)")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def wrong(text: str) -> PydanticCustomError:
    """A refusal with our own words."""
    return PydanticCustomError("medpost", "{text}", {"text": text})


def duration_ms(value: object) -> int:
    """`500ms`, `30s`, `5m`, `24h` or `3d` as milliseconds; a number without unit is refused."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise wrong("时长须带单位，例如 500ms、30s、10m、24h、3d")
    return int(match[1]) * UNITS_MS[match[2]]


def _quoted(value: object) -> object:
    """YAML reads 01 as a number and `on` as a truth: a text that became something else is named, not guessed."""
    if isinstance(value, str) or value is None:
        return value
    raise wrong("须为文本：请加引号")


def minute_of_day(value: object) -> int:
    """`07:30` as minutes since midnight."""
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise wrong('时刻须为加引号的 "HH:MM"，例如 "07:30"')
    return int(match[1]) * 60 + int(match[2])


def quiet_hours(value: object) -> tuple[int, int]:
    """`21:00-07:00` as two minutes of the day; they may run over midnight."""
    parts = value.split("-") if isinstance(value, str) else []
    if len(parts) != 2 or not all(map(_CLOCK.fullmatch, parts)) or parts[0] == parts[1]:
        raise wrong('免打扰时段须为加引号的 "HH:MM-HH:MM"，首尾不同，例如 "21:00-07:00"')
    return minute_of_day(parts[0]), minute_of_day(parts[1])


Duration = Annotated[int, BeforeValidator(duration_ms), Field(le=MAX_LIFE_MS)]
Minute = Annotated[int, BeforeValidator(minute_of_day)]
QuietHours = Annotated[tuple[int, int], BeforeValidator(quiet_hours)]
Text = Annotated[str, BeforeValidator(_quoted)]
Name = Annotated[Text, StringConstraints(pattern=f"^{NAME.pattern}$")]
ChannelName = Annotated[Text, StringConstraints(pattern=r"^[a-z0-9]{1,32}$")]
Variable = Annotated[Text, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]
Status = Literal["enabled", "disabled"]
Level = Literal["accepted", "delivered", "read", "acknowledged"]


class Form(BaseModel):
    """Base of every form."""

    model_config = ConfigDict(extra="forbid", frozen=True)
