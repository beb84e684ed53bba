"""Writes the files of the sample day anew: `python -m console.sample.day`, by hand, when the day changes.

A test compares the files with what is made here. Deterministic: no clock, no chance. Never sends anything.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from console.sample.day.bytes_of import batch, joined, lines, mllp, with_repeat
from console.sample.day.messages import (
    appointments,
    critical_values,
    exam_reports,
    lab_reports,
    queue_calls,
    registrations,
)
from console.sample.day.requests import bookings, follow_ups, report_request
from console.sample.day.spoiled import bad_messages, bad_requests

EVENTS: Final = Path(__file__).parent.with_name("events")

FILES: Final[dict[str, Callable[[], bytes]]] = {
    "his/adt-a04-registrations.hl7": lambda: joined(list(registrations()), "\r").encode(),
    "his/adt-a10-queue.hl7": lambda: mllp(queue_calls()),
    "his/siu-appointments.hl7": lambda: joined(list(appointments()), "\n").encode("utf-8-sig"),
    "his/follow-up.jsonl": lambda: lines(follow_ups()),
    "lis/oru-reports-gb18030.hl7": lambda: batch(
        with_repeat(list(lab_reports("gb18030", 50, 0))), "LIS", "\r\n"
    ).encode("gb18030"),
    "lis/oru-reports-utf8.hl7": lambda: joined(list(lab_reports("utf-8", 20, 50)), "\r").encode(),
    "lis/oru-critical-gb18030.hl7": lambda: joined(list(critical_values()), "\r").encode("gb18030"),
    "pacs/oru-reports.hl7": lambda: joined(list(exam_reports()), "\r").encode(),
    "booking/bookings.jsonl": lambda: lines(bookings()),
    "bad/messages.hl7": bad_messages,
    "bad/no-hl7.hl7": "姓名,项目\n甲,血常规\n".encode,
    "bad/requests.jsonl": lambda: lines(bad_requests()) + b"{not json\n" + b'{"type": "\xd5\xc5"}\n',
    "bad/unknown-app.jsonl": lambda: lines(iter([report_request("BAD-21", app_id="emr")])),
    "bad/wrong-key.jsonl": lambda: lines(iter([report_request("BAD-22")])),
    "bad/stale-token.jsonl": lambda: lines(iter([report_request("BAD-23")])),
}
"""Every file by its path below `events`, and what makes its bytes."""


def main() -> None:
    """Write all files anew."""
    for name, make in FILES.items():
        path = EVENTS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make())


if __name__ == "__main__":
    main()
