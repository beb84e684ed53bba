"""What Chinese sites really send, each habit with a message of our own: read, or refused with a reason."""

from collections import Counter

import pytest

from console.offers import offers_of
from console.publishing import Desk, Totals, publish
from producers import mapping_files
from producers.hl7_feed import Reader, Reading
from producers.mapping import Mapping
from producers.requests import MessageRequest
from schemas.errors import Reason
from tests.unit.producers.hl7.samples import PATIENT, REPORT, message

HEAN = mapping_files.load(mapping_files.packaged("hean"))
SITE = mapping_files.parse(
    """
site: dialects
events: {"ADT^ZP1": ADT^A10, "OUL^R24": ORU^R01}
tables:
  sex: {1: 男, 2: 女, M: 男, F: 女}
  id_types: {21: MR, 01: NI, IdentifyNO: NI}
  class: {O: 门诊, T: 体检, 03: 门诊, "*": 其他}
rules:
  - {event: ADT^A10, app: his, type: arrived, recipient: {patient_id: "PID-3[5@id_types=MR].1 | PID-3[5=MR].1"},
     parameters: {name: PID-5, sex: PID-8@sex, class: PV1-2@class,
                  department: "PV1-3.9 | PV1-3.4.2 | PV1-3.4 | PV1-3.1"}}
  - {event: ADT^A11, app: his, type: withdrawn, recipient: {patient_id: PID-3.1}, parameters: {at: "EVN-2:time"}}
  - {event: ORU^R01, app: lis, type: critical, each: OBX, recipient: {staff_id: OBR-16.1},
     when: {"OBX-8.1 | NTE-3": [HH, LL, "*↑↑*", "*↓↓*", "*危急值*"], OBX-11: [F, C, ""]},
     parameters: {value: "OBX-5 + OBX-6.2 | OBX-5 + OBX-6.1 | OBX-5"}}
  - {event: DFT^P03, app: cash, type: invoice, recipient: {patient_id: PID-3.1}, when: {ZFP-2: "?*"},
     unless: {ZFP-5: "-*"}, parameters: {amount: ZFP-5}}
  - {event: DFT^P03, app: cash, type: invoice_reversed, recipient: {patient_id: PID-3.1}, when: {ZFP-5: "-*"},
     parameters: {amount: ZFP-5}}
""",
    "dialects.yaml",
)
VISIT = "PV1|1|03|^^^020101&心血管内科"


def read(raw: str | bytes, mapping: Mapping = SITE, *, lf_text: bool = False) -> list[Reading]:
    """All readings of a text or of bytes."""
    return list(Reader(mapping, is_lf_text=lf_text).read([raw.encode() if isinstance(raw, str) else raw]))


def requests_of(raw: str | bytes, mapping: Mapping = SITE) -> list[MessageRequest]:
    """The requests of one message."""
    (reading,) = read(raw, mapping)
    assert reading.refused is None
    return [one.request for one in reading.mapped if one.request]


def arrived(patient: str = PATIENT, visit: str = VISIT, **header: str) -> dict[str, str]:
    """What a local arrival says of a patient and a visit."""
    (request,) = requests_of(message(patient, visit, event="ADT^ZP1", app="HIS", **header))
    return dict(request.personalisation) | {"id": request.recipient[1]}


def critical(*segments: str) -> list[str]:
    """The values that are told as critical."""
    found = requests_of(message("OBR|1|||K^钾||||||||||||S002", *segments, event="OUL^R24"))
    return [request.personalisation["value"] for request in found]


def test_a_sites_own_event_is_known_and_the_trace_keeps_its_name() -> None:
    """ADT^ZP1 is an arrival here, OUL^R24 a report."""
    (request,) = requests_of(message(PATIENT, VISIT, event="ADT^ZP1"))
    assert (request.type, request.source.event) == ("arrived", "ADT^ZP1")
    assert critical("OBX|1|NM|K||9|||HH") == ["9"]
    assert [one.type for one in requests_of(REPORT.replace("ORU^R01", "OUL^R22"), HEAN)].count("lab_report") == 2


