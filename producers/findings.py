"""What an examination of foreign bytes has to say: findings with a place, a text and a remedy, in Chinese.

Made by the `check_*` modules, shown by `medpost check-record`. A finding never holds a value of the message or a token:
people paste findings into tickets.
"""

from enum import StrEnum

from msgspec import Struct


class Level(StrEnum):
    """How bad it is; only an error makes the record unusable."""

    ERROR = "error"
    WARNING = "warning"
    OK = "ok"


class Finding(Struct, frozen=True):
    """One thing that was looked at: `place` is the part of the record, `remedy` what to do ("": nothing)."""

    level: Level
    place: str
    text: str
    remedy: str = ""


def error(place: str, text: str, remedy: str = "") -> Finding:
    """Something for which the record would be refused, or would do harm."""
    return Finding(Level.ERROR, place, text, remedy)


def warning(place: str, text: str, remedy: str = "") -> Finding:
    """Something that is accepted and probably not meant."""
    return Finding(Level.WARNING, place, text, remedy)


def fine(place: str, text: str) -> Finding:
    """Something that is as it should be."""
    return Finding(Level.OK, place, text)
