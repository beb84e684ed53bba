"""Reads `mappings/<site>.yaml` into a Mapping, refusing what is wrong with file, line and what to write instead.

Called by `medpost publish hl7` and the sample hospital. Reads a file only when asked to, and never half of one: all
complaints are gathered, and one is enough for a refusal.
"""

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from producers.mapping import Condition, Mapping, Rule
from producers.paths import Codes, Expression, compile_expression
from schemas.errors import Permanent, Reason

Tables = dict[str, Codes]
_TABLE_NAME: Final = re.compile("[a-z][a-z0-9_]*")
MEMBERS: Final = ("name", "event", "app", "type", "recipient", "parameters", "when", "unless", "each")
REQUIRED: Final = ("event", "app", "type", "recipient", "parameters")


class MappingError(Permanent):
    """A mapping file cannot be used; `complaints` are `file:line: what is wrong`."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__(Reason.PARAM_INVALID, "\n".join(complaints))
        self.complaints = complaints


class _Complaint(Exception):  # noqa: N818 - never leaves this file
    def __init__(self, node: Node, text: str) -> None:
        super().__init__(text)
        self.line = node.start_mark.line + 1


def packaged(site: str) -> Path:
    """The mapping file of a site that comes with medpost; raises MappingError naming those that exist."""
    folder = Path(str(resources.files("producers").joinpath("mappings")))
    path = folder / f"{site}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in folder.glob("*.yaml")))
        raise MappingError([f"no mapping {site!r}: give the path of a YAML file, or one of {known}"])
    return path


def load(path: Path, run_id: str = "") -> Mapping:
    """The mapping in a file; raises MappingError with every complaint."""
    try:
        return parse(path.read_text("utf-8"), str(path), run_id)
    except OSError as problem:
        raise MappingError([f"{path}: {problem.strerror}"]) from None
    except UnicodeDecodeError:
        raise MappingError([f"{path}: not UTF-8"]) from None


def parse(text: str, file_name: str, run_id: str = "") -> Mapping:
    """The mapping in a YAML text; `file_name` stands before each complaint. Raises MappingError."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        members = _members(_given(root), ("site", "rules", "events", "tables"), ("site", "rules"))
        nodes = _list(members["rules"])
        site = _text(members["site"])
        events = _entries(members["events"]) if "events" in members else {}
        tables = _tables(members.get("tables"))
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise MappingError([f"{file_name}:{line}: not valid YAML: {problem.problem}"]) from None
    except yaml.YAMLError:
        raise MappingError([f"{file_name}:1: not valid YAML"]) from None
    except _Complaint as complaint:
        raise MappingError([f"{file_name}:{complaint.line}: {complaint}"]) from None
    rules, complaints = _gathered(nodes, tables)
    if complaints:
        raise MappingError([f"{file_name}:{complaint.line}: {complaint}" for complaint in complaints])
    return Mapping(site, tuple(rules), run_id, events)


def _tables(node: Node | None) -> dict[str, Codes]:
    """The tables of a site's own codes, by name."""
    found = {}
    for name_node, entries in _pairs(node) if node is not None else ():
        name = _text(name_node)
        if not _TABLE_NAME.fullmatch(name):
            raise _Complaint(name_node, f"tables: {name!r} is no name; write small letters, digits and _")
        found[name] = Codes(_entries(entries))
    return found


def _entries(node: Node) -> dict[str, str]:
    """Code to code; quotes make no difference, `03` stays `03`."""
    found = {_text(code): _text(ours) for code, ours in _pairs(node)}
    if not found:
        raise _Complaint(node, "here belongs a table, `code: ours`, that is not empty")
    return found


def _gathered(nodes: list[Node], tables: Tables) -> tuple[list[Rule], list[_Complaint]]:
    rules, complaints = [], []
    for node in nodes:
        try:
            rules.append(_rule(node, tables))
        except _Complaint as complaint:
            complaints.append(complaint)
    return rules, complaints


def _rule(node: Node, tables: Tables) -> Rule:
    members = _members(node, MEMBERS, REQUIRED)
    recipient = _pairs(members["recipient"])
    if len(recipient) != 1:
        raise _Complaint(members["recipient"], "recipient: exactly one, as `patient_id: PID-3.1`")
    ((id_type, where),) = recipient
    events = tuple(map(_text, _list_or_one(members["event"])))
    return Rule(
        name=_text(members["name"]) if "name" in members else f"{events[0]} → {_text(members['type'])}",
        events=events,
        app=_text(members["app"]),
        type=_text(members["type"]),
        id_type=_text(id_type),
        recipient=_expression(where, tables),
        parameters=tuple((_text(name), _expression(value, tables)) for name, value in _pairs(members["parameters"])),
        when=_conditions(members.get("when"), tables),
        unless=_conditions(members.get("unless"), tables),
        each=_segment_name(members.get("each")),
    )


def _conditions(node: Node | None, tables: Tables) -> tuple[Condition, ...]:
    if node is None:
        return ()
    return tuple(
        Condition(_expression(path, tables), tuple(_text(one, may_be_empty=True) for one in _list_or_one(patterns)))
        for path, patterns in _pairs(node)
    )


def _expression(node: Node, tables: Tables) -> Expression:
    try:
        return compile_expression(_text(node), tables)
    except ValueError as problem:
        raise _Complaint(node, str(problem)) from None


def _segment_name(node: Node | None) -> str:
    if node is None:
        return ""
    name = _text(node)
    if len(name) != 3 or not name.isupper():
        raise _Complaint(node, f"each: {name!r} is no segment name; write OBR or OBX")
    return name


def _given(node: Node | None) -> Node:
    if node is None:
        raise MappingError(["the file is empty: it needs `site:` and `rules:`"])
    return node


def _members(node: Node, allowed: tuple[str, ...], required: tuple[str, ...]) -> dict[str, Node]:
    """A mapping's values by name; complains about names that are unknown, missing, or given twice."""
    found: dict[str, Node] = {}
    for name_node, value in _pairs(node):
        name = _text(name_node)
        if name not in allowed:
            raise _Complaint(name_node, f"unknown member {name!r}; allowed: {', '.join(allowed)}")
        found[name] = value
    missing = [name for name in required if name not in found]
    if missing:
        raise _Complaint(node, f"{', '.join(missing)}: missing")
    return found


def _pairs(node: Node) -> list[tuple[Node, Node]]:
    if not isinstance(node, MappingNode):
        raise _Complaint(node, "here belongs a mapping, `name: value`")
    seen: set[str] = set()
    for name, _ in node.value:
        if name.value in seen:
            raise _Complaint(name, f"{name.value!r} is given twice")
        seen.add(name.value)
    return list(_as_pairs(node))


def _as_pairs(node: MappingNode) -> Iterator[tuple[Node, Node]]:
    yield from node.value


def _list(node: Node) -> list[Node]:
    if not isinstance(node, SequenceNode) or not node.value:
        raise _Complaint(node, "here belongs a list that is not empty")
    return list(node.value)


def _list_or_one(node: Node) -> list[Node]:
    return _list(node) if isinstance(node, SequenceNode) else [node]


def _text(node: Node, *, may_be_empty: bool = False) -> str:
    if not isinstance(node, ScalarNode):
        raise _Complaint(node, "here belongs a text")
    if not node.value and not may_be_empty:
        raise _Complaint(node, "here belongs a text that is not empty")
    return str(node.value)
