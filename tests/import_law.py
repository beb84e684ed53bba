"""The contract type behind "each outside library has its doors" in `[tool.importlinter]`.

Loaded by import-linter (`make check`). `doors` lists every outside library that may be imported at all, each with the
modules that may import it: `library: module, module` (a package stands for everything in it, `*` for everybody).
A library that is not listed is refused; so is a door of a listed one that is a stranger to it. Modules of the standard
library are free unless listed.
"""

import sys
from collections.abc import Mapping
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

EVERYBODY = "*"


class DoorsContract(Contract):
    """Refuses an import of an outside library from a module that is not one of its doors."""

    type_name = "doors"
    doors = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Compare every direct import of an outside library with the list."""
        broken = strangers(graph, parsed(self.doors))
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line for every import that the law refuses."""
        for line in check.metadata["broken"]:
            output.print_error(line, bold=False)


def parsed(lines: Any) -> dict[str, tuple[str, ...]]:
    """Library -> its doors, from lines `library: module, module`; raises ValueError for a line that is not one."""
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        library, colon, names = line.partition(":")
        doors = tuple(name.strip() for name in names.split(",") if name.strip())
        if not colon or not doors:
            raise ValueError(f"{line!r}: write `library: module, module`")
        found[library.strip()] = doors
    return found


def strangers(graph: ImportGraph, doors: Mapping[str, tuple[str, ...]]) -> list[str]:
    """One line for every direct import of an outside library that no door allows."""
    found = []
    outside = sorted(module for module in graph.modules if graph.is_module_squashed(module))
    for library in outside:
        allowed = doors.get(library, (EVERYBODY,) if library in sys.stdlib_module_names else ())
        if EVERYBODY in allowed:
            continue
        for importer in sorted(graph.find_modules_that_directly_import(library)):
            if not any(f"{importer}.".startswith(f"{door}.") for door in allowed):
                (first, *_) = graph.get_import_details(importer=importer, imported=library)
                place = f"{importer}, line {first['line_number']}"
                found.append(f"{place}: may not import {library}; its doors: {', '.join(allowed) or 'none'}")
    return found
