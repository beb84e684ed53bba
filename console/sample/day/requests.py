"""What the systems that speak JSON send as lines on the sample day: booking, follow-up, cashier, wards, blood bank.

Called by the program that writes the files. Every line names its application; none of them is sent from here.
"""

from collections.abc import Iterator
from typing import Any

from console.sample.day.messages import patients
from console.sample.day.vocabulary import (
    ADVERSES,
    BLOODS,
    CLINICS,
    DAY,
    EXAMS,
    FEES,
    PREPARATIONS,
    QUESTIONS,
    WARDS,
)


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
    """Follow-up: 30 questions, of which nobody is in a hurry."""
    for number in range(30):
        yield {
            "app_id": "followup",
            "type": "follow_up",
            "reference": f"FU{DAY}-{number:03}",
            "recipient": {"id_type": "mobile", "id_value": f"138000010{number + 1:02}"},
            "personalisation": {
                "department": CLINICS[number % len(CLINICS)][1],
                "question": QUESTIONS[number % len(QUESTIONS)],
                "due_date": "2026-08-10",
            },
            "source": {"system": "FOLLOWUP", "event": "follow_up.due"},
        }


def payments() -> Iterator[dict[str, Any]]:
    """Cashier: 14 bills that are not paid yet."""
    for number, patient in enumerate([*patients(12, 7), "P9001", "P9006"]):
        _, item, fee = FEES[number % len(FEES)]
        yield _line(
            ("cashier", "payment_due", f"PD{DAY}-{number:03}"),
            ("patient_id", patient),
            {
                "item": item,
                "amount": f"{fee / 100 + number:.2f}元",
                "department": CLINICS[number % len(CLINICS)][1],
            },
        )


def ward_notices() -> Iterator[dict[str, Any]]:
    """Nursing: 12 beds for patients, 10 infusions that end soon for the ward's workstation."""
    for number, patient in enumerate([*patients(11, 2), "P9009"]):
        yield _line(
            ("nursing", "bed_ready", f"NB{DAY}-{number:03}"),
            ("patient_id", patient),
            {"ward": WARDS[number % 8][1], "bed": f"{number + 11:02}", "report_by": "2026-08-04 10:00"},
        )
    for number, (_, ward) in enumerate(WARDS):
        yield _line(
            ("nursing", "infusion_ending", f"NI{DAY}-{number:03}"),
            ("staff_id", f"S{number + 1:03}"),
            {"ward": ward, "bed": f"{number * 3 + 2:02}", "remaining": f"{20 + number} 毫升"},
        )


def blood_notices() -> Iterator[dict[str, Any]]:
    """Blood bank: 8 matched components for the wards."""
    for number in range(8):
        component, units = BLOODS[number % len(BLOODS)]
        yield _line(
            ("blood", "blood_ready", f"BB{DAY}-{number:03}"),
            ("staff_id", f"S{number + 1:03}" if number < 7 else "S014"),
            {"ward": WARDS[number][1], "component": component, "units": units},
        )


def adverse_events(app_id: str, count: int, desk: str) -> Iterator[dict[str, Any]]:
    """Events that harmed or could have harmed somebody, told to the desk that answers for them; nobody is named."""
    for number in range(count):
        category, severity = ADVERSES[(number + len(app_id)) % len(ADVERSES)]
        yield _line(
            (app_id, "adverse_event", f"AE{DAY}-{app_id}-{number:03}"),
            ("staff_id", desk),
            {
                "ward": WARDS[number % len(WARDS)][1],
                "category": category if app_id == "nursing" else {"blood": "输血反应"}.get(app_id, "药物不良反应"),
                "severity": severity,
                "occurred_at": f"2026-08-03 {9 + number:02}:20",
            },
        )


def _line(named: tuple[str, str, str], recipient: tuple[str, str], texts: dict[str, str]) -> dict[str, Any]:
    """A line of an application: its type, its reference, for whom, with which texts."""
    app_id, kind, reference = named
    return {
        "app_id": app_id,
        "type": kind,
        "reference": reference,
        "recipient": dict(zip(("id_type", "id_value"), recipient, strict=True)),
        "personalisation": texts,
        "source": {"system": app_id.upper(), "event": kind.replace("_", ".", 1)},
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
