"""Tests of rendering: strict, sandboxed, and the quick way says the same as jinja2."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.configuration import Parameter, Template
from schemas.errors import Permanent, Reason
from schemas.records import ContentPart, Message
from streams.render import _ENVIRONMENT, Renderer, compiled, values_of, variables_in
from tests.hospital import kind, message

AT = ("lab_report", "sms")


def reason_of_values(one: Message, **policy: Any) -> tuple[Reason, str]:
    """Why the message's parameters are refused."""
    with pytest.raises(Permanent) as refused:
        values_of(one, kind(**policy))
    return refused.value.reason, refused.value.detail


def reason_of_text(template: Template, values: dict[str, str]) -> tuple[Reason, str]:
    """Why a template cannot be rendered."""
    with pytest.raises(Permanent) as refused:
        Renderer().render(AT, template, values, "a")
    return refused.value.reason, refused.value.detail


def test_a_template_fills_text_title_link_and_the_vendors_variables() -> None:
    """The content is whole, with the address."""
    template = Template(
        kind="rich",
        title="{{ item }}",
        text="{{ item }}，{{ note or '无' }}",
        url="https://h/{{ item }}",
        template_code="SMS_1",
        signature="和安医院",
        parameters={"name": "{{ item }}/{{ item }}", "fixed": "固定"},
    )
    content = Renderer().render(AT, template, {"item": "血常规", "note": ""}, "13800001001")
    assert (content.title, content.text, content.url) == ("血常规", "血常规，无", "https://h/血常规")
    assert content.parameters == {"name": "血常规/血常规", "fixed": "固定"}
    assert (content.kind, content.address) == ("rich", "13800001001")
    assert (content.template_code, content.signature) == ("SMS_1", "和安医院")


@pytest.mark.parametrize("text", ["{{ unit }}", "{{ unit | upper }}", "{% if unit %}x{% endif %}", "{{unit}}"])
def test_a_variable_that_nobody_filled_is_named(text: str) -> None:
    """The quick way and jinja2 alike."""
    reason, detail = reason_of_text(Template(text=text), {"item": "x"})
    assert reason is Reason.MISSING_PARAMETER
    assert "'unit' is undefined" in detail


@pytest.mark.parametrize(
    "text",
    [
        "{{ item.__class__.__mro__ }}",
        "{{ item | attr('__class__') | attr('mro') }}",
        "{{ ''.format.__globals__ }}",
        "{{ 1 // 0 }}",
        "{{ item.nothing() }}",
    ],
)
def test_a_template_cannot_leave_its_box(text: str) -> None:
    """Or crash intake."""
    with pytest.raises(Permanent) as refused:
        Renderer().render(AT, Template(text=text), {"item": "x"}, "a")
    assert refused.value.reason in (Reason.TEMPLATE_INVALID, Reason.MISSING_PARAMETER)


def test_a_template_that_does_not_parse_is_invalid() -> None:
    """Even when it came past the check at apply."""
    assert reason_of_text(Template(text="{{ item"), {"item": "x"})[0] is Reason.TEMPLATE_INVALID


def test_a_text_over_the_limit_is_too_large() -> None:
    """Counted in characters after filling."""
    reason, detail = reason_of_text(Template(text="{{ item }}", max_chars=3), {"item": "四个字符"})
    assert (reason, detail) == (Reason.TOO_LARGE, "4 characters, at most 3")


def test_values_are_never_templates() -> None:
    """What a sender writes is text, whatever it looks like."""
    content = Renderer().render(AT, Template(text="{{ item }}%s"), {"item": "{{ 7*7 }}%d"}, "a")
    assert content.text == "{{ 7*7 }}%d%s"


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["{{ item }}", "{{note}}", "{{ item}}", "{{ true }}", "{{ none }}", "\n", "%", "%s", "}", "{"]
            ),
            st.text(max_size=5),
        ),
        max_size=8,
    ).map("".join)
)
def test_the_quick_way_says_what_jinja2_says(source: str) -> None:
    """For every text that both can compile."""
    values = {"item": "血", "note": "", "true": "!", "none": "!"}
    try:
        expected = _ENVIRONMENT.from_string(source).render(values)
    except Exception:  # noqa: BLE001 - whatever jinja2 refuses is out of the comparison
        return
    assert compiled(source)(values) == expected


