"""What somebody has to refuse on the sample day: spoiled on purpose, each in its own way."""

from collections.abc import Iterator
from typing import Any, Final

from console.sample.day.bytes_of import joined
from console.sample.day.messages import clock, header, order, person
from console.sample.day.requests import report_request
from console.sample.day.vocabulary import DAY

STAFF: Final = {"id_type": "staff_id", "id_value": "S001"}


def bad_requests() -> Iterator[dict[str, Any]]:
    """JSON lines that somebody has to refuse: the first three at once, the others at intake."""
    yield report_request("BAD-01", colour="red")
    yield report_request("BAD-02", recipient=None)
    yield report_request("BAD-03", expires_at="2026-08-03T10:00:00")
    yield report_request("BAD-04", type="lab_rapport")
    yield report_request("BAD-05", type="follow_up")
    yield report_request("BAD-06", recipient={"id_type": "patient_id", "id_value": "P7777"})
    yield report_request("BAD-07", personalisation={"item": "血常规"})
    yield report_request("BAD-08", expires_at="2020-01-01T00:00:00+08:00")
    yield report_request("BAD-09", contact={"sms": "13800001001"})
    yield report_request("BAD-10", send_at="2036-01-01T00:00:00+08:00")
    yield report_request("BAD-11", app_id="cashier", type="payment_due", personalisation={"item": "检查费"})
    yield report_request("BAD-12", app_id="nursing", type="critical_value", recipient=STAFF)
    yield report_request(
        "BAD-13",
        app_id="blood",
        type="blood_ready",
        recipient={"id_type": "staff_id", "id_value": "S999"},
        personalisation={"ward": "心内科病房", "component": "悬浮红细胞", "units": "2 单位"},
    )


def bad_messages() -> bytes:
    """HL7 messages that must cost nobody but themselves, and a good one between them."""
    at = clock(0)
    named = iter(f"{DAY}B{number:04}" for number in range(1, 12))

    def raw(app: str, event: str, control_id: str, *segments: str) -> bytes:
        return joined([[header(app, event, control_id, at), *segments]], "\r").encode()

    return b"".join(
        (
            raw("LIS", "ORU^R01", next(named), person("P0003", 3)) + b"NTE|1||\xd1\xaa\xff\xc7\r",  # of no charset
            raw("LIS", "", next(named)),  # no type
            raw("LIS", "ORU^R01", ""),  # no control id
            raw("LIS", "ORU^R01", next(named), person("P0002", 2), order(1, at)),  # good
            raw("HIS", "MDM^T02", next(named), person("P0004", 4)),  # no rule
            raw("HIS", "ADT^A04", next(named), person("P0005", 5), "PV1|1|O|0201"),  # no doctor
            raw("LIS", "ORU^R01", next(named), person("P8888", 6), order(2, at)),  # nobody's number
            raw("ORIS", "SIU^S14", next(named), f"SCH|X{'|' * 24}LUNCH", person("P0051", 7)),  # a stage of no table
            raw("BILL", "DFT^P03", next(named), person("P0006", 8), f"FT1|1|9||{at}||PY|MED^西药费"),  # no amount
            raw("LIS", "ORU^R01", next(named), "NTE|1||截断")[:-2],  # cut inside a character
        )
    )
