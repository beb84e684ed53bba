"""What the booking platform and the follow-up clerk send as JSON lines on the sample day."""

from collections.abc import Iterator
from typing import Any

from console.sample.day.messages import patients
from console.sample.day.vocabulary import CLINICS, DAY, EXAMS, PREPARATIONS, QUESTIONS


def bookings() -> Iterator[dict[str, Any]]:
    """Booking platform: 20 examinations booked, 10 clinics that do not take place."""
    for number, patient in enumerate(patients(20, 30)):
        preparation = PREPARATIONS[number % 6]
        yield {
            "app_id": "booking",
            "type": "exam_booked",
            "reference": f"BK{DAY}-{number:03}",
            "recipient": {"id_type": "patient_id", "id_value": patient},
            "personalisation": {
                "item": EXAMS[number % len(EXAMS)][1],
                "exam_time": f"2026-08-06 {8 + number % 9:02}:00",
                "location": f"影像楼{number % 3 + 1}层",
                **({"preparation": preparation} if preparation else {}),
            },
            "source": {"system": "BOOKING", "event": "exam.booked"},
        }
    for number, patient in enumerate([*patients(9, 15), "P9006"]):
        _, clinic, doctor, _, _ = CLINICS[number % len(CLINICS)]
        yield {
            "app_id": "booking",
            "type": "visit_cancelled",
            "reference": f"BC{DAY}-{number:03}",
            "recipient": {"id_type": "patient_id", "id_value": patient},
            "personalisation": {"department": clinic, "doctor": doctor, "visit_date": "2026-08-04"},
            "source": {"system": "BOOKING", "event": "visit.cancelled"},
        }


def follow_ups() -> Iterator[dict[str, Any]]:
    """HIS: 30 follow-up questions, of which nobody is in a hurry."""
    for number in range(30):
        yield {
            "app_id": "his",
            "type": "follow_up",
            "reference": f"FU{DAY}-{number:03}",
            "recipient": {"id_type": "mobile", "id_value": f"138000010{number + 1:02}"},
            "personalisation": {
                "department": CLINICS[number % len(CLINICS)][1],
                "question": QUESTIONS[number % len(QUESTIONS)],
                "due_date": "2026-08-10",
            },
            "source": {"system": "HIS", "event": "follow_up.due"},
        }


def report_request(reference: str, **changes: Any) -> dict[str, Any]:
    """A good laboratory report as JSON, with changes that spoil it (None removes a member)."""
    good = {
        "app_id": "lis",
        "type": "lab_report",
        "reference": reference,
        "recipient": {"id_type": "patient_id", "id_value": "P0001"},
        "personalisation": {"item": "血常规", "report_time": "2026-08-03 10:00"},
    }
    return {name: value for name, value in (good | changes).items() if value is not None}
