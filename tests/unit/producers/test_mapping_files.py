from pathlib import Path

import pytest

from producers import mapping_files
from producers.mapping_files import MappingError

RULE = "  - {event: A, app: his, type: t, recipient: {patient_id: PID-3}, parameters: {a: PID-5}%s}\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("site: x\nrules: [", "m.yaml:2: not valid YAML"),
        ("rules: []", "m.yaml:1: site: missing"),
        ("site: x\nrules: []", "m.yaml:2: here belongs a list"),
        ("site: x\nrules: 3", "m.yaml:2: here belongs a list"),
        ("- 1", "m.yaml:1: here belongs a mapping"),
        ("site: x\nsite: y", "m.yaml:2: 'site' is given twice"),
        ("site: x\nrules:\n" + RULE % ", colour: red", "m.yaml:3: unknown member 'colour'; allowed: name, event"),
        ("site: x\nrules:\n  - {event: A}", "m.yaml:3: app, type, recipient, parameters: missing"),
        ("site: x\nrules:\n" + RULE % ", when: {pid: 1}", "m.yaml:3: 'pid' is no path"),
        ("site: x\nrules:\n" + RULE % ", each: observation", "m.yaml:3: each: 'observation' is no segment"),
        ("site: x\nrules:\n" + RULE % ', each: ""', "m.yaml:3: here belongs a text that is not empty"),
        ("site: x\nrules:\n" + (RULE % "").replace("PID-3", "PID-3, b: PID-2"), "m.yaml:3: recipient: exactly one"),
        ("site: x\nrules:\n" + (RULE % "").replace("PID-5", "PID-5:clock"), "m.yaml:3: format 'clock' is unknown"),
        ("site: x\nrules:\n" + (RULE % "").replace("PID-5", "[PID-5]"), "m.yaml:3: here belongs a text"),
        (
            "site: x\nrules:\n" + (RULE % "").replace("PID-5", "PID-8@sex"),
            "m.yaml:3: table 'sex' is unknown: the file has",
        ),
        ("site: x\nrules:\n" + (RULE % "").replace("PID-3}", '"PID-3[5@ids=MR]"}'), "m.yaml:3: table 'ids' is unknown"),
        ("site: x\ntables: {Sex: {1: M}}\nrules:\n" + RULE % "", "m.yaml:2: tables: 'Sex' is no name"),
        ("site: x\ntables:\n  sex: {}\nrules:\n" + RULE % "", "m.yaml:3: here belongs a table"),
        ("site: x\ntables:\n  sex: {1: M, 1: F}\nrules:\n" + RULE % "", "m.yaml:3: '1' is given twice"),
        ("site: x\ntables:\n  sex: {1: ''}\nrules:\n" + RULE % "", "m.yaml:3: here belongs a text that is not empty"),
        ("site: x\ntables:\n  sex: 男\nrules:\n" + RULE % "", "m.yaml:3: here belongs a mapping"),
        ("site: x\nevents: {}\nrules:\n" + RULE % "", "m.yaml:2: here belongs a table"),
        ("site: x\nevents:\n  - A\nrules:\n" + RULE % "", "m.yaml:3: here belongs a mapping"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(text: str, complaint: str) -> None:
    """Every complaint says where it is and what belongs there."""
    with pytest.raises(MappingError) as refused:
        mapping_files.parse(text, "m.yaml")
    assert complaint in refused.value.detail


def test_all_complaints_are_told_at_once() -> None:
    """Two wrong rules are two lines, so that one round mends both."""
    with pytest.raises(MappingError) as refused:
        mapping_files.parse("site: x\nrules:\n" + RULE % ", b: 1" + RULE % "" + RULE % ", c: 1", "m.yaml")
    assert [line.split(":")[1] for line in refused.value.complaints] == ["3", "5"]


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """Missing, or not UTF-8: one line, no traceback."""
    with pytest.raises(MappingError, match="No such file"):
        mapping_files.load(tmp_path / "none.yaml")
    (tmp_path / "gbk.yaml").write_bytes("site: 和安".encode("gbk"))
    with pytest.raises(MappingError, match="not UTF-8"):
        mapping_files.load(tmp_path / "gbk.yaml")


def test_the_packaged_mappings_are_valid() -> None:
    """Every file that comes with medpost can be used, and an unknown site is told which there are."""
    folder = mapping_files.packaged("hean").parent
    assert [mapping_files.load(path).site for path in sorted(folder.glob("*.yaml"))] == ["hean"]
    with pytest.raises(MappingError, match="hean"):
        mapping_files.packaged("nowhere")
