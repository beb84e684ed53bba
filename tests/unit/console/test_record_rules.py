"""What the registry says about a foreign record is what intake says."""

from typing import Any

import pytest
from msgspec import structs

from console.record_rules import ask, refusals
from infra.registry_changes import sealed
from infra.snapshot import Snapshot
from producers.findings import Level
from schemas.configuration import DISABLED, ChannelConfig, Parameter
from tests.hospital import APP, KEYRING, T0_MS, kind, message, snapshot, token

TOPIC = "messages.normal"


def held(**changes: Any) -> Snapshot:
    """The registry with its keys sealed, as it is read."""
    return snapshot(kind(**changes), app=sealed(APP, KEYRING))  # type: ignore[arg-type]  # sealed() keeps the class


def test_a_good_message_agrees_with_the_registry() -> None:
    """Token, grants, parameters, lane and life."""
    findings = ask(message(), [token()], TOPIC, (held(), KEYRING), T0_MS)
    assert [(one.level, "第 7 版" in one.text) for one in findings] == [(Level.OK, True)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"app_id": "nobody"}, "app_unknown"),
        ({"type": "nothing"}, "type_unknown"),
        ({"personalisation": {}}, "missing_parameter"),
        ({"personalisation": {"item": "x" * 11}}, "too_large"),
        ({"personalisation": {"item": "x", "other": "y"}}, "param_invalid"),
        ({"contact": {"sms": "13800001001"}}, "channel_not_granted"),
        ({"expires_at": T0_MS}, "expired"),
    ],
)
def test_every_refusal_of_intake_is_told_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    """By the same steps."""
    findings = ask(message(**changes), None, TOPIC, (held(), KEYRING), T0_MS)
    assert [one for one in findings if one.level is Level.ERROR and reason in one.text]


def test_several_refusals_are_told_at_once() -> None:
    """Intake would stop at the first."""
    findings = ask(message(personalisation={}), [], TOPIC, (held(status=DISABLED), KEYRING), T0_MS)
    text = "".join(one.text for one in findings)
    assert [word for word in ("token_missing", "type_disabled", "missing_parameter") if word not in text] == []


def test_a_signature_is_checked_with_the_registered_key() -> None:
    """Which the record alone cannot show."""
    forged = token(secret=b"another-secret-of-at-least-32-bytes!!")
    findings = ask(message(), [forged], TOPIC, (held(), KEYRING), T0_MS)
    assert ["token_signature" in one.text for one in findings] == [True]


def test_a_detour_through_another_lane_is_a_warning() -> None:
    """It is accepted, and moved."""
    findings = ask(message(), None, TOPIC, (held(lane="urgent"), KEYRING), T0_MS)
    assert [one.level for one in findings] == [Level.WARNING]
    assert "messages.urgent" in findings[0].remedy


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"type": "lab_repot"}, "type_unknown）：消息类型未登记；是否应为 lab_report？"),
        ({"app_id": "lsi"}, "是否应为 lis？"),
        ({"channels": ["sms", "fax"]}, "不用渠道 fax"),
        ({"personalisation": {}}, "缺少参数 item"),
    ],
)
def test_a_refusal_is_told_in_chinese_with_what_was_meant(changes: dict[str, Any], told: str) -> None:
    """Names are compared with those of the registry."""
    assert [told in one.text for one in refusals(message(**changes), held(), T0_MS)] == [True]


def test_all_missing_parameters_are_told_in_one_sentence() -> None:
    """As the gateway names all of them."""
    both = held(parameters=[Parameter("item"), Parameter("amount")])
    assert ["缺少参数 item, amount" in one.text for one in refusals(message(personalisation={}), both, T0_MS)] == [True]


def test_an_application_needs_its_own_right_to_a_channel() -> None:
    """One that it may use is enough; of none, intake would find no channel."""
    only_sms = structs.replace(APP, channels=["sms"])
    assert list(refusals(message(), snapshot(kind(), app=only_sms), T0_MS)) == []
    (found,) = refusals(message(channels=["webhook"]), snapshot(kind(), app=only_sms), T0_MS)
    assert "no_channel" in found.text
    assert "webhook 应用无权使用此渠道" in found.text
    assert "sms" not in found.text


@pytest.mark.parametrize(
    ("registered", "told"),
    [
        ({}, "webhook 渠道未登记，sms 渠道未登记"),
        ({"sms": ChannelConfig("sms", status=DISABLED)}, "webhook 渠道未登记，sms 本院已停用此渠道"),
        ({"sms": ChannelConfig("sms")}, ""),
    ],
)
def test_channels_of_which_none_can_be_used_are_told_with_their_causes(
    registered: dict[str, ChannelConfig], told: str
) -> None:
    """Intake accepts such a message, and nobody gets it."""
    found = [one.text for one in refusals(message(), snapshot(kind(), channels=registered), T0_MS)]
    assert [told in text for text in found] == ([True] if told else [])


def test_a_disabled_application_is_told_once() -> None:
    """Also where its token is judged."""
    off = snapshot(kind(), app=sealed(structs.replace(APP, status=DISABLED), KEYRING))  # type: ignore[arg-type]  # as above
    findings = ask(message(), [token()], TOPIC, (off, KEYRING), T0_MS)
    assert ["app_disabled" in one.text for one in findings] == [True]
