"""What a channel says: a type's templates filled with the message's parameters.

Pure step of intake, and the only door to jinja2 (sandboxed, an undefined name is an error). Templates are compiled
at first use and once per registry version. It knows no vendor: vendor templates are a code and named variables, each
a text of ours.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from jinja2 import StrictUndefined, TemplateError, UndefinedError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec import Struct

from schemas.configuration import MessageType, Template
from schemas.errors import Permanent, Reason
from schemas.records import Content, Message

Fill = Callable[[Mapping[str, str]], str]
"""A compiled text: from parameters to what is read."""

FREE_TEXT: Final = ("content", "content_url")
"""Names under which a type that allows free text finds what the sender wrote."""

# The channels carry plain text; a channel that carries HTML escapes it itself.
_ENVIRONMENT: Final = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
_ENVIRONMENT.globals.clear()  # a template sees its parameters and nothing else
_LITERALS: Final = frozenset({"true", "false", "none", "True", "False", "None"})
_PLAIN: Final = re.compile(r"\{\{ ?([a-zA-Z_][a-zA-Z0-9_]*) ?\}\}")
_SYNTAX: Final = re.compile(r"\{[{%#]|[%#}]\}|\r|\n\Z")
"""What jinja2 reads in its own way: its marks, carriage returns (it writes line feeds), and a last line feed."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class _Said(Struct, frozen=True):
    """One template, compiled."""

    template: Template
    title: Fill
    text: Fill
    url: Fill
    parameters: dict[str, Fill]


def compiled(source: str) -> Fill:
    """A text as a function of its parameters; raises Permanent(template_invalid).

    Texts with nothing but `{{ name }}` skip jinja2, with the same result: 1 us instead of 8 us each (bench `intake`).
    """
    pieces = _PLAIN.split(source)
    if not any(_SYNTAX.search(literal) for literal in pieces[::2]) and _LITERALS.isdisjoint(pieces[1::2]):
        return _joined(tuple(pieces[::2]), tuple(pieces[1::2]))
    try:
        return _ENVIRONMENT.from_string(source).render
    except TemplateError as problem:
        raise Permanent(Reason.TEMPLATE_INVALID, f"template: {problem}") from problem


def _joined(literals: tuple[str, ...], names: tuple[str, ...]) -> Fill:
    if not names:
        return lambda _values: literals[0]
    form = "%s".join(literal.replace("%", "%%") for literal in literals)

    def fill(values: Mapping[str, str]) -> str:
        try:
            return form % tuple([values[name] for name in names])
        except KeyError as missing:
            raise UndefinedError(f"{missing} is undefined") from None

    return fill


def variables_in(source: str) -> frozenset[str]:
    """The names that a text asks for; raises Permanent(template_invalid) for one that cannot be rendered."""
    try:
        names = frozenset(find_undeclared_variables(_ENVIRONMENT.parse(source)))
        compiled(source)(dict.fromkeys(names, "例"))
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as problem:
        raise Permanent(Reason.TEMPLATE_INVALID, f"template: {problem}") from problem
    return names


def values_of(message: Message, kind: MessageType) -> dict[str, str]:
    """The template's parameters, the optional ones that are missing as "".

    Raises Permanent(missing_parameter | param_invalid | too_large) naming the parameter, or all that are missing,
    never a value.
    """
    given = message.personalisation
    values: dict[str, str] = {}
    for parameter in kind.parameters:
        value = given.get(parameter.name, "")
        if parameter.required and not value:
            raise _missing(kind, given)
        if len(value) > parameter.max_chars:
            raise Permanent(
                Reason.TOO_LARGE,
                f"parameter {parameter.name} has {len(value)} characters, at most {parameter.max_chars}",
            )
        if not value.isprintable() and _CONTROL.search(value):
            raise Permanent(Reason.PARAM_INVALID, f"parameter {parameter.name} holds control characters")
        values[parameter.name] = value
    if not given.keys() <= values.keys():
        raise Permanent(
            Reason.PARAM_INVALID, f"type {kind.type} has no parameter {_shown(given.keys() - values.keys())}"
        )
    values.update(_free_text(message, kind))
    return values


def _missing(kind: MessageType, given: Mapping[str, str]) -> Permanent:
    """All that are missing at once: whoever adds them one by one sends once for each."""
    names = [one.name for one in kind.parameters if one.required and not given.get(one.name)]
    if len(names) == 1:
        return Permanent(Reason.MISSING_PARAMETER, f"parameter {names[0]} is missing")
    return Permanent(Reason.MISSING_PARAMETER, f"parameters {', '.join(names)} are missing")


def _shown(names: set[str]) -> str:
    """The first unknown name when it looks like a name: anything else could be somebody's data."""
    first = min(names)
    return first if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", first) else "of that name"


def _free_text(message: Message, kind: MessageType) -> dict[str, str]:
    if not kind.free_text:
        if message.content:
            raise Permanent(Reason.PARAM_INVALID, f"type {kind.type} does not allow free text")
        return {}
    text = "\n".join(part.text for part in message.content if part.text)
    if _CONTROL.search(text):
        raise Permanent(Reason.PARAM_INVALID, "content holds control characters")
    return {"content": text, "content_url": next((part.url for part in message.content if part.url), "")}


class Renderer:
    """All templates of one registry version."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], _Said] = {}

    def render(self, at: tuple[str, str], template: Template, values: Mapping[str, str], address: str) -> Content:
        """What the channel gets, with `at` = (type, channel).

        Raises Permanent(missing_parameter) naming a variable that nobody filled, Permanent(template_invalid),
        Permanent(too_large).
        """
        said = self._said.get(at)
        if said is None:
            said = self._said[at] = _say(template)
        try:
            content = _filled(said, values, address)
        except UndefinedError as problem:
            raise Permanent(Reason.MISSING_PARAMETER, str(problem)) from problem
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as problem:
            raise Permanent(Reason.TEMPLATE_INVALID, f"rendering: {type(problem).__name__}") from problem
        if len(content.text) > template.max_chars:
            raise Permanent(Reason.TOO_LARGE, f"{len(content.text)} characters, at most {template.max_chars}")
        return content


def _say(template: Template) -> _Said:
    return _Said(
        template,
        compiled(template.title),
        compiled(template.text),
        compiled(template.url),
        {name: compiled(text) for name, text in template.parameters.items()},
    )


def _filled(said: _Said, values: Mapping[str, str], address: str) -> Content:
    template = said.template
    return Content(
        address=address,
        kind=template.kind,
        title=said.title(values),
        text=said.text(values),
        url=said.url(values),
        template_code=template.template_code,
        signature=template.signature,
        parameters={name: fill(values) for name, fill in said.parameters.items()},
    )
