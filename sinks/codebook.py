"""What a provider's codes mean, and its limits: data in `sinks/codes/<provider>.yaml`, read once at start.

Called by channels to turn a vendor code into one of our reasons. A code may be added there without a release. Never
guesses: a code that is not in the book is `unmapped`.
"""

from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import Permanent, Reason, Transient
from sinks.hints import Hint, Retry, Scope, by_reason

CODES_FOLDER: Final = Path(__file__).with_name("codes")


class ProviderTransient(Transient):
    """The provider refused for now; `provider_code` is its own word, `hint` what the book advises."""

    def __init__(
        self, reason: Reason, provider_code: str, retry_after_s: float | None = None, hint: Hint | None = None
    ) -> None:
        super().__init__(reason, "", retry_after_s)
        self.provider_code = provider_code
        self.hint = hint or by_reason(reason)


class ProviderPermanent(Permanent):
    """The provider refused for good; `provider_code` is its own word, `hint` what the book advises."""

    def __init__(self, reason: Reason, provider_code: str, hint: Hint | None = None) -> None:
        super().__init__(reason, "")
        self.provider_code = provider_code
        self.hint = hint or by_reason(reason)


class _Page(BaseModel):
    """A codes file as written. `retry` and `scope` list codes of which more is known than their reason says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str
    source: str
    accepted: Annotated[list[str], Field(min_length=1)]
    reasons: dict[Reason, list[str]]
    retry: dict[Retry, list[str]] = {}
    scope: dict[Scope, list[str]] = {}
    limits: dict[str, int] = {}


class Codebook:
    """One provider's codes; a code that ends with `*` stands for all that begin so, the longest wins."""

    def __init__(self, page: _Page) -> None:
        self.provider: Final = page.provider
        self.limits: Final = page.limits
        self.meanings: Final[dict[str, Reason | None]] = dict.fromkeys(page.accepted)
        self.meanings.update((code, reason) for reason, codes in page.reasons.items() for code in codes)
        self._retries: dict[str, Retry] = {code: retry for retry, codes in page.retry.items() for code in codes}
        self._scopes: dict[str, Scope] = {code: scope for scope, codes in page.scope.items() for code in codes}
        self.overridden: Final = frozenset({*self._retries, *self._scopes})
        self._prefixes = sorted((code[:-1] for code in self.meanings if code.endswith("*")), key=len, reverse=True)

    def reason_of(self, code: str) -> Reason | None:
        """The reason for a vendor code; None when the code means success. Unknown codes are `unmapped`."""
        entry = self._entry_of(code)
        return Reason.UNMAPPED if entry is None else self.meanings[entry]

    def hint_of(self, code: str) -> Hint:
        """What a refusal with that vendor code advises: as its reason, with what the book knows of the code itself."""
        plain = by_reason(self.reason_of(code) or Reason.DUPLICATE)
        entry = self._entry_of(code) or ""
        return Hint(self._retries.get(entry, plain.retry), self._scopes.get(entry, plain.scope))

    def _entry_of(self, code: str) -> str | None:
        """The entry that stands for a code; None when there is none."""
        if code in self.meanings:
            return code
        prefix = next((prefix for prefix in self._prefixes if code.startswith(prefix)), None)
        return None if prefix is None else prefix + "*"

    def check(self, code: str, retry_after_s: float | None = None) -> None:
        """Return when the provider has the message (a repeat it recognised counts), else raise what the code means."""
        reason = self.reason_of(code)
        if reason is None or reason is Reason.DUPLICATE:
            return
        hint = self.hint_of(code)
        if hint.retry == "never" or reason is Reason.UNMAPPED:
            raise ProviderPermanent(reason, code, hint)
        raise ProviderTransient(reason, code, retry_after_s, hint)


def parse(text: str, origin: str) -> Codebook:
    """A codebook from YAML; raises ValueError, saying where, for an unknown word or a code listed twice or stray."""
    try:
        page = _Page.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as problem:
        raise ValueError(f"{origin}: {problem}") from None
    listed = [*page.accepted, *(code for codes in page.reasons.values() for code in codes)]
    twice = sorted({code for code in listed if listed.count(code) > 1})
    if twice:
        raise ValueError(f"{origin}: listed more than once: {', '.join(twice)}")
    advised = [code for group in (page.retry, page.scope) for codes in group.values() for code in codes]
    if stray := sorted({*advised} - {code for codes in page.reasons.values() for code in codes}):
        raise ValueError(f"{origin}: retry or scope of a code without a reason: {', '.join(stray)}")
    return Codebook(page)


def load_for(channel: str, provider: str, folder: Path = CODES_FOLDER) -> Codebook:
    """The codebook of a provider: its own, else the one that its channel's providers share. Raises as `load`."""
    own = (folder / f"{provider}.yaml").is_file()
    return load(provider if own else channel, folder)


def load(provider: str, folder: Path = CODES_FOLDER) -> Codebook:
    """The codebook of a provider; raises ValueError when it is missing, wrong, or another provider's."""
    path = folder / f"{provider}.yaml"
    if not path.is_file():
        raise ValueError(f"{path.name}: missing from sinks/codes")
    book = parse(path.read_text("utf-8"), path.name)
    if book.provider != provider:
        raise ValueError(f"{path.name}: says it is for {book.provider!r}")
    return book
