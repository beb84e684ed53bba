"""Tests of the forms: units are read, and what YAML made of a text is not guessed at."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from infra.registry_apps import AppForm
from infra.registry_forms import FORMS, ChannelForm, RecipientForm, TypeForm
from infra.registry_values import UNITS_MS, duration_ms

KEY = {"id": "his-1", "secret": "0123456789abcdef0123456789abcdef"}


@given(st.integers(1, 10**6), st.sampled_from(sorted(UNITS_MS)))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    """For every unit."""
    assert duration_ms(f"{number}{unit}") == number * UNITS_MS[unit]


@pytest.mark.parametrize(
    "text", ["", "5", "5 s", "5S", "05s", "-5s", "0s", "5.5s", "5w", "s", 5, 5.0, None, True, ["5s"]]
)
def test_anything_else_is_no_duration(text: object) -> None:
    """A wrong unit cannot pass for a number."""
    with pytest.raises(PydanticCustomError):
        duration_ms(text)


@pytest.mark.parametrize("value", [7, 7.5, True, ["x"], {"x": 1}])
def test_a_text_that_yaml_read_as_something_else_is_refused(value: Any) -> None:
    """`01` and `on` need quotes."""
    with pytest.raises(ValidationError):
        AppForm.model_validate({"id": "his", "name": value, "keys": [KEY], "grants": {}})


@pytest.mark.parametrize(
    "key",
    [
        {"id": "k"},
        {**KEY, "secret_env": "X"},
        {**KEY, "algorithm": "RS256"},
        {**KEY, "algorithm": "HS512"},
        {**KEY, "kind": "demo"},
        {"id": "k", "algorithm": "ES256", "public_key": "no key"},
    ],
)
def test_a_key_is_usable_or_refused(key: dict[str, Any]) -> None:
    """Exactly one source, fitting the algorithm, strong enough."""
    with pytest.raises(ValidationError):
        AppForm.model_validate({"id": "his", "name": "x", "keys": [key], "grants": {}})


@pytest.mark.parametrize("kind", ["live", "test"])
def test_a_key_has_a_kind(kind: str) -> None:
    """Live unless the file says otherwise."""
    form = AppForm.model_validate({"id": "his", "name": "x", "keys": [{**KEY, "kind": kind}], "grants": {}})
    assert form.record().keys[0].kind == kind


def test_a_team_key_needs_a_team() -> None:
    """Without one it could reach nobody."""
    given = {"id": "his", "name": "x", "keys": [{**KEY, "kind": "team"}], "grants": {}}
    with pytest.raises(ValidationError, match="team"):
        AppForm.model_validate(given)
    assert AppForm.model_validate({**given, "team": ["P0001"]}).record().team == ["P0001"]


def test_an_application_needs_a_key() -> None:
    """Without one nobody could speak for it."""
    with pytest.raises(ValidationError):
        AppForm.model_validate({"id": "his", "name": "x", "keys": [], "grants": {}})


def test_every_kind_has_a_form_that_becomes_a_record() -> None:
    """The top of a file knows four kinds."""
    assert list(FORMS.values()) == [AppForm, TypeForm, ChannelForm, RecipientForm]
    person = RecipientForm.model_validate({"id": "P1", "identities": {"patient_id": "P1"}}).record()
    assert (person.person_id, person.identities[0].id_value, person.addresses) == ("P1", "P1", [])


TYPE = {
    "id": "report", "name": "报告", "lane": "normal", "threshold": 0.5, "expires": "1d", "expires_at_most": "3d",
    "channels": [{"channel": "sms", "weight": 0.9, "timeout": "5s"}],
}  # fmt: skip


def test_times_of_day_become_minutes() -> None:
    """Tries, quiet hours, times of sending and the budget stand in the record; without them everything is open."""
    timing = {"tries": 3, "quiet": "21:00-07:30", "send_times": ["20:00", "09:05"], "fallbacks_per_hour": 40}
    made = TypeForm.model_validate({**TYPE, **timing}).record()
    assert (made.tries, made.quiet_from, made.quiet_until) == (3, 1_260, 450)
    assert (made.send_times, made.fallbacks_per_hour) == ([545, 1_200], 40)
    bare = TypeForm.model_validate(TYPE).record()
    assert (bare.tries, bare.quiet_from, bare.quiet_until, bare.send_times, bare.fallbacks_per_hour) == (0, 0, 0, [], 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"quiet": "21:00"},
        {"quiet": "21:00-21:00"},
        {"quiet": "21-7"},
        {"quiet": "21:00-24:00"},
        {"quiet": 1260},
        {"quiet": "21:00-07:00-09:00"},
        {"send_times": ["9:00"]},
        {"send_times": [540]},
        {"send_times": ["09:60"]},
        {"send_times": "09:00"},
        {"tries": 0},
        {"tries": 21},
        {"tries": "3"},
        {"fallbacks_per_hour": 0},
        {"fallbacks_per_hour": 1.5},
    ],
)
def test_a_time_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    """YAML reads an unquoted 09:00 as a number: it is not guessed at."""
    with pytest.raises(ValidationError):
        TypeForm.model_validate({**TYPE, **wrong})


def test_what_kafka_allows_an_application_is_its_own_to_say() -> None:
    """Left out, nothing is said; a quota of nothing is none."""
    app = {"id": "his", "name": "x", "keys": [KEY], "grants": {}}
    plain = AppForm.model_validate(app).record()
    assert (plain.kafka_user, plain.messages_per_s, plain.consumer_bytes_per_s, plain.request_percent) == ("", 0, 0, 0)
    full = AppForm.model_validate({**app, "kafka": {"user": "CN=his", "messages_per_s": 200, "request_percent": 12.5}})
    assert (full.record().kafka_user, full.record().messages_per_s, full.record().request_percent) == (
        "CN=his",
        200.0,
        12.5,
    )
    for wrong in ({"messages_per_s": 0}, {"consumer_bytes_per_s": 1.5}, {"request_percent": "20%"}, {"user": ""}):
        with pytest.raises(ValidationError):
            AppForm.model_validate({**app, "kafka": wrong})


def test_what_a_gateway_takes_from_an_application_is_its_own_to_say() -> None:
    """Left out, the gateway's setting counts; nothing at all is no limit but a disabled application."""
    app = {"id": "his", "name": "x", "keys": [KEY], "grants": {}}
    plain = AppForm.model_validate(app).record()
    assert (plain.http_requests_per_s, plain.http_messages_per_day) == (0.0, 0)
    full = AppForm.model_validate({**app, "http": {"requests_per_s": 0.5, "messages_per_day": 2_000}}).record()
    assert (full.http_requests_per_s, full.http_messages_per_day) == (0.5, 2_000)
    for wrong in ({"requests_per_s": 0}, {"messages_per_day": 0}, {"messages_per_day": 1.5}, {"per_day": 1}):
        with pytest.raises(ValidationError):
            AppForm.model_validate({**app, "http": wrong})


def test_a_type_may_be_sent_again_and_again() -> None:
    """Left out, once."""
    kind = {
        "id": "course", "name": "疗程", "lane": "normal", "threshold": 0.5, "expires": "4h", "expires_at_most": "12h",
        "channels": [{"channel": "sms", "weight": 0.9, "timeout": "5s"}],
    }  # fmt: skip
    once = TypeForm.model_validate(kind).record()
    daily = TypeForm.model_validate({**kind, "repeat": {"every_days": 1, "times": 7}}).record()
    assert (once.repeat_days, once.repeat_times) == (0, 0)
    assert (daily.repeat_days, daily.repeat_times) == (1, 7)
    for wrong in ({"every_days": 1}, {"every_days": 0, "times": 2}, {"every_days": 1, "times": 1}, {"every": "1d"}):
        with pytest.raises(ValidationError):
            TypeForm.model_validate({**kind, "repeat": wrong})
