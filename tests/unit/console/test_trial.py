"""The judge of a dry run says what intake says, by intake's own steps."""

import contextlib
from typing import Any

import pytest
from msgspec import structs

from console.trial import Trial
from infra.snapshot import Snapshot
from producers.requests import MessageRequest
from schemas.configuration import DISABLED, Parameter
from schemas.errors import Permanent
from tests.hospital import APP, T0_MS, desk, kind, message, snapshot

NO_SMS = structs.replace(APP, channels=["fax"])
BOTH = snapshot(kind(parameters=[Parameter("item"), Parameter("amount")]))


def asked(**changes: Any) -> MessageRequest:
    """A good request, or one that is changed."""
    good: dict[str, Any] = {
        "type": "lab_report", "recipient": ("patient_id", "P1"), "personalisation": {"item": "x"}, "reference": "R-1",
    }  # fmt: skip
    return MessageRequest(**{**good, **changes})


@pytest.mark.parametrize(
    ("held", "changes", "reason"),
    [
        (snapshot(), {}, ""),
        (snapshot(), {"type": "lab_repot"}, "type_unknown"),
        (snapshot(kind(status=DISABLED)), {}, "type_disabled"),
        (snapshot(kind(), app=structs.replace(APP, types=["other"])), {}, "type_not_granted"),
        (snapshot(), {"contact": {"sms": "13800001001"}}, "channel_not_granted"),
        (snapshot(), {"channels": ["fax"]}, "channel_not_granted"),
        (BOTH, {}, "missing_parameter"),
        (snapshot(), {"personalisation": {"item": "x", "colour": "y"}}, "param_invalid"),
        (snapshot(), {"personalisation": {"item": "x" * 11}}, "too_large"),
        (snapshot(), {"expires_at": T0_MS}, "expired"),
        (snapshot(), {"send_at": T0_MS + 500 * 86_400_000}, "time_window"),
    ],
)
def test_the_judge_and_intake_agree(held: Snapshot, changes: dict[str, Any], reason: str) -> None:
    """The same reason as the desk's own plan, for the same request."""
    found = Trial(held, T0_MS).judge("lis", asked(**changes))
    assert (found.reason if found is not None else "") == reason
    said = message(**{"personalisation": {"item": "x"}, **changes})
    with pytest.raises(Permanent) if reason else contextlib.nullcontext() as refusal:
        desk(held).plan(said, bytes(16), T0_MS)
    assert refusal is None or refusal.value.reason == reason


def test_an_application_that_may_use_no_channel_would_reach_nobody() -> None:
    """Intake accepts such a message, and it fails: nobody wants to learn that afterwards."""
    found = Trial(snapshot(kind(), app=NO_SMS), T0_MS).judge("lis", asked())
    assert found is not None
    assert found.reason == "no_channel"


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """Under the first reason; an unknown application first of all."""
    found = Trial(BOTH, T0_MS).judge("lsi", asked(personalisation={}))
    assert found is not None
    assert (found.reason, "是否应为 lis？" in found.detail) == ("app_unknown", True)
    assert found.detail.endswith("\nparameters item, amount are missing")


def test_a_priority_above_the_type_s_is_no_refusal_but_is_told() -> None:
    """Intake sends it in the type's lane; one below it is the sender's right."""
    trial = Trial(snapshot(), T0_MS)
    assert [trial.judge("lis", asked(priority=name)) for name in ("urgent", "normal", "bulk", "")] == [None] * 4
    told = list(trial.told())
    assert (len(told), "1 条 lab_report" in told[0], "第 7 版" in told[1]) == (2, True, True)


def test_without_a_registry_everything_passes_and_that_is_said() -> None:
    """Nobody could be asked."""
    trial = Trial(None, T0_MS)
    assert (trial.judge("nobody", asked(type="nothing")), trial.version) == (None, 0)
    assert ["没有核对登记" in line for line in trial.told()] == [True]
