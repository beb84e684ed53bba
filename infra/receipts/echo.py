"""The name of an attempt that a provider echoes in its receipts: message id, attempt, replay and provider key.

Written by the channels (Aliyun's `OutId`, Tencent's `SessionContext`), read back from receipts. The channel is not in
it: a receipt comes over the account that the message went out by, and that belongs to one channel. Pure.
"""

import re
from typing import Final

from msgspec import Struct

from schemas.records import Delivery

ECHO_CHARS: Final = 32 + 1 + 10 + 1 + 19 + 1 + 32
"""Length of the longest; Aliyun takes 255 characters, Tencent 511 bytes."""
_ECHO: Final = re.compile(r"([0-9a-f]{32})\.([0-9]{1,10})\.([0-9]{1,19})\.([0-9a-f]{32})")


class Echo(Struct, frozen=True):
    """One attempt, as its echo names it; ids and keys are 16 bytes."""

    message_id: bytes
    attempt: int
    replay_id: int
    provider_key: bytes


def echo_of(delivery: Delivery) -> str:
    """Names our attempt in receipts: ASCII, without a separator that a vendor might use itself."""
    return echo_text(Echo(delivery.message_id, delivery.attempt, delivery.replay_id, delivery.provider_key))


def echo_text(echo: Echo) -> str:
    """The same for an attempt that is known by its ids."""
    return f"{echo.message_id.hex()}.{echo.attempt}.{echo.replay_id}.{echo.provider_key.hex()}"


def read_echo(text: str) -> Echo | None:
    """The attempt that an echo names; None for what we never wrote."""
    found = _ECHO.fullmatch(text)
    if found is None:
        return None
    return Echo(bytes.fromhex(found[1]), int(found[2]), int(found[3]), bytes.fromhex(found[4]))