@pytest.mark.parametrize(
    ("ids", "patient_id"),
    [
        ("P1^^^^21", "P1"),
        ("110^^^^01~P1^^^^21", "P1"),
        ("~~P1^^^H1^MR~", "P1"),
        ("110^^^^IdentifyNO~P2^^^^MR~P1^^^^21", "P1"),
        ('""~P1^^^^21', "P1"),
    ],
)
def test_local_id_types_and_empty_repetitions_are_seen_through(ids: str, patient_id: str) -> None:
    """The table says what 21 is; blanks and nulls between repetitions are nobody."""
    assert arrived(f"PID|1||{ids}||王晓|||1")["id"] == patient_id


@pytest.mark.parametrize(("code", "word"), [("1", "男"), ("2", "女"), ("F", "女")])
def test_coded_sex_becomes_a_word(code: str, word: str) -> None:
    """Digits and letters alike."""
    assert arrived(f"PID|1||P1^^^^MR||王晓|||{code}")["sex"] == word


def test_a_code_that_no_table_lists_is_refused_and_not_shown() -> None:
    """Patients never read a bare code; the refusal names the path and the table, and never the code."""
    (reading,) = read(message("PID|1||P1^^^^MR||王晓|||77", VISIT, event="ADT^ZP1"))
    (refused,) = [one.refused for one in reading.mapped]
    assert refused is not None
    assert (refused.reason, refused.detail) == (Reason.MISSING_PARAMETER, "sex: nothing at PID-8@sex")
    assert "table" in refused.remedy


@pytest.mark.parametrize(("code", "word"), [("03", "门诊"), ("T", "体检"), ("O", "门诊"), ("I", "其他"), ("X", "其他")])
def test_patient_classes_are_read_as_the_site_means_them(code: str, word: str) -> None:
    """`03` stays `03`, and `*` is every other code."""
    assert arrived(visit=f"PV1|1|{code}|^^^020101&心血管内科")["class"] == word


@pytest.mark.parametrize(
    "visit",
    ["PV1|1|O|^^^020101&心血管内科", "PV1|1|O|^^^心血管内科", "PV1|1|O|心血管内科", "PV1|1|O|2^^^^^^^^心血管内科"],
)
def test_a_department_is_found_in_whatever_component(visit: str) -> None:
    """As a sub-component, or in the wrong place."""
    assert arrived(visit=visit)["department"] == "心血管内科"


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ("王晓", "王晓"), ("王^晓", "王 晓"), ("王　晓", "王　晓"), ("　王晓 ", "王晓"),
        ("阿依古丽·买买提", "阿依古丽·买买提"),
        ("𠮷田𬱖", "𠮷田𬱖"), ('王^""', "王"), ('""^晓', "晓"), ("王\\T\\晓", "王&晓"), ("王\\XE6993F\\", None),
        ("王\\XE69993\\", "王晓"), ("王\\.br\\晓", "王\n晓"), ('王"大"晓', '王"大"晓'),
    ],
)  # fmt: skip
def test_names_are_shown_as_they_are_written(sent: str, read_as: str | None) -> None:
    """In one component or two, with blanks of any width, dots, rare characters, nulls and escapes; or refused."""
    (reading,) = read(message(f"PID|1||P1^^^^MR||{sent}|||1", VISIT, event="ADT^ZP1"))
    (mapped,) = reading.mapped
    assert (mapped.request.personalisation["name"] if mapped.request else None) == read_as


@pytest.mark.parametrize(
    ("flag", "note", "is_told"),
    [
        ("HH", "", True), ("LL~<", "", True), ("<~LL", "", True), ("HH^极高", "", True),
        ("↑↑", "", True), ("↓↓", "", True),
        ("", "【危急值】已通知", True), ("H", "", False), ("↑", "", False), ("N", "复查", False),
        ("", "", False), ('""', "", False),
    ],
)  # fmt: skip
def test_critical_values_are_found_however_they_are_flagged(flag: str, note: str, is_told: bool) -> None:
    """In OBX-8 with repetitions, coded, as arrows, or in the text of the note that belongs to the result."""
    segments = [f"OBX|0|NM|K||9|mmol/L||{flag}|||F"] + ([f"NTE|1||{note}"] if note else [])
    assert critical(*segments, "OBX|1|NM|NA||140|||N|||F") == (["9mmol/L"] if is_told else [])


def test_a_unit_may_stand_in_the_second_component() -> None:
    """OBX-6.2 before OBX-6.1, and none at all is no fault."""
    assert critical("OBX|0|NM|K||9|1^mmol/L||HH", "OBX|1|NM|K||8|||HH") == ["9mmol/L", "8"]


