"""Receipt codes as data: the vendor's file before the common one, the longest match, never a guess."""

from pathlib import Path

import pytest

from infra.receipts.meanings import CODES_FOLDER, Meaning, load, parse
from schemas.errors import Reason
from schemas.statuses import Status

GOOD = "source: s\ndelivered: [D]\npending: [P]\nreasons: {transient: [T, 'T:*'], rate_limited: ['T:9*']}\n"


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("DELIVRD", Meaning(Status.DELIVERED)),
        ("000", Meaning(Status.DELIVERED)),
        ("ENROUTE", Meaning(Status.ACCEPTED)),
        ("UNDELIV", Meaning(Status.FAILED, Reason.RECIPIENT_UNREACHABLE)),
        ("MK:0001", Meaning(Status.FAILED, Reason.RECIPIENT_INVALID)),
        ("MK:0013", Meaning(Status.FAILED, Reason.RECIPIENT_UNREACHABLE)),
        ("MA:0001", Meaning(Status.FAILED, Reason.TRANSIENT)),
        ("IB:0008", Meaning(Status.FAILED, Reason.RATE_LIMITED)),
        ("BLACKLIST", Meaning(Status.FAILED, Reason.RECIPIENT_BLACKLISTED)),
        ("SIGNBLOCKED", Meaning(Status.FAILED, Reason.TEMPLATE_INVALID)),
        ("", Meaning(Status.FAILED, Reason.UNMAPPED)),
        ("UNKNOWN", Meaning(Status.FAILED, Reason.UNMAPPED)),
    ],
)
def test_every_vendor_knows_the_carriers_codes(code: str, meaning: Meaning) -> None:
    """The longest that fits, and what nobody knows is unmapped."""
    for vendor in ("aliyun", "tencent"):
        assert load(vendor).of(code) == meaning


def test_a_vendors_own_code_is_its_own() -> None:
    """It goes before the common ones, and means nothing elsewhere."""
    assert load("tencent").of("SUBFAIL").reason == Reason.TRANSIENT
    assert load("aliyun").of("SUBFAIL").reason == Reason.UNMAPPED


def test_the_vendors_file_is_asked_first(tmp_path: Path) -> None:
    """And only it and the common one are there to be asked."""
    (tmp_path / "mainland.yaml").write_text(GOOD, "utf-8")
    (tmp_path / "x.yaml").write_text(GOOD.replace("transient: [T,", "billing: [T], transient: ["), "utf-8")
    found = load("x", tmp_path)
    assert (found.of("T").reason, found.of("T:1").reason, found.of("T:91").reason) == (
        Reason.BILLING,
        Reason.TRANSIENT,
        Reason.RATE_LIMITED,
    )
    with pytest.raises(ValueError, match=r"y\.yaml: missing"):
        load("y", tmp_path)


@pytest.mark.parametrize(
    "text", ["[", "source: s", GOOD.replace("transient", "sorrow"), GOOD.replace("[P]", "[D]"), GOOD + "more: 1\n"]
)
def test_a_wrong_file_is_told_with_its_name(text: str) -> None:
    """At the start, not with the first receipt."""
    with pytest.raises(ValueError, match=r"z\.yaml"):
        parse(text, "z.yaml")


def test_every_file_says_where_it_is_from() -> None:
    """And can be read."""
    for path in CODES_FOLDER.glob("*.yaml"):
        assert parse(path.read_text("utf-8"), path.name) is not None
        assert "source: " in path.read_text("utf-8")
