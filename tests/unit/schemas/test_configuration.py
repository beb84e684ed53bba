"""Tests of the registry's records."""

import msgspec
import pytest

from schemas import configuration as c
from schemas.codec import Codec

FULL = [
    (
        c.APP_CONFIG,
        c.AppConfig(
            app_id="his",
            name="医院信息系统",
            keys=[c.AppKey(key_id="his-1", sealed=b"\x01\x02"), c.AppKey(key_id="his-2", status=c.DISABLED)],
            types=["*"],
            channels=["sms"],
            contact=True,
        ),
    ),
    (
        c.MESSAGE_TYPE,
        c.MessageType(
            type="lab_report",
            threshold=0.6,
            expiry_ms=60_000,
            max_expiry_ms=120_000,
            parameters=[c.Parameter(name="item", max_chars=20)],
            channels=[
                c.TypeChannel(channel="webhook", weight=0.9, timeout_ms=5_000, template=c.Template(text="{{ item }}")),
                c.TypeChannel(channel="sms", weight=0.5),
            ],
        ),
    ),
    (c.CHANNEL_CONFIG, c.ChannelConfig(channel="sms", settings={"region": "cn"}, success_levels=["accepted"])),
    (
        c.RECIPIENT,
        c.Recipient(
            person_id="P0001",
            identities=[c.Identity("patient_id", "P0001")],
            addresses=[c.Address("sms", "13800001234", "opted_out")],
        ),
    ),
    (c.CONFIG_VERSION, c.ConfigVersion(version=3, at=1_700_000_000_000, offsets={"apps": 4}, counts={"apps": 4})),
    (
        c.CONFIG_CHANGE,
        c.ConfigChange(
            version=3,
            at=1_700_000_000_000,
            author="duty",
            kind="types",
            object_id="lab_report",
            action="changed",
            members=[c.MemberChange("lane", "normal", "urgent")],
        ),
    ),
]


@pytest.mark.parametrize(("codec", "record"), FULL, ids=lambda value: getattr(value, "name", ""))
def test_a_record_survives_encoding_whole(codec: Codec[msgspec.Struct], record: msgspec.Struct) -> None:
    """What is decoded equals what was encoded, nested records included."""
    assert codec.decode(codec.encode(record)) == record


@pytest.mark.parametrize(("codec", "record"), FULL, ids=lambda value: getattr(value, "name", ""))
def test_the_fields_of_a_record_are_those_of_its_schema(codec: Codec[msgspec.Struct], record: msgspec.Struct) -> None:
    """A field that only one side knows would be lost or refused."""
    schema = codec.schema
    assert isinstance(schema, dict)
    assert [field["name"] for field in schema["fields"]] == list(record.__struct_fields__)
