"""What a provider's codes mean, and its limits: data in `sinks/codes/<provider>.yaml`, read once at start.

Called by channels to turn a vendor code into one of our reasons. A code may be added there without a release. Never
guesses: a code that is not in the book is `unmapped`.
"""

from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import Permanent, Reason, Transient

CODES_FOLDER: Final = Path(__file__).with_name("codes")
RETRYABLE: Final = frozenset({Reason.TRANSIENT, Reason.RATE_LIMITED, Reason.AUTH_EXPIRED})
"""Reasons after which the same attempt may succeed soon; all others end it."""


class ProviderTransient(Transient):
    """The provider refused for now; `provider_code` is its own word."""

    def __init__(self, reason: Reason, provider_code: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason, "", retry_after_s)
        self.provider_code = provider_code


class ProviderPermanent(Permanent):
    """The provider refused for good; `provider_code` is its own word."""

    def __init__(self, reason: Reason, provider_code: str) -> None:
        super().__init__(reason, "")
        self.provider_code = provider_code


class _Page(BaseModel):
    """A codes file as written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str
    source: str
    accepted: Annotated[list[str], Field(min_length=1)]
    reasons: dict[Reason, list[str]]
    limits: dict[str, int] = {}


class Codebook:
    """One provider's codes; a code that ends with `*` stands for all that begin so, the longest wins."""

    def __init__(self, page: _Page) -> None:
        self.provider: Final = page.provider
        self.limits: Final = page.limits
        self.meanings: Final[dict[str, Reason | None]] = dict.fromkeys(page.accepted)
        self.meanings.update((code, reason) for reason, codes in page.reasons.items() for code in codes)
        self._prefixes = sorted((code[:-1] for code in self.meanings if code.endswith("*")), key=len, reverse=True)

    def reason_of(self, code: str) -> Reason | None:
        """The reason for a vendor code; None when the code means success. Unknown codes are `unmapped`."""
        if code in self.meanings:
            return self.meanings[code]
        prefix = next((prefix for prefix in self._prefixes if code.startswith(prefix)), None)
        return Reason.UNMAPPED if prefix is None else self.meanings[prefix + "*"]

    def check(self, code: str, retry_after_s: float | None = None) -> None:
        """Return when the provider has the message (a repeat it recognised counts), else raise what the code means."""
        reason = self.reason_of(code)
        if reason is None or reason is Reason.DUPLICATE:
            return
        if reason in RETRYABLE:
            raise ProviderTransient(reason, code, retry_after_s)
        raise ProviderPermanent(reason, code)


def parse(text: str, origin: str) -> Codebook:
    """A codebook from YAML; raises ValueError, saying where, for an unknown reason or a code listed twice."""
    try:
        page = _Page.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as problem:
        raise ValueError(f"{origin}: {problem}") from None
    listed = [*page.accepted, *(code for codes in page.reasons.values() for code in codes)]
    twice = sorted({code for code in listed if listed.count(code) > 1})
    if twice:
        raise ValueError(f"{origin}: listed more than once: {', '.join(twice)}")
    return Codebook(page)


def load(provider: str, folder: Path = CODES_FOLDER) -> Codebook:
    """The codebook of a provider; raises ValueError when it is missing, wrong, or another provider's."""
    path = folder / f"{provider}.yaml"
    if not path.is_file():
        raise ValueError(f"{path.name}: missing from sinks/codes")
    book = parse(path.read_text("utf-8"), path.name)
    if book.provider != provider:
        raise ValueError(f"{path.name}: says it is for {book.provider!r}")
    return book
