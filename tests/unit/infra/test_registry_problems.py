"""Tests of how problems are told: place, sentence, remedy, and never a value."""

import pytest
from pydantic import ValidationError

from infra.registry_apps import GrantsForm
from infra.registry_forms import TypeChannelForm
from infra.registry_problems import BadFilesError, Entry, Problem, in_words, line_of
from schemas.errors import Reason


def test_a_problem_reads_as_place_and_sentence() -> None:
    """Editors jump to it."""
    assert str(Problem("types.yaml", 7, "缺少成员 lane → 补上它")) == "types.yaml:7: 缺少成员 lane → 补上它"


def test_problems_are_sorted_and_told_once() -> None:
    """By file and line, whatever the order they were found in."""
    late, early = Problem("a.yaml", 9, "x"), Problem("a.yaml", 2, "y")
    refused = BadFilesError([late, early, late])
    assert refused.problems == (early, late)
    assert refused.reason is Reason.PARAM_INVALID
    assert refused.detail == "a.yaml:2: y\na.yaml:9: x"


def test_a_missing_member_is_placed_at_what_is_around_it() -> None:
    """The nearest thing that stands in the file."""
    lines = {(): 1, ("types", 0): 4, ("types", 0, "lane"): 6}
    assert line_of(lines, ("types", 0, "lane")) == 6
    assert line_of(lines, ("types", 0, "channels", 3, "weight")) == 4
    assert line_of(lines, ("apps",)) == 1
    assert line_of({}, ("apps",)) == 0


def test_an_object_places_its_own_members() -> None:
    """Paths are below the object."""
    entry = Entry("apps", GrantsForm(), "a.yaml", {("apps", 1): 3, ("apps", 1, "types"): 5}, ("apps", 1))
    assert entry.problem("x", "types", 0) == Problem("a.yaml", 5, "x")


@pytest.mark.parametrize(
    ("member", "value", "told"),
    [
        ("weihgt", 1, "未知成员 weihgt → 是否应为 weight？"),
        ("zzz", 1, "未知成员 zzz → 删去它，或查阅示例配置"),
        ("weight", 2, "weight 超出范围 → 须 ≤ 1.0"),
        ("weight", "138", "weight 须为数字"),
        ("timeout", 5, "timeout：时长须带单位，例如 500ms、30s、10m、24h、3d"),
        ("success", "seen", "success 的值不可用 → 只能是 'accepted', 'delivered', 'read'、'acknowledged'"),
        ("channel", "短信", "channel 的格式不符 → 须匹配 ^[a-z0-9]{1,32}$"),
    ],
)
def test_each_mistake_says_what_to_do(member: str, value: object, told: str) -> None:
    """And never repeats the value."""
    good = {"channel": "sms", "weight": 0.5, "timeout": "5s"}
    with pytest.raises(ValidationError) as refused:
        TypeChannelForm.model_validate({**good, member: value})
    (error,) = refused.value.errors()
    assert in_words(dict(error), ("types", 0, *error["loc"])) == told
