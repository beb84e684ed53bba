"""All simulated providers under one roof: examines each call, decides its fate, keeps it, and names the answer.

Called by the server for every request, and by the admin routes. Everything it knows is in the journal, so a new house
over the same file is the same house. Never waits: hanging and cutting are the server's doing.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct, convert, structs

from infra.simulators.aliyun import Aliyun
from infra.simulators.exchange import Action, Call, Inquiry, Letter, Provider, Refusal, Reply
from infra.simulators.inbox import REFUSED, REPEATED, TAKEN, Entry, Inbox, Journal
from infra.simulators.reports import AFTER_MS, Answering, Posting, Reporting, Reports
from infra.simulators.script import Script, Scripts
from infra.simulators.smtp import Smtp
from infra.simulators.standard import Standard
from infra.simulators.tencent import Tencent
from infra.simulators.wechat import Wechat

PROVIDERS: Final[Mapping[str, Callable[[], Provider]]] = {
    "aliyun": Aliyun,
    "smtp": Smtp,
    "tencent": Tencent,
    "webhook": Standard,
    "wechat": Wechat,
}
"""Providers by the first part of their path; `smtp` is not called over HTTP."""
SECOND_MS: Final = 1_000
REFUSING: Final = frozenset({"code", "throttle", "ceiling"})
UNSCRIPTED: Final = frozenset({"examine", "ceiling"})
"""Actions of calls that were over before any script was asked."""


PUSHED_AT_ONCE: Final = 100


class Push(Struct, frozen=True):
    """A body of receipts to be posted."""

    url: str
    body: bytes


class Fate(Struct, frozen=True):
    """The reply that a call gets, and what happens instead or before: see `Action`; `is_told_first`: its receipt."""

    reply: Reply
    action: Action = Action()
    is_told_first: bool = False


class House:
    """The providers, their scripts and limits, and what they received."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.inbox: Final = Inbox()
        self.scripts: Final = Scripts()
        self.mail_server: Final = Smtp()
        """The one that has a socket of its own."""
        self._by_path = {path: provider() for path, provider in PROVIDERS.items()} | {"smtp": self.mail_server}
        self._by_name = {provider.name: provider for provider in self._by_path.values()}
        self._ceilings: dict[str, int] = {}
        self._recent: dict[str, deque[int]] = {}
        self.reports = Reports()
        self._receivers: dict[str, str] = {}
        self._after_ms: dict[str, int] = {}
        for kind, told in journal.facts():
            self._apply(kind, told)

    # -- what is told from outside

    def tell(self, kind: str, told: dict[str, Any]) -> None:
        """Set an account, a template, a script, a limit, or reset; raises ValueError for what cannot be."""
        self._apply(kind, told)
        self._journal.append(kind, told)

    def _apply(self, kind: str, told: dict[str, Any]) -> None:
        if kind == "call":
            self._live_again(convert(told, Entry))
        elif kind == "script":
            script = convert(told, Script)
            self._known(script.provider)
            self.scripts.lay(script)
        elif kind == "limits":
            self._ceilings[self._known(str(told.get("provider"))).name] = int(told["rate_per_s"])
        elif kind == "receipts":
            self._send_receipts(self._known(str(told.get("provider"))).name, told)
        elif kind == "reset":
            self.inbox.clear()
            self.scripts.clear()
            self.reports = Reports()
        else:
            self._known(str(told.get("provider"))).configure(kind, told)

    def _live_again(self, entry: Entry) -> None:
        """A call from the journal: counted, and what it used up of the scripts is used up again."""
        self._file(entry)
        if entry.action not in UNSCRIPTED and entry.outcome != REPEATED:
            self.scripts.action_for(self._by_name[entry.provider], entry.recipient, entry.key)

    def _known(self, name: str) -> Provider:
        if name == "*":
            return next(iter(self._by_name.values()))
        if name not in self._by_name:
            raise ValueError(f"no provider {name!r} (known: {', '.join(self._by_name)})")
        return self._by_name[name]

    def _send_receipts(self, name: str, told: dict[str, Any]) -> None:
        """Push a provider's receipts to `url` ("": to nobody), `after_ms` after it took a message."""
        if told.get("url"):
            self._receivers[name] = str(told["url"])
        else:
            self._receivers.pop(name, None)
        self._after_ms[name] = int(told.get("after_ms", AFTER_MS))

    def _file(self, entry: Entry) -> None:
        """Count an entry; what was taken will have its receipts."""
        self.inbox.add(entry)
        is_told = bool(entry.return_path) or self._by_name[entry.provider] is not self.mail_server
        if entry.outcome == TAKEN and is_told and isinstance(self._by_name[entry.provider], Reporting):
            tail = self._by_name[entry.provider].magic_tail(entry.recipient)
            self.reports.add(entry, tail, self._after_ms.get(entry.provider, AFTER_MS))

    def pushes(self, at_ms: int) -> list[Push]:
        """Receipts that are due to be pushed, in the vendor's words; each once."""
        found = []
        for name, url in self._receivers.items():
            provider = self._by_name[name]
            due = self.reports.push(name, at_ms, PUSHED_AT_ONCE) if isinstance(provider, Reporting) else []
            for is_forged in (False, True):
                some = [one for one in due if one[1].is_forged is is_forged]
                if some and isinstance(provider, Posting):
                    found += [Push(*one) for one in provider.posts(url + "x" * is_forged, some, at_ms)]
                elif some and isinstance(provider, Reporting):
                    found.append(Push(url + "x" * is_forged, provider.push_of(some)))
        return found

    # -- what comes in

    def receive(self, path: str, call: Call) -> Fate:
        """The fate of one call to the provider behind `path`; it is kept when this returns."""
        provider = self._by_path[path]
        found = provider.examine(call)
        if isinstance(found, Inquiry):
            return Fate(
                provider.answer(found, self.reports) if isinstance(provider, Answering) else provider.refuse("")
            )
        if isinstance(found, Refusal):
            self._keep(provider, call.at_ms, REFUSED, "examine", structs.asdict(found))
            return Fate(provider.refuse(found.code))
        if provider.is_idempotent and self.inbox.was_taken(provider.name, found.key):
            seq = self._keep(provider, call.at_ms, REPEATED, "ok", structs.asdict(found))
            return Fate(provider.accept(found, seq))
        return self._by_script(provider, call.at_ms, found)

    def _by_script(self, provider: Provider, at_ms: int, letter: Letter) -> Fate:
        """The fate of a letter that the provider would take."""
        action = self._ceiling(provider, at_ms) or self.scripts.action_for(provider, letter.recipient, letter.key)
        told = structs.asdict(letter)
        if action.kind in REFUSING:
            self._keep(provider, at_ms, REFUSED, action.kind, {**told, "code": action.code or action.kind})
            return Fate(provider.refuse(action.code) if action.code else provider.throttle())
        seq = self._keep(provider, at_ms, TAKEN, action.kind, told)
        is_told_first = provider.name in self._receivers and self.reports.last(seq, at_ms) is not None
        return Fate(provider.accept(letter, seq), action, is_told_first)

    def _ceiling(self, provider: Provider, at_ms: int) -> Action | None:
        """A refusal when the account's rate is used up."""
        ceiling = self._ceilings.get(provider.name)
        if ceiling is None:
            return None
        recent = self._recent.setdefault(provider.name, deque())
        while recent and recent[0] <= at_ms - SECOND_MS:
            recent.popleft()
        if len(recent) >= ceiling:
            return Action("ceiling")
        recent.append(at_ms)
        return None

    def _keep(self, provider: Provider, at_ms: int, outcome: str, action: str, told: dict[str, Any]) -> int:
        entry = Entry(self.inbox.next_seq, at_ms, provider.name, provider.channel, outcome, action, **told)
        self._journal.append("call", structs.asdict(entry))
        self._file(entry)
        return entry.seq
