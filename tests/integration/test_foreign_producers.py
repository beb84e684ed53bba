"""The Java and JavaScript samples make the golden bytes, and a message of theirs is taken by intake and answered."""

import json
import shutil

import pytest

from producers.check_record import Submitted, check
from producers.findings import Level
from schemas import ids
from schemas.codec import MESSAGE
from schemas.partitioner import partition_of
from schemas.statuses import Stage
from tests.integration import foreign_stage as stage
from tests.vendor_files import FOLDER

pytestmark = pytest.mark.slow
NODE, NPM = shutil.which("node"), shutil.which("npm")
LANGUAGES = (
    "java",
    pytest.param("javascript", marks=pytest.mark.skipif(not (NODE and NPM), reason="node and npm are not installed")),
)
each_language = pytest.mark.parametrize("language", LANGUAGES)


def command(language: str, program: str) -> list[str]:
    """How a program of a sample is run: `SendOne` or `Golden`."""
    if language == "java":
        return [*stage.built_java(), f"medpost.sample.{program}"]
    file = {"SendOne": "send-one.mjs", "Golden": "golden.mjs"}[program]
    return [*stage.built_javascript(NODE or "", NPM or ""), str(stage.JAVASCRIPT / file)]


@each_language
def test_a_sample_makes_the_golden_bytes(language: str) -> None:
    """Value, key, partition, id and token, to the last byte."""
    made = stage.golden_lines(command(language, "Golden"))
    key = json.loads((FOLDER / "keys.json").read_text("utf-8"))[0]
    assert made == {
        "value": (FOLDER / "golden.hex").read_text("ascii").replace("\n", ""),
        "key": key["key"],
        "partition_of_12": str(key["partition_of"]["12"]),
        "message_id": ids.show(ids.from_reference("his", "HIS-20260921-000123")),
        "token": json.loads((FOLDER / "token.json").read_text("utf-8"))["token"],
    }


@pytest.fixture(scope="module", params=LANGUAGES)
def ran(kafka: str, request: pytest.FixtureRequest) -> stage.Ran:
    """A sample that has sent a message called by its language's name."""
    return stage.run(kafka, command(request.param, "SendOne"), f"{request.param}-1")


def test_a_message_of_a_sample_is_accepted_and_its_outcome_found(ran: stage.Ran) -> None:
    """In Java's partition, with its token, under the id that it computed itself."""
    message = MESSAGE.decode(ran.record.value)
    assert ran.event.stage == Stage.ACCEPTED, ran.event.detail
    assert ran.code == 0, ran.output
    assert f"published  {ids.show(ids.from_reference('his', message.reference))}" in ran.output
    assert "outcome    sent" in ran.output
    assert ran.record.key is not None
    assert ran.record.partition == partition_of(ran.record.key, stage.PARTITIONS)
    assert message.personalisation["department"] == "心内科"


def test_a_record_of_a_sample_passes_our_own_examination(ran: stage.Ran) -> None:
    """Nothing to say against it, and the key is the SDK's."""
    record = ran.record
    checked = check(
        Submitted(record.value or b"", "messages.normal", record.key, tuple(record.headers), record.partition, 4),
        record.timestamp,
    )
    assert {one.level for one in checked.findings} == {Level.OK}
    assert "与 SDK 所用的相同" in "".join(one.text for one in checked.findings)
