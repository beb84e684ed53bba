"""What docs/hl7.md says is what the reader does: its mapping is read, its bounds and options are the code's."""

import re
from pathlib import Path

import typer
from typer.testing import CliRunner

from console.cli import publish
from producers import mapping, mapping_files
from producers.hl7 import segments
from producers.hl7.framing import Limits
from producers.hl7_feed import Reader
from tests.unit.producers.hl7.samples import message

PAGE = (Path(__file__).parents[3] / "docs" / "hl7.md").read_text("utf-8")


def test_the_mapping_on_the_page_works() -> None:
    """Read as it stands, it makes what the page says of a local event and of a note."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    reader = Reader(mapping_files.parse(text, "mysite.yaml"))
    visit = message("PID|1||P1^^^^21", "PV1|1|03|^^^1&心内科", "EVN|1|20260105090000", event="ADT^ZP1", app="HIS")
    alarm = message("OBR|1|||||||||||||||S1", "OBX|0|NM|K^血清钾||7.1|mmol/L||N|||C", "NTE|1||【危急值】")
    (one,), (two,) = (reading.mapped for reading in reader.read([(visit + alarm).encode()]))
    assert one.request is not None
    assert two.request is not None
    assert (one.request.recipient, two.request.recipient) == (("patient_id", "P1"), ("staff_id", "S1"))
    assert one.request.personalisation == {"department": "心内科", "visit_time": "2026-01-05 09:00", "kind": "门诊"}
    assert two.request.personalisation == {"item": "血清钾", "value": "7.1mmol/L"}


def test_the_bounds_on_the_page_are_the_codes() -> None:
    """Every figure of the refusals."""
    limits = Limits()
    assert limits.message_bytes == 4 * 1024 * 1024
    for figure, unit in (
        (limits.segments, "segments"), (segments.HEADER_CHARS, "characters of MSH"),
        (segments.REPETITIONS, "repetitions"), (mapping.TEXT_CHARS, "characters of one value"),
        (mapping.REQUESTS, "requests"),
    ):  # fmt: skip
        assert f"{figure:,} {unit}" in PAGE


def test_the_options_on_the_page_exist() -> None:
    """Each `--option` of the page is one of `medpost publish hl7`."""
    main = typer.Typer()
    publish.register(main)
    shown = CliRunner().invoke(main, ["publish", "hl7", "--help"], terminal_width=200, env={"COLUMNS": "200"}).stdout
    assert "--dry-run" in (named := set(re.findall(r"--[a-z][a-z-]+", PAGE)))
    assert named <= set(re.findall(r"--[a-z][a-z0-9-]+", shown))
