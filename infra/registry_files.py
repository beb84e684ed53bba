"""Registry files: YAML read with the line of everything, checked as a whole, turned into records.

The only door to yaml. Called by `medpost registry apply` and `diff`. All problems of all files are collected, each
with file, line and what to do; nothing is handed on while there is one. It writes nothing, and asks no broker.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import yaml
from msgspec import Struct, field
from pydantic import ValidationError

from infra.registry_apps import AppForm
from infra.registry_forms import FORMS, ChannelForm, RecipientForm, TypeForm
from infra.registry_problems import BadFilesError, Entry, Path_, Problem, in_words, line_of
from infra.registry_rules import NO_CHECKS, Checks, problems_among
from infra.registry_values import Form
from infra.snapshot import EMPTY, Snapshot
from schemas.configuration import AppConfig, ChannelConfig, MessageType, Recipient

SUFFIXES: Final = (".yaml", ".yml")
LOADER: Final[type[yaml.SafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where it is there: ten times quicker, the same language."""


class Broken(Struct, frozen=True):
    """An object that was refused for its form: others may still refer to it without being wrong too."""

    kind: str
    id: str


class Wanted(Struct, frozen=True):
    """What the files ask for, by id. Keys and secrets are still in clear: `infra.registry_changes` seals them."""

    apps: dict[str, AppConfig] = field(default_factory=dict)
    types: dict[str, MessageType] = field(default_factory=dict)
    channels: dict[str, ChannelConfig] = field(default_factory=dict)
    recipients: dict[str, Recipient] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset()


def load(place: Path, known: Snapshot = EMPTY, checks: Checks = NO_CHECKS) -> Wanted:
    """Everything that a file, or the `*.yaml` files of a folder, ask for.

    `known` is what the registry holds already: files may refer to it. Raises BadFilesError with all problems.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    broken: set[tuple[str, str]] = set()
    for path in _files_in(place):
        for found in _read(path):
            match found:
                case Entry():
                    entries.append(found)
                case Problem():
                    problems.append(found)
                case Broken():
                    broken.add((found.kind, found.id))
    problems += problems_among(entries, broken, known, checks)
    if problems:
        raise BadFilesError(problems)
    return _wanted(entries)


def _files_in(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    found = sorted(path for path in place.glob("*") if path.suffix in SUFFIXES) if place.is_dir() else []
    if not found:
        raise BadFilesError([Problem(str(place), 0, "没有可读的配置文件 → 给出一个 .yaml 文件或含有 .yaml 的目录")])
    return found


def _wanted(entries: Sequence[Entry]) -> Wanted:
    wanted = Wanted(kinds=frozenset(entry.kind for entry in entries))
    for entry in entries:
        match entry.form:
            case AppForm() as form:
                wanted.apps[form.id] = form.record()
            case TypeForm() as form:
                wanted.types[form.id] = form.record()
            case ChannelForm() as form:
                wanted.channels[form.id] = form.record()
            case RecipientForm() as form:
                wanted.recipients[form.id] = form.record()
    return wanted


def _read(path: Path) -> Iterator[Entry | Broken | Problem]:
    """Every object of a file, and everything wrong with its form."""
    name = str(path)
    try:
        loader = LOADER(path.read_text("utf-8"))
        node = loader.get_single_node()
        plain = {} if node is None else loader.construct_document(node)
    except (OSError, UnicodeDecodeError) as problem:
        yield Problem(name, 0, f"读不出：{problem} → 须为 UTF-8 文本")
        return
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        yield Problem(name, mark.line + 1 if mark else 0, f"不是有效的 YAML：{problem.problem} → 检查缩进、引号与冒号")
        return
    lines: dict[Path_, int] = {(): 1}
    if node is not None:
        yield from _mark(node, (), lines, name)
    yield from _entries(plain, lines, name)


def _mark(node: yaml.Node, at: Path_, lines: dict[Path_, int], file: str) -> Iterator[Problem]:
    """Note the line of everything below a node; a member given twice is a problem (YAML keeps the last, silently)."""
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _mark(item, (*at, index), lines, file)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*at, str(key.value))
            if below in lines:
                yield Problem(
                    file, key.start_mark.line + 1, f"成员 {key.value} 在第 {lines[below]} 行已给出 → 只保留一个"
                )
            lines[below] = key.start_mark.line + 1
            yield from _mark(value, below, lines, file)


def _entries(plain: Any, lines: Mapping[Path_, int], file: str) -> Iterator[Entry | Broken | Problem]:
    if not isinstance(plain, dict):
        yield Problem(file, 1, f"顶层须为 {'、'.join(FORMS)} 的列表 → 参见示例配置")
        return
    for kind, items in plain.items():
        form = FORMS.get(kind)
        line = line_of(lines, (str(kind),))
        if form is None:
            yield Problem(file, line, f"未知成员 {kind} → 顶层可用：{'、'.join(FORMS)}")
        elif not isinstance(items, list):
            yield Problem(file, line, f"{kind} 须为列表 → 每项以 “- id:” 开头")
        else:
            for index, item in enumerate(items):
                yield from _checked(form, item, (kind, lines, file), index)


def _checked(
    form: type[Form], item: Any, of: tuple[str, Mapping[Path_, int], str], index: int
) -> Iterator[Entry | Broken | Problem]:
    kind, lines, file = of
    try:
        yield Entry(kind, form.model_validate(item), file, lines, (kind, index))
    except ValidationError as refused:
        if isinstance(item, dict):
            yield Broken(kind, str(item.get("id", "")))
        for error in refused.errors(include_url=False, include_input=False):
            at = (kind, index, *error["loc"])
            yield Problem(file, line_of(lines, at), in_words(cast("dict[str, Any]", error), at))
