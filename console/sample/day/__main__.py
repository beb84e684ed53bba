"""Writes the files of the sample day anew: `python -m console.sample.day`, by hand, when the day changes.

A test compares the files with what is made here. Deterministic: no clock, no chance. Never sends anything.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from console.sample.day.bytes_of import batch, joined, lines, mllp, with_repeat
from console.sample.day.departments import (
    checkups,
    discharges,
    dispenses,
    invoices,
    orders,
    prenatals,
    refunds,
    surgeries,
)
from console.sample.day.messages import (
    appointments,
    critical_values,
    exam_reports,
    lab_reports,
    queue_calls,
    registrations,
)
from console.sample.day.requests import (
    adverse_events,
    blood_notices,
    bookings,
    follow_ups,
    payments,
    report_request,
    ward_notices,
)
from console.sample.day.spoiled import bad_messages, bad_requests

EVENTS: Final = Path(__file__).parent.with_name("events")

FILES: Final[dict[str, Callable[[], bytes]]] = {
    "his/adt-a04-registrations.hl7": lambda: joined(list(registrations()), "\r").encode(),
    "his/adt-a10-queue.hl7": lambda: mllp(queue_calls()),
    "his/siu-appointments.hl7": lambda: joined(list(appointments()), "\n").encode("utf-8-sig"),
    "his/adt-a11-refunds.hl7": lambda: joined(list(refunds()), "\r\n").encode(),
    "lis/oru-reports-gb18030.hl7": lambda: batch(
        with_repeat(list(lab_reports("gb18030", 50, 0))), "LIS", "\r\n"
    ).encode("gb18030"),
    "lis/oru-reports-utf8.hl7": lambda: joined(list(lab_reports("utf-8", 20, 50)), "\r").encode(),
    "lis/oru-critical-gb18030.hl7": lambda: joined(list(critical_values()), "\r").encode("gb18030"),
    "pacs/oru-reports.hl7": lambda: joined(list(exam_reports()), "\r").encode(),
    "booking/bookings.jsonl": lambda: lines(bookings()),
    "cashier/dft-invoices-gb18030.hl7": lambda: batch(list(invoices()), "BILL", "\r").encode("gb18030"),
    "cashier/payments.jsonl": lambda: lines(payments()),
    "emr/orm-orders.hl7": lambda: mllp(orders()),
    "emr/mdm-documents.hl7": lambda: joined(list(discharges()), "\r").encode(),
    "surgery/siu-progress-gb18030.hl7": lambda: joined(list(surgeries()), "\r").encode("gb18030"),
    "obstetrics/siu-prenatal.hl7": lambda: joined(list(prenatals()), "\n").encode(),
    "pharmacy/rds-dispensed.hl7": lambda: joined(list(dispenses()), "\r").encode(),
    "pharmacy/adverse.jsonl": lambda: lines(adverse_events("pharmacy", 2, "S011")),
    "followup/follow-up.jsonl": lambda: lines(follow_ups()),
    "nursing/notices.jsonl": lambda: lines(ward_notices()),
    "nursing/adverse.jsonl": lambda: lines(adverse_events("nursing", 6, "S012")),
    "checkup/oru-reports-gb18030.hl7": lambda: joined(list(checkups()), "\r\n").encode("gb18030"),
    "blood/ready.jsonl": lambda: lines(blood_notices()),
    "blood/adverse.jsonl": lambda: lines(adverse_events("blood", 2, "S013")),
    "bad/messages.hl7": bad_messages,
    "bad/no-hl7.hl7": "姓名,项目\n甲,血常规\n".encode,
    "bad/requests.jsonl": lambda: lines(bad_requests()) + b"{not json\n" + b'{"type": "\xd5\xc5"}\n',
    "bad/unknown-app.jsonl": lambda: lines(iter([report_request("BAD-21", app_id="archive")])),
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
