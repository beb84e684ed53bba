"""Times as people read them: RFC 3339 in UTC+8, to the millisecond. Pure."""

from datetime import datetime

from infra.clock import SHANGHAI


def rfc3339(at_ms: int) -> str:
    """UTC milliseconds as `2026-11-22T18:00:00.000+08:00`."""
    return datetime.fromtimestamp(at_ms / 1000, SHANGHAI).isoformat(timespec="milliseconds")
