"""What the codes in receipts mean: data in `codes/<vendor>.yaml`, with `mainland.yaml` behind every vendor's own.

Called by the readers of receipts. A code may be added there without a release. Never guesses: a code that is in no
book is a failure, `unmapped`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec import Struct

from schemas.errors import Reason
from schemas.statuses import Status

CODES_FOLDER: Final = Path(__file__).with_name("codes")
COMMON: Final = "mainland"
MEMBERS: Final = {"source", "delivered", "pending", "reasons"}


class Meaning(Struct, frozen=True):
    """`status` is delivered, accepted (on its way still) or failed, the last with a reason."""

    status: str
    reason: str = ""


class Meanings:
    """The codes of one vendor."""

    def __init__(self, known: Mapping[str, Meaning]) -> None:
        self._known = dict(known)
        self._prefixes = sorted((code[:-1] for code in known if code.endswith("*")), key=len, reverse=True)

    def of(self, code: str) -> Meaning:
        """What a code means; the longest code with `*` that it begins with, where it is not listed itself."""
        found = self._known.get(code)
        if found is None:
            prefix = next((prefix for prefix in self._prefixes if code.startswith(prefix)), None)
            found = None if prefix is None else self._known[prefix + "*"]
        return found or Meaning(Status.FAILED, Reason.UNMAPPED)


def parse(text: str, origin: str) -> dict[str, Meaning]:
    """The codes of one file; raises ValueError, saying where, for an unknown reason or a code listed twice."""
    try:
        page: Any = yaml.safe_load(text)
        listed = [(str(code), Meaning(Status.DELIVERED)) for code in page["delivered"]]
        listed += [(str(code), Meaning(Status.ACCEPTED)) for code in page["pending"]]
        for reason, codes in page["reasons"].items():
            listed += [(str(code), Meaning(Status.FAILED, Reason(reason))) for code in codes]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as problem:
        raise ValueError(f"{origin}: {problem}") from None
    known = dict(listed)
    if len(known) < len(listed) or page.keys() != MEMBERS:
        raise ValueError(f"{origin}: a code is listed twice, or a member is not one of {', '.join(sorted(MEMBERS))}")
    return known


def load(vendor: str, folder: Path = CODES_FOLDER) -> Meanings:
    """A vendor's codes over the common ones; raises ValueError when a file is missing or wrong."""
    merged: dict[str, Meaning] = {}
    for name in (COMMON, vendor):
        path = folder / f"{name}.yaml"
        if not path.is_file():
            raise ValueError(f"{path.name}: missing from infra/receipts/codes")
        merged |= parse(path.read_text("utf-8"), path.name)
    return Meanings(merged)
