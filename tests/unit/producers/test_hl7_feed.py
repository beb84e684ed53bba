import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers import mapping_files
from producers.hl7.framing import Limits
from producers.hl7_feed import Reader, Reading
from producers.mapping import Mapping
from schemas.errors import Reason
from tests.unit.producers.hl7.samples import PATIENT, REPORT, message

MAPPING = mapping_files.load(mapping_files.packaged("hean"))


def read(raw: bytes, mapping: Mapping = MAPPING) -> list[Reading]:
    """All readings of these bytes."""
    return list(Reader(mapping).read([raw]))


def test_a_report_becomes_its_requests() -> None:
    """Two orders are two reports for the patient, two critical results two messages for the ordering physicians."""
    (reading,) = read(REPORT.encode())
    requests = [mapped.request for mapped in reading.mapped if mapped.request]
    assert [(request.type, request.recipient) for request in requests] == [
        ("lab_report", ("patient_id", "P0001")),
        ("lab_report", ("patient_id", "P0001")),
        ("critical_value", ("staff_id", "S002")),
        ("critical_value", ("staff_id", "S003")),
    ]
    assert requests[2].personalisation == {
        "ward": "心内科病房", "bed": "07", "item": "血清钾", "value": "7.1", "unit": "mmol/L",
    }  # fmt: skip
    assert requests[3].personalisation["unit"] == "10^9/L"
    assert requests[1].personalisation == {"item": "血常规", "report_time": "2026-01-05 14:30"}


def test_both_charsets_give_the_same_requests() -> None:
    """What a message means does not depend on its bytes, nor on its line ends."""
    first = read(REPORT.encode())[0].mapped
    second = read(REPORT.replace("UNICODE UTF-8", "GB 18030-2000").replace("\r", "\n").encode("gb18030"))[0]
    assert (second.charset, second.mapped) == ("gb18030", first)


def test_a_repeat_has_the_same_references_and_another_result_has_not() -> None:
    """The same control id and content is the same message; other content under the same id is not swallowed."""
    one, again, other = (
        [mapped.request.reference for mapped in reading.mapped if mapped.request]
        for reading in read((REPORT + REPORT + REPORT.replace("7.1", "7.4")).encode())
    )
    assert one == again
    assert len(set(one)) == 4
    assert [a == b for a, b in zip(one, other, strict=True)] == [True, True, False, True]
    assert all("P0001" not in reference and "110101" not in reference for reference in one)


def test_an_event_without_rule_is_no_fault() -> None:
    """Unmapped messages have neither requests nor a refusal."""
    (reading,) = read(message(PATIENT, event="MDM^T02").encode())
    assert (reading.event, reading.mapped, reading.refused) == ("MDM^T02", (), None)


def test_a_missing_parameter_is_refused_with_the_path() -> None:
    """The refusal names where the value should have been, for that request alone."""
    raw = message(PATIENT, "OBR|1|||", "OBR|2|||CBC^血常规", charset="").encode()
    first, second = read(raw)[0].mapped
    assert first.refused is not None
    assert (first.refused.reason, "OBR-4" in first.refused.detail) == (Reason.MISSING_PARAMETER, True)
    assert second.request is not None


def test_one_bad_message_costs_one_message() -> None:
    """Undecodable, header-less and cut messages are refused one by one; their neighbours are read."""
    good = REPORT.encode()
    raw = good + REPORT.encode().replace("血".encode(), b"\xff\xff") + b"MSH|^~\\&\r" + good
    readings = read(raw)
    assert [reading.refused.reason if reading.refused else None for reading in readings] == [
        None, Reason.DECODE_ERROR, Reason.PARAM_INVALID, None,
    ]  # fmt: skip
    assert readings[0].mapped == readings[3].mapped


def test_what_we_did_not_think_of_is_a_refusal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours refuses the message without quoting it, and the feed goes on."""
    monkeypatch.setattr("producers.hl7_feed.Segments", lambda *_: next(iter("")))
    (reading,) = read(REPORT.encode())
    assert reading.refused is not None
    assert "王" not in str(reading.refused)


def test_long_reports_with_documents_and_site_segments_are_read() -> None:
    """175 results, a base64 document, a Z segment, OBX-1 from 0, an event of the site's own: nothing is in the way."""
    results = [f"OBX|{number}|NM|X{number}^项目||1|||{'HH' if number == 170 else 'N'}|||F" for number in range(175)]
    document = f"OBX|175|ED|PDF^报告||LIS^IM^PDF^Base64^{'QUJD' * 20_000}||||||F"
    raw = message(PATIENT, "ZFP|1|电子发票", "OBR|1|||CBC^血常规||||||||||||S001", *results, document).encode()
    (reading,) = read(raw)
    assert [mapped.type for mapped in reading.mapped] == ["lab_report", "critical_value"]
    table = """
        site: x
        rules:
          - {event: "ADT^Z*", app: his, type: t, recipient: {patient_id: "PID-3[5=MR].1"}, parameters: {invoice: ZFP-2}}
    """
    (own,) = read(message(PATIENT, "ZFP|1|电子发票", event="ADT^ZP1").encode(), mapping_files.parse(table, "x.yaml"))
    assert own.mapped[0].request is not None
    assert own.mapped[0].request.personalisation == {"invoice": "电子发票"}


def test_the_cost_of_a_hostile_message_is_bounded() -> None:
    """Four megabytes of separators are read in time that grows with their length only."""
    hostile = message("PID|1||" + "^~&|\\" * 600_000, "OBX|1|NM" + "|" * 900_000, app="LIS").encode()
    (reading,) = Reader(MAPPING, limits=Limits(message_bytes=8_000_000)).read([hostile])
    assert reading.refused is None
    results = ["OBX|1|NM|K^钾||9|||HH|||F"] * 1_500
    (reading,) = read(message(PATIENT, "PV1|1|I|1203^5^07||||S001", *results).encode())
    assert len(reading.mapped) == 1_500


@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from(REPORT.encode().split(b"|"))), max_size=30))
def test_random_bytes_never_raise(parts: list[bytes]) -> None:
    """Whatever is fed: readings numbered without gaps, none of them our own fault."""
    readings = read(b"|".join(parts))
    assert [reading.number for reading in readings] == list(range(1, len(readings) + 1))
    assert not any(reading.refused and "our fault" in reading.refused.remedy for reading in readings)


@given(raw=st.binary(max_size=120), at=st.integers(0, 900))
def test_a_damaged_report_never_raises_nor_yields_replacement_characters(raw: bytes, at: int) -> None:
    """Random bytes inside an otherwise good message are read strictly or refused."""
    good = REPORT.encode("gb18030")
    for reading in read(good[:at] + raw + good[at:]):
        assert not (reading.refused and "our fault" in reading.refused.remedy)
        for mapped in reading.mapped:
            texts = mapped.request.personalisation.values() if mapped.request else ()
            assert not any("\ufffd" in text for text in texts)
