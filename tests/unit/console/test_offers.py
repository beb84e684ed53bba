import io
import json
from pathlib import Path

import pytest

from console import offers
from console.publishing import Offer
from producers import jsonl, mapping_files
from producers.hl7_feed import Reader
from schemas.errors import Reason
from tests.unit.producers.hl7.samples import PATIENT, REPORT, message

LINE = json.dumps({"app_id": "his", "type": "t", "recipient": {"id_type": "patient_id", "id_value": "P1"}}).encode()


@pytest.fixture
def reader() -> Reader:
    """A reader with the sample site's mapping."""
    return Reader(mapping_files.load(mapping_files.packaged("hean")))


def test_a_folder_gives_its_files_in_order(tmp_path: Path) -> None:
    """Hidden files are left out, names may be chosen, a file is itself."""
    for name in ("b.hl7", "a/c.hl7", "a/d.txt", ".git/e.hl7", ".f.hl7"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in offers.files_in(tmp_path)] == ["c.hl7", "d.txt", "b.hl7"]
    assert [path.name for path in offers.files_in(tmp_path, ("*.hl7",))] == ["c.hl7", "b.hl7"]
    assert offers.files_in(tmp_path / "a/d.txt") == [tmp_path / "a/d.txt"]


def test_hl7_files_become_offers(tmp_path: Path, reader: Reader) -> None:
    """One message of four requests is one that was read and three that were split off; unmapped and bad ones count."""
    (tmp_path / "a.hl7").write_bytes(REPORT.encode() + message(PATIENT, event="MDM^T02").encode())
    (tmp_path / "b.hl7").write_bytes(message(event="").encode())
    sizes: list[int] = []
    found = list(offers.from_hl7(reader, offers.files_in(tmp_path), tmp_path, sizes.append))
    assert [(one.source, one.number, one.is_first, one.request is not None) for one in found] == [
        ("a.hl7", 1, True, True), ("a.hl7", 1, False, True), ("a.hl7", 1, False, True), ("a.hl7", 1, False, True),
        ("a.hl7", 2, True, False), ("b.hl7", 1, True, False),
    ]  # fmt: skip
    assert found[4].problem is None
    assert found[5].problem is not None
    assert sum(sizes) == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_a_file_that_cannot_be_read_is_one_refusal(tmp_path: Path, reader: Reader) -> None:
    """The other files are read; the refusal names the file."""
    (tmp_path / "a.hl7").mkdir()
    (tmp_path / "b.hl7").write_bytes(REPORT.encode())
    first, *others = offers.from_hl7(reader, [tmp_path / "a.hl7", tmp_path / "b.hl7"], tmp_path, lambda _: None)
    assert (first.source, first.number) == ("a.hl7", 1)
    assert first.problem is not None
    assert "cannot be read" in first.problem.detail
    assert len(others) == 4


def test_a_stream_is_read_as_a_file_is() -> None:
    """Standard input is no exception to the bound."""
    stream = io.BytesIO(b"x" * (2 * jsonl.LINE_BYTES) + b"\n" + LINE)
    assert [len(line) for line in offers.lines_in(stream, lambda _: None)] == [jsonl.LINE_BYTES + 2, len(LINE)]


def lines_in(path: Path) -> list[Offer]:
    """The offers of a file of JSON lines."""
    return list(offers.from_jsonl(offers.lines_of(path, lambda _: None), path.name, ""))


def test_json_lines_become_offers(tmp_path: Path) -> None:
    """A good line is a request, a bad one says why."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINE + b"\n{\n\n" + LINE)
    assert [(one.number, one.app, one.type, one.problem is None) for one in lines_in(path)] == [
        (1, "his", "t", True), (2, "", "", False), (4, "his", "t", True),
    ]  # fmt: skip


@pytest.mark.parametrize("end", [b"\n", b""])
def test_an_endless_line_is_one_refusal_and_never_held(tmp_path: Path, end: bytes) -> None:
    """Its rest is passed over, and the line after it is read."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINE + b"\n" + b"x" * (3 * jsonl.LINE_BYTES + 7) + end + (LINE if end else b""))
    seen = lines_in(path)
    assert [one.number for one in seen] == ([1, 2, 3] if end else [1, 2])
    assert seen[1].problem is not None
    assert seen[1].problem.reason is Reason.TOO_LARGE
