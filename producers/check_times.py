"""Whether a number of a message is a time in UTC milliseconds, or one in another unit, another zone, or none.

Called by `producers.check_fields`; pure, the time now is handed in. It shows units and distances, never a date of
anybody.
"""

from collections.abc import Iterator
from typing import Final

from infra.clock import SHANGHAI_MS
from producers.findings import Finding, error, warning
from schemas.limits import MAX_AHEAD_MS

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
CLOCK_MS: Final = 2 * MINUTE_MS
"""By how much a sender's clock may be ahead before it is named."""
REMEDY: Final = "时间一律为 1970-01-01 UTC 起的毫秒数（Java：Instant.now().toEpochMilli()）"

UNITS: Final[tuple[tuple[int, int, str], ...]] = (
    (10**9, 10**11, "秒"),
    (10**15, 10**17, "微秒"),
    (10**17, 10**18, ".NET 的 100 纳秒刻度（DateTime.Ticks）"),
    (10**18, 10**20, "纳秒"),
)
"""A number from the first up to the second is a time of our days in that unit."""
OLDEST_MS: Final = 10**12
"""September 2001: before it no message of a hospital was made."""
NEWEST_MS: Final = 10**13 // 2
"""The year 2128."""
DIGITS: Final = (19_700_101, 99_991_231)
DIGITS_LONG: Final = (19_700_101_000_000, 99_991_231_235_959)


def check(name: str, value: int) -> Iterator[Finding]:
    """What is wrong with the unit of a time, if anything."""
    if OLDEST_MS <= value < NEWEST_MS:
        return
    unit = next((word for low, high, word in UNITS if low <= value < high), "")
    if DIGITS_LONG[0] <= value <= DIGITS_LONG[1] or DIGITS[0] <= value <= DIGITS[1]:
        yield error(f"字段 {name}", "看来是写成数字的日期（yyyyMMddHHmmss）", REMEDY)
    elif unit:
        yield error(f"字段 {name}", f"看来是{unit}，须为毫秒", REMEDY)
    else:
        yield error(f"字段 {name}", "不是近年的毫秒时间", REMEDY)


def made(created_at: int, now_ms: int) -> Iterator[Finding]:
    """What a creation in the future says about the sender's clock or zone."""
    ahead_ms = created_at - now_ms
    if abs(ahead_ms - SHANGHAI_MS) <= CLOCK_MS:
        yield warning("字段 created_at", "比现在晚 8 小时：看来把北京时间当作了 UTC", REMEDY)
    elif ahead_ms > CLOCK_MS:
        yield warning("字段 created_at", f"比现在晚 {ahead_ms // SECOND_MS} 秒", "校准发送方的时钟")


def life(send_at: int | None, expires_at: int | None, now_ms: int) -> Iterator[Finding]:
    """What intake would say if the message arrived now."""
    if expires_at is not None and expires_at <= now_ms:
        yield error(
            "字段 expires_at", "已经过去：现在到达会被拒绝（expired）", "给出将来的时刻，或留空用类型的缺省期限"
        )
    if send_at is not None and send_at > now_ms + MAX_AHEAD_MS:
        yield error("字段 send_at", "在 400 天之后：会被拒绝（time_window）", "最多提前 400 天")
    if send_at is not None and expires_at is not None and expires_at <= max(send_at, now_ms) and expires_at > now_ms:
        yield error("字段 expires_at", "不晚于 send_at：会被拒绝（time_window）", "expires_at 须在 send_at 之后")
