import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers import jsonl
from schemas.errors import Reason

GOOD = {"app_id": "his", "type": "t", "recipient": {"id_type": "patient_id", "id_value": "P0001"}}


def one(value: object, app_id: str = "", run_id: str = "") -> jsonl.LineReading:
    """The reading of a single line."""
    raw = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
    (reading,) = jsonl.read([raw], app_id, run_id)
    return reading


def test_a_line_becomes_a_request() -> None:
    """Members are those of the HTTP interface; times have a zone or are milliseconds."""
    reading = one(
        {**GOOD, "personalisation": {"姓名": "王晓"}, "reference": "r1", "expires_at": "2026-01-01T08:00:00+08:00"}
    )
    assert reading.request is not None
    assert (reading.app_id, reading.request.recipient) == ("his", ("patient_id", "P0001"))
    assert reading.request.personalisation == {"姓名": "王晓"}
    assert one({**GOOD, "send_at": 5}).refused is None


def test_marks_blank_lines_and_line_ends_do_not_matter() -> None:
    """Numbers are those of the file, so that an editor finds the line."""
    raw = json.dumps(GOOD).encode()
    readings = list(jsonl.read([b"\xef\xbb\xbf" + raw + b"\r\n", b"\n", b" \r\n", raw]))
    assert [(reading.number, reading.refused) for reading in readings] == [(1, None), (4, None)]


def test_a_line_without_application_takes_the_callers() -> None:
    """`--app` fills in, and never overrides; nobody at all is refused."""
    nameless = {key: value for key, value in GOOD.items() if key != "app_id"}
    assert one(nameless, app_id="lis").app_id == "lis"
    assert one(GOOD, app_id="lis").app_id == "his"
    refused = one(nameless).refused
    assert refused is not None
    assert refused.reason is Reason.APP_UNKNOWN


def test_a_run_has_references_of_its_own() -> None:
    """A run id goes before a reference, and makes none where there was none."""
    named = one({**GOOD, "reference": "r"}, run_id="run").request
    nameless = one(GOOD, run_id="run").request
    assert named is not None
    assert nameless is not None
    assert (named.reference, nameless.reference) == ("run/r", "")


@pytest.mark.parametrize(
    ("line", "reason", "named"),
    [
        (b"{", Reason.DECODE_ERROR, "JSON"),
        (b"[" * 5000, Reason.PARAM_INVALID, "object"),
        (b"\xd5\xc5", Reason.DECODE_ERROR, "UTF-8"),
        (json.dumps(GOOD).replace("P0001", "王").encode("gb18030"), Reason.DECODE_ERROR, "UTF-8"),
        ({**GOOD, "supersedes": "\ufffd"}, Reason.DECODE_ERROR, "FFFD"),
        (json.dumps({**GOOD, "supersedes": "\ufffd"}).encode(), Reason.DECODE_ERROR, "FFFD"),
        ({**GOOD, "colour": "red"}, Reason.PARAM_INVALID, "colour"),
        ({**GOOD, "type": 5}, Reason.PARAM_INVALID, "$.type"),
        ({"app_id": "his", "type": "t"}, Reason.PARAM_INVALID, "recipient"),
        ({**GOOD, "recipient": {"id_type": "patient_id"}}, Reason.PARAM_INVALID, "id_value"),
        ({**GOOD, "send_at": "2026-01-01T08:00:00"}, Reason.PARAM_INVALID, "send_at"),
        ({**GOOD, "send_at": 10**30}, Reason.PARAM_INVALID, "send_at"),
        ({**GOOD, "personalisation": {"a": "x" * 1_000_000}}, Reason.TOO_LARGE, "1000000"),
    ],
)
def test_a_bad_line_is_refused_by_itself(line: object, reason: Reason, named: str) -> None:
    """The refusal names the member, never what was in it."""
    refused = one(line).refused
    assert refused is not None
    assert refused.reason is reason
    assert named in refused.detail
    assert refused.remedy
    assert "P0001" not in str(refused)


@given(lines=st.lists(st.binary(max_size=80)))
def test_random_bytes_never_raise(lines: list[bytes]) -> None:
    """Every line that is not blank is accounted for."""
    readings = list(jsonl.read(lines))
    assert all(reading.refused for reading in readings)
    assert len(readings) == sum(bool(line.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")) for line in lines)