def test_an_invoice_and_its_reversal_are_told_apart() -> None:
    """From the site's own segment; a negative amount is 红冲."""
    found = [
        requests_of(message(PATIENT, "FT1|1|||20260105||CG", f"ZFP|1|ED1|1|{amount}", event="DFT^P03"))
        for amount in ("20260105|378.60", "20260105|-378.60")
    ]
    assert [(one.type, one.personalisation["amount"]) for (one,) in found] == [
        ("invoice", "378.60"), ("invoice_reversed", "-378.60"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "stamp", ["20260105143015883", "20260105143015.883+0800", "202601051430", "20260105063015+0000"]
)
def test_time_stamps_of_every_site_are_one_time(stamp: str) -> None:
    """17 digits, fractions with an offset, minutes, another zone."""
    (request,) = requests_of(message(f"EVN|A11|{stamp}", PATIENT, event="ADT^A11"))
    assert request.personalisation == {"at": "2026-01-05 14:30"}


def test_a_cancellation_is_a_message_of_its_own() -> None:
    """ADT^A11 takes back a registration, SIU^S15 an appointment: mapped like any event, never the event itself."""
    (request,) = requests_of(message("EVN|A11|20260105143015", PATIENT, event="ADT^A11"))
    assert request.type == "withdrawn"
    stopped = message(
        "SCH|1|||||STOP^停诊|||||^^^20260106080000",
        PATIENT,
        "AIL|1||020101^^^^^^^^心内科",
        "AIP|1||S1^李^医生",
        event="SIU^S15",
        app="HIS",
    )
    assert [one.type for one in requests_of(stopped, HEAN)] == ["visit_cancelled"]
    assert requests_of(stopped.replace("STOP", "MOVE"), HEAN) == []


def types(status: str, order_status: str = "F", value: str = "7.1") -> Counter[str]:
    """Types of the requests of a report whose critical result has that OBX-11."""
    raw = REPORT.replace("|HH|||F", f"|HH|||{status}").replace("|||F\rOBX|1|NM|K", f"|||{order_status}\rOBX|1|NM|K")
    return Counter(one.type for one in requests_of(raw.replace("7.1", value), HEAN))


@pytest.mark.parametrize(
    ("status", "order_status", "reports", "alarms"),
    [
        ("F", "F", 2, 2),
        ("C", "C", 2, 2),
        ("", "", 2, 2),
        ("P", "P", 1, 1),
        ("X", "X", 1, 1),
        ("D", "F", 2, 1),
        ("W", "F", 2, 1),
    ],
)
def test_final_and_corrected_results_are_told_and_others_are_not(
    status: str, order_status: str, reports: int, alarms: int
) -> None:
    """OBX-11 and OBR-25: F, C and empty count; preliminary, cancelled, deleted and wrong ones do not."""
    assert types(status, order_status) == {"lab_report": reports, "critical_value": alarms}


def outcomes(*texts: str) -> Totals:
    """The totals of a dry run over these messages."""
    totals = Totals()
    offers = (offer for reading in read("".join(texts), HEAN) for offer in offers_of("f", reading))
    for ended in publish(offers, Desk(None)):
        totals.count(ended)
    assert totals.is_reconciled
    return totals


def test_a_correction_is_published_beside_what_it_corrects() -> None:
    """Another value under another control id, and under the same one: each alarm goes out, nothing is swallowed."""
    corrected = REPORT.replace("|HH|||F", "|HH|||C").replace("7.1", "7.4")
    assert outcomes(REPORT, corrected).outcomes == {"published": 5, "duplicate": 3}
    assert outcomes(REPORT, corrected.replace("|C1|", "|C2|")).outcomes == {"published": 8}


def test_a_repeat_with_a_new_time_stamp_is_a_repeat() -> None:
    """Only MSH-7 differs: the same control id, person and content are the same message, and no conflict."""
    report = REPORT.replace("S003|||||||||F", "S003||||||20260105143010|||F")
    assert outcomes(report, report.replace("20260105143015", "20260105150000")).outcomes == {
        "published": 4, "duplicate": 4,
    }  # fmt: skip


def test_a_control_id_used_again_for_another_patient_is_published() -> None:
    """A counter that was reset costs nobody his report."""
    other = REPORT.replace("P0001", "P0002").replace("S002", "S009").replace("S003", "S008")
    assert outcomes(REPORT, other).outcomes == {"published": 8}


def test_a_batch_with_a_wrong_count_is_read_and_told() -> None:
    """The trailer is one refused input; the messages of the batch are published."""
    totals = outcomes("BHS|^~\\&\r", REPORT, "BTS|2\r")
    assert (totals.read, totals.outcomes) == (2, {"published": 4, "refused": 1})


@pytest.mark.parametrize("mark", ["\x1c\r\x0b", "\x1c\x0b", "\r\x1c\r\x0b", "\x1c\n\x0b", "\x0b"])
def test_mllp_frames_that_follow_each_other_are_all_read(mark: str) -> None:
    """Also where no CR stands between them, and a tabulator of the same code inside a text is no frame."""
    second = REPORT.replace("|C1|", "|C2|").replace("危急值已复查", "危急值\x0b已复查 MSH|")
    assert outcomes("\x0b" + REPORT.rstrip("\r") + mark + second).outcomes == {"published": 8}


def test_line_feeds_declared_as_text_by_mistake_are_refused() -> None:
    """Otherwise the whole file would be one header, and its messages be lost without a word."""
    (reading,) = read((REPORT + REPORT).replace("\r", "\n"), HEAN, lf_text=True)
    assert reading.refused is not None
    assert "--lf-is-text" in reading.refused.remedy


@pytest.mark.parametrize(
    ("sent", "codec"), [("GBK", "big5"), ("", "big5"), ("BIG5", "gbk"), ("BIG-5", "big5"), ("UTF-8", "big5")]
)
def test_big5_is_read_or_refused_under_every_flag(sent: str, codec: str) -> None:
    """許功蓋 hides separators in its second bytes; a lie about it or with it is seen through."""
    text = "許功蓋" if codec == "big5" else "许功盖"
    words = {"big5": "心臟內科門診檢驗報告", "gbk": "心脏内科门诊检验报告"}[codec]
    raw = message(f"PID|1||P1^^^^MR||{text}|||1", f"PV1|1|O|{words}", event="ADT^ZP1", charset=sent).encode(codec)
    (reading,) = read(raw)
    if sent == "UTF-8":
        assert reading.refused is not None
        assert reading.refused.reason is Reason.DECODE_ERROR
    else:
        assert [one.request.personalisation["name"] for one in reading.mapped if one.request] == [text]
        assert reading.is_overruled == (sent in ("GBK", "BIG5"))


@pytest.mark.parametrize("codec", ["gb18030", "utf-8"])
@pytest.mark.parametrize("country", ["CHN", ""])
@pytest.mark.parametrize(
    "flag", ["UNICODE", "Unicode", "utf-8", "GBK", "", "UTF-8~UNICODE", "0", "code1~code2", "8859/1"]
)
def test_every_flag_met_in_msh_18_is_read_by_the_bytes(flag: str, country: str, codec: str) -> None:
    """With MSH-17 or without, true or not."""
    raw = message(PATIENT, "PV1|1|O|心血管内科门诊", event="ADT^ZP1", charset=flag).replace("|CHN|", f"|{country}|")
    (reading,) = read(raw.replace("|F\r", "|F|\r").replace("|19900101|F", "|19900101|2").encode(codec))
    assert [one.request.personalisation["department"] for one in reading.mapped if one.request] == ["心血管内科门诊"]


@pytest.mark.parametrize("marks", ["|^~\\&", "#*~\\&", "$^!\\&", "|^~\\&#", "|;~/:"])
def test_a_sites_own_separators_give_the_same_requests(marks: str) -> None:
    """Every separator may be another one; what a message means stays the same."""
    report = REPORT.replace("10\\S\\9/L", "10E9/L")  # an escape for a separator means the site's own one
    swapped = report.translate(str.maketrans("|^~\\&", marks[:5]))
    swapped = swapped.replace(marks[0] + marks[1:5] + marks[0], marks[0] + marks[1:] + marks[0], 1)
    assert requests_of(swapped, HEAN) == requests_of(report, HEAN)


def test_hl7_inside_soap_is_refused_with_the_way_out() -> None:
    """An envelope is no message: its sender is told to give the text inside."""
    (reading,) = read(f"<soap:Envelope><soap:Body><m>{REPORT.replace('&', '&amp;')}</m></soap:Body></soap:Envelope>")
    assert reading.refused is not None
    assert "SOAP" in reading.refused.remedy
