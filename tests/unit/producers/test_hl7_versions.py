"""HL7 versions 2.1 to 2.8, as far as they differ in fields that we read. All messages are written here."""

import pytest

from producers import mapping_files
from producers.hl7_feed import Reader
from producers.requests import MessageRequest
from schemas.errors import Reason

SITE = mapping_files.parse(
    """
site: versions
events: {ORU: ORU^R01, ORU_R01: ORU^R01}
rules:
  - {event: ORU^R01, app: lis, type: report, each: OBR, when: {OBR-25: [F, C, ""]},
     recipient: {patient_id: "PID-3[5=MR].1 | PID-3.1"}, parameters: {item: OBR-4.2, at: "OBR-22:time | MSH-7:time"}}
  - {event: ORU^R01, app: lis, type: critical, each: OBX, when: {OBX-8.1: [HH, LL], OBX-11: [F, C, ""]},
     recipient: {staff_id: "OBR-16.1"}, parameters: {value: OBX-5, unit: "OBX-6.1?"}}
  - {event: ADT^A04, app: his, type: registered, recipient: {patient_id: "PID-3[5=MR].1 | PID-3.1"},
     parameters: {name: PID-5.1}}
""",
    "versions.yaml",
)

TYPED = "PID|1||P0001^^^H1^MR||王^晓"
UNTYPED = "PID|1|X77|P0001||王晓"
ORDER = "OBR|1|O1|L1|K^电解质||||||||||||S002^周|||||||||F"
ORDER_TS = "OBR|1|O1|L1|K^电解质||||||||||||S002^周||||||20260105143010.5+0800^S|||F"
FLAG, CODED_FLAG = "HH", "HH^危急偏高^HL70078"

REPORTS = {
    "2.1": ("ORU", UNTYPED, ORDER, FLAG),
    "2.2": ("ORU^R01", UNTYPED, ORDER, FLAG),
    "2.3": ("ORU^R01", TYPED, ORDER, FLAG),
    "2.3.1": ("ORU^R01^ORU_R01", TYPED, ORDER_TS, FLAG),
    "2.4": ("ORU^R01^ORU_R01", TYPED, ORDER_TS, FLAG),
    "2.5": ("ORU^R01^ORU_R01", TYPED, ORDER_TS, FLAG),
    "2.5.1": ("ORU^R01^ORU_R01", TYPED, ORDER_TS, FLAG),
    "2.6": ("ORU^R01^ORU_R01", TYPED, ORDER_TS, FLAG),
    "2.7": ("ORU^R01^ORU_R01", TYPED, ORDER_TS, FLAG),
    "2.7.1": ("ORU^R01^ORU_R01", TYPED, ORDER_TS, CODED_FLAG),
    "2.8": ("ORU^R01^ORU_R01", TYPED, ORDER_TS, CODED_FLAG),
    "2.8.2^CHN": ("ORU^R01^ORU_R01", TYPED, ORDER_TS, CODED_FLAG),
    "2.3.z": ("ORU_R01", TYPED, ORDER, FLAG),
    "": ("ORU^R01", TYPED, ORDER, FLAG),
}
"""Version -> MSH-9, PID, OBR, OBX-8 as that version writes them."""


def requests_of(*segments: str) -> list[MessageRequest]:
    """The requests of one message of these segments."""
    (reading,) = Reader(SITE).read(["\r".join(segments).encode()])
    assert reading.refused is None
    return [one.request for one in reading.mapped if one.request]


@pytest.mark.parametrize("version", REPORTS)
@pytest.mark.parametrize("encoding", ["^~\\&", "^~\\&#"])
def test_a_report_of_every_version_is_read_alike(version: str, encoding: str) -> None:
    """Type with or without trigger, id with or without its type, times with a precision, coded flags."""
    event, patient, order, flag = REPORTS[version]
    header = f"MSH|{encoding}|LIS|H1|MP|H1|20260105143015^S||{event}|C1|P|{version}"
    report, critical = requests_of(header, patient, order, f"OBX|1|NM|K^血清钾||7.1|mmol/L^毫摩尔||{flag}|||F")
    assert (report.recipient, critical.recipient) == (("patient_id", "P0001"), ("staff_id", "S002"))
    assert report.personalisation == {"item": "电解质", "at": "2026-01-05 14:30"}
    assert critical.personalisation == {"value": "7.1", "unit": "mmol/L"}


@pytest.mark.parametrize(
    ("event", "trigger"), [("ADT", "A04"), ("ADT^A04", "A04"), ("ADT^A04", ""), ("ADT^A04^ADT_A01", "A08")]
)
def test_the_trigger_is_found_where_the_version_has_it(event: str, trigger: str) -> None:
    """2.1 has it in EVN-1 alone; where MSH-9 names one, that one counts."""
    header = f"MSH|^~\\&|HIS|H1|MP|H1|20260105||{event}|C1|P|2.1"
    (request,) = requests_of(header, f"EVN|{trigger}|20260105", UNTYPED)
    assert (request.type, request.source.event) == ("registered", "ADT^A04")


def test_a_header_that_ends_early_is_whole() -> None:
    """Trailing fields may be left out: MSH-12 to MSH-21, OBR-22 and OBX-11 are empty then."""
    (report, critical) = requests_of(
        "MSH|^~\\&|LIS||||20260105||ORU^R01|C1", TYPED, "OBR|1|||K^钾||||||||||||S1", "OBX|1|NM|K||9|||HH"
    )
    assert (report.personalisation["at"], critical.personalisation["value"]) == ("2026-01-05", "9")


@pytest.mark.parametrize("header", ["MSH|^~\\&|LIS|||||||C1", "MSH|^~\\&|LIS||||||ORU^R01", "MSH|^~\\&"])
def test_a_header_that_ends_too_early_is_refused(header: str) -> None:
    """Without type or control id nothing can be mapped or told apart."""
    (reading,) = Reader(SITE).read([f"{header}\r{TYPED}".encode()])
    assert reading.refused is not None
    assert reading.refused.reason is Reason.PARAM_INVALID
