"""What docs/vendors hands to foreign producers is what the code makes and believes."""

import json

import pytest

from infra.tokens import Verifier
from producers.check_record import Submitted, check
from producers.findings import Level
from schemas.codec import MESSAGE
from schemas.configuration import AppConfig, AppKey
from tests import vendor_files
from tests.vendor_files import FOLDER


@pytest.mark.parametrize("name", vendor_files.FILES)
def test_a_file_is_what_the_code_makes(name: str) -> None:
    """Byte for byte; `python -m tests.vendor_files NAME` shows what would have to stand there."""
    assert (FOLDER / name).read_text("utf-8") == vendor_files.FILES[name]()


def test_the_page_names_every_file_and_no_other() -> None:
    """A file that nobody is told of helps nobody."""
    page = (FOLDER / "README.md").read_text("utf-8")
    assert [path.name for path in FOLDER.iterdir() if path.name != "README.md" and f"`{path.name}`" not in page] == []


def test_the_golden_message_passes_our_own_examination() -> None:
    """And names every field of the schema."""
    raw = bytes.fromhex((FOLDER / "golden.hex").read_text("ascii"))
    told = json.loads((FOLDER / "golden.json").read_text("utf-8"))
    key = bytes.fromhex(json.loads((FOLDER / "keys.json").read_text("utf-8"))[0]["key"])
    checked = check(Submitted(raw, "messages.normal", key), vendor_files.ISSUED_S * 1000)
    assert {one.level for one in checked.findings} == {Level.OK}
    assert "与 SDK 所用的相同" in "".join(one.text for one in checked.findings)
    assert list(told) == [field["name"] for field in MESSAGE.schema["fields"]]  # type: ignore[index,call-overload]  # a parsed record


def test_the_token_is_believed_while_it_lives() -> None:
    """With the demo secret that stands beside it."""
    told = json.loads((FOLDER / "token.json").read_text("utf-8"))
    app = AppConfig("his", keys=[AppKey("his-1", sealed=told["secret"].encode())])
    verifier = Verifier({"his": app}, lambda _app, key: key.sealed)
    assert verifier.verify(told["token"], "his", vendor_files.ISSUED_S * 1000).key_id == "his-1"
