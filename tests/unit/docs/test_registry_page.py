"""The page for whoever writes policies names every member that a registry file may have, and none that it may not."""

import re
from pathlib import Path

import pytest

from infra import registry_apps, registry_forms
from infra.registry_values import Form
from sinks import catalogue
from sinks.channel import ProviderSettings

PAGE = (Path(__file__).parents[3] / "docs" / "registry.md").read_text("utf-8")
NAMED = {*re.findall(r"[a-z][a-z0-9_]*", " ".join(re.findall(r"`([^`\n]+)`", PAGE)))}
FORMS = sorted(
    {
        one
        for one in (*vars(registry_apps).values(), *vars(registry_forms).values())
        if isinstance(one, type) and issubclass(one, Form) and one is not Form
    },
    key=lambda form: form.__name__,
)
PROVIDERS = sorted(catalogue.discover(), key=lambda entry: entry.provider)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_member_of_a_form_is_named(form: type[Form]) -> None:
    """Those that have to be given in bold."""
    assert {*form.model_fields} <= NAMED
    bold = {*re.findall(r"\*\*`([a-z_]+)`\*\*", PAGE)}
    assert {name for name, field in form.model_fields.items() if field.is_required()} <= bold


@pytest.mark.parametrize("entry", PROVIDERS, ids=lambda entry: entry.provider)
def test_every_setting_of_a_provider_is_named(entry: catalogue.Entry) -> None:
    """And the provider."""
    own = {*entry.kind.settings_type.model_fields} - {*ProviderSettings.model_fields}
    assert own | {entry.provider, entry.channel} <= NAMED


def test_nothing_else_stands_first_in_a_table() -> None:
    """A member that is gone would be missed here."""
    known = {name for form in FORMS for name in form.model_fields} | {entry.provider for entry in PROVIDERS}
    first = {name for cell in re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)}
    assert first <= known
