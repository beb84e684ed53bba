"""What docs/schemas.md tells foreign producers is what the code does."""

import hashlib
import re
from pathlib import Path

import pytest

from schemas import codec, ids, records
from schemas.partitioner import murmur2, partition_of
from tests import examples

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "schemas.md").read_text("utf-8")
HEADS = re.findall(r"^\| (\w+) \| `(schemas/avsc/\S+)` \| `([0-9a-f]{20})` \|$", PAGE, re.MULTILINE)
KEYS = re.findall(r"^\| `([0-9a-f]+)`[^|]*\| (-?\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
DERIVED = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| `([0-9a-f-]{36})` \|$", PAGE, re.MULTILINE)


def test_the_page_has_its_tables() -> None:
    """The tables below are found, so that the tests of their rows mean something."""
    assert (len(HEADS), len(KEYS), len(DERIVED)) == (2, 4, 3)


@pytest.mark.parametrize(("record", "file", "head"), HEADS)
def test_the_heads_are_those_that_are_written(record: str, file: str, head: str) -> None:
    """The ten bytes before a record, and the newest file that they stand for."""
    name = codec.snake(record)
    assert codec.codec(getattr(records, record)).head.hex() == head
    assert file == f"schemas/avsc/{name}.v{max(codec.released()[name])}.avsc"


@pytest.mark.parametrize(("key", "murmur", "of_4", "of_12"), KEYS)
def test_the_partitions_are_ours(key: str, murmur: str, of_4: str, of_12: str) -> None:
    """Hash and partition of every key in the table."""
    raw = bytes.fromhex(key)
    assert int.from_bytes(murmur2(raw).to_bytes(4, "big"), "big", signed=True) == int(murmur)
    assert (partition_of(raw, 4), partition_of(raw, 12)) == (int(of_4), int(of_12))


@pytest.mark.parametrize(("app_id", "reference", "text"), DERIVED)
def test_the_derivation_is_as_told(app_id: str, reference: str, text: str) -> None:
    """The ids of the table, by the code and by following the page's words."""
    assert ids.show(ids.from_reference(app_id, reference)) == text
    parts = [part.encode() for part in ("reference", app_id, reference)]
    told = bytearray(hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()[:16])
    told[6] = (told[6] & 0x0F) | 0x80
    told[8] = (told[8] & 0x3F) | 0x80
    assert ids.show(bytes(told)) == text


def test_the_sdk_s_key_is_as_told() -> None:
    """The page's example of a key follows its own rule."""
    assert hashlib.sha256(b"lis\0LAB-20260921-0001").digest()[:16].hex() in PAGE


@pytest.mark.parametrize("place", re.findall(r"`(message/1/\w+)`", PAGE))
def test_the_recommended_examples_exist(place: str) -> None:
    """An example that the page names is there, with its bytes."""
    assert (examples.FOLDER / f"{place}.json").is_file()
    assert (examples.FOLDER / f"{place}.hex").is_file()
