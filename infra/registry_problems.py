"""What is wrong in a registry file, where, and what to do about it: for a person to read.

Made by `infra.registry_files` (form) and `infra.registry_rules` (meaning). Never shows the value of a member: it may
be a secret or somebody's number.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import Struct

from infra.registry_values import Form
from schemas.errors import Permanent, Reason

if TYPE_CHECKING:
    from infra.registry_apps import AppForm

Path_ = tuple[str | int, ...]
"""Where something stands in a file: member names and list indices."""


class Problem(Struct, frozen=True, order=True):
    """One thing that is wrong in a file, for a person to read; `line` counts from 1."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


class BadFilesError(Permanent):
    """The files cannot be applied; `problems` says all that is wrong with them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__(Reason.PARAM_INVALID, "\n".join(str(problem) for problem in self.problems))


class Entry(Struct, frozen=True):
    """One object of a file, checked for form, and where each of its members stands."""

    kind: str
    form: Form
    file: str
    lines: Mapping[Path_, int]
    at: Path_

    @property
    def id(self) -> str:
        """The object's id."""
        return str(cast("AppForm", self.form).id)

    def problem(self, text: str, *path: str | int) -> Problem:
        """Something is wrong with the member at that path below the object."""
        return Problem(self.file, line_of(self.lines, (*self.at, *path)), text)


def line_of(lines: Mapping[Path_, int], at: Path_) -> int:
    """The line of the member, or of the nearest thing around it that stands in the file."""
    while at not in lines and at:
        at = at[:-1]
    return lines.get(at, 0)


def _member_names() -> set[str]:
    """Every member that any form knows, for "did you mean"."""
    names: set[str] = set()
    todo: list[type[Form]] = list(Form.__subclasses__())
    for form in todo:
        names.update(form.model_fields)
    return names


_KIND_OF_VALUE: Final = {
    "float_type": "须为数字",
    "int_type": "须为整数",
    "bool_type": "须为 true 或 false",
    "bool_parsing": "须为 true 或 false",
    "list_type": "须为列表",
    "dict_type": "须为成员表",
    "model_type": "须为成员表",
    "model_attributes_type": "须为成员表",
    "too_short": "不可为空",
    "string_too_short": "不可为空",
    "finite_number": "须为有限的数",
}


def in_words(error: Mapping[str, Any], at: Path_) -> str:
    """A form's refusal as a sentence that says what to do; values are never shown."""
    name = ".".join(str(part) for part in at[2:] if part != "[key]") or str(at[0])
    last, context = str(at[-1]), error.get("ctx", {})
    match error["type"]:
        case "medpost":
            text = f"{name}：{context['text']}"
        case "extra_forbidden":
            near = difflib.get_close_matches(last, _member_names(), 1)
            text = f"未知成员 {name} → " + (f"是否应为 {near[0]}？" if near else "删去它，或查阅示例配置")
        case "missing":
            text = f"缺少成员 {name} → 补上它"
        case "literal_error":
            text = f"{name} 的值不可用 → 只能是 {str(context.get('expected', '')).replace(' or ', '、')}"
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than" as rule:
            sign = {"greater_than_equal": "≥", "greater_than": ">", "less_than_equal": "≤", "less_than": "<"}[rule]
            text = f"{name} 超出范围 → 须 {sign} {next(iter(context.values()))}"
        case "string_pattern_mismatch":
            text = f"{name} 的格式不符 → 须匹配 {context.get('pattern')}"
        case other:
            text = f"{name} {_KIND_OF_VALUE.get(other, error['msg'])}"
    return text