def test_the_variables_of_a_text_are_found() -> None:
    """Also inside conditions and filters; a text's own names do not count."""
    assert variables_in("{% if a %}{{ b | upper }}{% endif %}{% set c = 1 %}{{ c }}{{ range }}") == {"a", "b", "range"}
    assert variables_in("无") == frozenset()


@pytest.mark.parametrize(
    "text", ["{{ a", "{% if a %}", "{{ a | nofilter }}", "{{ a.__class__.mro() }}", "{{ 1 // 0 }}"]
)
def test_a_text_that_could_not_be_rendered_is_refused_beforehand(text: str) -> None:
    """At apply, and not with the first message."""
    with pytest.raises(Permanent) as refused:
        variables_in(text)
    assert refused.value.reason is Reason.TEMPLATE_INVALID


def test_optional_parameters_are_empty_when_missing() -> None:
    """So that a template may ask for them."""
    assert values_of(message(), kind()) == {"item": "血常规", "note": ""}


@pytest.mark.parametrize(
    ("given_values", "reason", "detail"),
    [
        ({}, Reason.MISSING_PARAMETER, "parameter item is missing"),
        ({"item": ""}, Reason.MISSING_PARAMETER, "parameter item is missing"),
        ({"item": "x" * 11}, Reason.TOO_LARGE, "parameter item has 11 characters, at most 10"),
        ({"item": "a\x00b"}, Reason.PARAM_INVALID, "parameter item holds control characters"),
        ({"item": "a\rb"}, Reason.PARAM_INVALID, "parameter item holds control characters"),
        ({"item": "x", "itme": "y"}, Reason.PARAM_INVALID, "type lab_report has no parameter itme"),
        ({"item": "x", "张三 138": "y"}, Reason.PARAM_INVALID, "type lab_report has no parameter of that name"),
    ],
)
def test_bad_parameters_are_named_and_never_shown(given_values: dict[str, str], reason: Reason, detail: str) -> None:
    """The name helps the sender, the value could be anybody's."""
    assert reason_of_values(message(personalisation=given_values)) == (reason, detail)


def test_all_missing_parameters_are_told_at_once() -> None:
    """The optional and the given ones are not among them."""
    wanted = [Parameter("item"), Parameter("note", required=False), Parameter("amount"), Parameter("due")]
    told = reason_of_values(message(personalisation={"amount": "3"}), parameters=wanted)
    assert told == (Reason.MISSING_PARAMETER, "parameters item, due are missing")


def test_a_parameter_may_have_lines() -> None:
    """Line feeds and tabs are text."""
    assert values_of(message(personalisation={"item": "a\nb\tc"}), kind())["item"] == "a\nb\tc"


def test_free_text_only_where_the_type_allows_it() -> None:
    """Its parts come joined, with the first link."""
    parts = [ContentPart("text", "一"), ContentPart("link", "二", "https://h/2"), ContentPart("text", "三")]
    assert reason_of_values(message(content=parts))[0] is Reason.PARAM_INVALID
    policy = kind(free_text=True, parameters=[Parameter("item")])
    values = values_of(message(content=parts), policy)
    assert (values["content"], values["content_url"]) == ("一\n二\n三", "https://h/2")
    assert values_of(message(), policy)["content"] == ""
    bad = message(content=[ContentPart("text", "\x1b[31m")])
    assert reason_of_values(bad, free_text=True)[0] is Reason.PARAM_INVALID


def test_a_carriage_return_is_left_to_jinja2() -> None:
    """It writes every line end as a line feed, and so do we."""
    assert compiled("一\r二\r\n三")({}) == "一\n二\n三"
