"""Counts what went in and what came out: pure functions over the log, the store's facts and the simulators' calls.

Called by the course when everything has ended, and by its own tests. Every rule looks at one message and says whether
it was broken; a verdict is clean when none was, of any message. It never looks at a clock, a broker or a file.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct, field

from schemas.records import Event
from schemas.statuses import FINAL_RANK, Stage, Status

DONE: Final = frozenset({Status.SENT, Status.DELIVERED, Status.READ, Status.ACKNOWLEDGED})
RANKS: Final[Mapping[str, int]] = {str(status): rank for status, rank in FINAL_RANK.items()}
TAKEN: Final = "taken"
FAULTY: Final = "faulty"
"""How a call ended that the provider could not read: a wrong signature, an unknown template, a missing variable."""
SAID_OK: Final = frozenset({Status.ACCEPTED, Status.DELIVERED})
UNCALLED: Final = frozenset({Stage.DROPPED, Stage.DEFERRED})
"""Answers that say that no call was made."""


class Offer(Struct, frozen=True):
    """One message that a system got acknowledged; `refusal` is the reason why intake must refuse it, if it must.

    `send_at` (UTC ms) is when it may go out at the earliest, 0: at once.
    """

    message_id: bytes
    refusal: str = ""
    send_at: int = 0


class Fact(Struct, frozen=True):
    """What the store says of a finished message."""

    status: str
    reason: str = ""
    possible_duplicate: bool = False


class Call(Struct, frozen=True):
    """One call that a simulated provider got: when (UTC ms), how it ended, and which attempt (0: it is not told)."""

    message_id: bytes
    channel: str
    at: int
    outcome: str = TAKEN
    attempt: int = 0


class Logged(Struct, frozen=True, gc=False):
    """An event and when the broker appended it (UTC ms)."""

    event: Event
    appended_at: int


class Evidence(Struct, frozen=True):
    """Everything there is to judge by; `log` is in order within a partition, `told` are the ids in `outcomes`."""

    offers: Sequence[Offer]
    facts: Mapping[bytes, Fact]
    log: Iterable[Logged]
    calls: Sequence[Call]
    told: frozenset[bytes]


class Case(Struct, frozen=True):
    """One message with everything that is known of it; `calls` by time."""

    offer: Offer
    fact: Fact | None
    events: Sequence[Logged]
    calls: Sequence[Call]
    is_told: bool

    def of(self, stage: Stage) -> list[Logged]:
        """Its events of one stage, in order."""
        return [one for one in self.events if one.event.stage == stage]

    def taken(self) -> dict[str, list[Call]]:
        """The calls that a provider took, by channel."""
        found: dict[str, list[Call]] = defaultdict(list)
        for call in self.calls:
            if call.outcome == TAKEN:
                found[call.channel].append(call)
        return found


# -- the rules: each says whether it is broken


def is_missing(case: Case) -> bool:
    """No final status: the message is lost."""
    return case.fact is None


def is_ended_otherwise(case: Case) -> bool:
    """Refused though it was right, or the other way round, or refused for another reason than its own."""
    if case.fact is None:
        return False
    refusal = case.fact.reason if case.fact.status == Status.REJECTED else ""
    return refusal != case.offer.refusal


def is_unexplained(case: Case) -> bool:
    """Not done, and nobody says why."""
    return case.fact is not None and case.fact.status not in DONE and not case.fact.reason


def is_unseen(case: Case) -> bool:
    """Said to be done, but no provider has ever taken it."""
    return case.fact is not None and case.fact.status in DONE and not case.taken()


def is_told_otherwise(case: Case) -> bool:
    """The store's status is not the highest one in the log."""
    logged = {one.event.status for one in case.of(Stage.COMPLETED)}
    return case.fact is not None and case.fact.status != max(logged, key=_rank, default="")


def is_contradicted(case: Case) -> bool:
    """Two final statuses of which the later one is not the higher: the platform changed its mind."""
    ranks = [_rank(status) for status in dict.fromkeys(one.event.status for one in case.of(Stage.COMPLETED))]
    return ranks != sorted(set(ranks))


def is_untold(case: Case) -> bool:
    """The application that sent it never got an outcome."""
    return not case.is_told


def is_called_after_answer(case: Case) -> bool:
    """A provider was called, or a call claimed, after the log knew that the channel had taken it."""
    answered: dict[str, int] = {}
    for one in case.events:
        event = one.event
        if event.stage == Stage.OUTCOME and event.status in SAID_OK:
            answered.setdefault(event.channel, one.appended_at)
        elif event.stage == Stage.SENDING and event.channel in answered and not _is_repeat(one, case):
            return True
    return any(call.channel in answered and call.at > answered[call.channel] for call in case.calls)


def is_called_unclaimed(case: Case) -> bool:
    """A provider was called without a claim in the log before it, or more often than was claimed."""
    claims: dict[str, dict[int, int]] = defaultdict(dict)
    for one in case.of(Stage.SENDING):
        claims[one.event.channel].setdefault(one.event.attempt, one.appended_at)
    calls: dict[str, list[Call]] = defaultdict(list)
    for call in case.calls:
        calls[call.channel].append(call)
    return any(_exceeds(made, claims[channel]) for channel, made in calls.items())


def _exceeds(calls: Sequence[Call], claims: Mapping[int, int]) -> bool:
    """More calls than claims had been made by then, or one of an attempt that was not claimed, or called before."""
    made: Counter[int] = Counter()
    for number, call in enumerate(calls, start=1):
        made[call.attempt] += 1
        if call.attempt and (made[call.attempt] > 1 or claims.get(call.attempt, call.at + 1) > call.at):
            return True
        if sum(appended_at <= call.at for appended_at in claims.values()) < number:
            return True
    return False


def is_faulty(case: Case) -> bool:
    """A provider was called in a way that it does not understand, which is never the recipient's fault."""
    return any(call.outcome == FAULTY for call in case.calls)


def is_unflagged(case: Case) -> bool:
    """A claim after one whose fate is not certain does not say that it may be a double."""
    uncertain: set[str] = set()
    claimed: dict[str, int] = {}
    for one in case.events:
        event = one.event
        if event.stage == Stage.SENDING and event.attempt > claimed.get(event.channel, 0):
            if event.channel in uncertain and not event.possible_duplicate:
                return True
            claimed[event.channel] = event.attempt
            uncertain.add(event.channel)
        elif _is_certain(event) and event.attempt == claimed.get(event.channel):
            uncertain.discard(event.channel)
    return False


def is_double_unflagged(case: Case) -> bool:
    """A provider took it twice, and the later call, or the store, does not say that it may be a double."""
    if not is_double(case):
        return False
    if case.fact is None or not case.fact.possible_duplicate:
        return True
    flagged = {(one.event.channel, one.event.attempt) for one in case.of(Stage.SENDING) if one.event.possible_duplicate}
    by_channel = Counter(channel for channel, _ in flagged)
    for channel, calls in case.taken().items():
        later = calls[1:]
        if len(later) > by_channel[channel] or any(
            one.attempt and (channel, one.attempt) not in flagged for one in later
        ):
            return True
    return False


def is_early(case: Case) -> bool:
    """A provider was called before the message's time."""
    return any(call.at < case.offer.send_at for call in case.calls)


def is_cancelled_in_vain(case: Case) -> bool:
    """Said to be cancelled, but a provider took it."""
    return case.fact is not None and case.fact.status == Status.CANCELLED and bool(case.taken())


# -- what is worth counting, and no fault


def is_double(case: Case) -> bool:
    """A provider took it twice on one channel."""
    return any(len(calls) > 1 for calls in case.taken().values())


def is_possible_double(case: Case) -> bool:
    """The store says that somebody may have got it twice."""
    return case.fact is not None and case.fact.possible_duplicate


def is_raised(case: Case) -> bool:
    """A late proof raised its final status."""
    return len({one.event.status for one in case.of(Stage.COMPLETED)}) > 1


def is_lapsed(case: Case) -> bool:
    """A delivery of it was never claimed, and issued again."""
    return bool(case.of(Stage.LAPSED))


Rule = Callable[[Case], bool]

RULES: Final[Mapping[str, Rule]] = {
    "without a final status": is_missing,
    "ended otherwise than its request deserved": is_ended_otherwise,
    "not done, and no reason given": is_unexplained,
    "done, but seen by no provider": is_unseen,
    "the store says otherwise than the log": is_told_otherwise,
    "final status taken back": is_contradicted,
    "application never told": is_untold,
    "called again after its answer was recorded": is_called_after_answer,
    "called without a claim, or twice for one": is_called_unclaimed,
    "called in a way that the provider does not understand": is_faulty,
    "claimed again after an uncertain call, not flagged": is_unflagged,
    "taken twice by a provider, not flagged": is_double_unflagged,
    "called before its time": is_early,
    "cancelled, but taken by a provider": is_cancelled_in_vain,
}
COUNTED: Final[Mapping[str, Rule]] = {
    "taken twice by a provider, all flagged": is_double,
    "flagged as possible doubles": is_possible_double,
    "raised by a late proof": is_raised,
    "issued again because nobody claimed it": is_lapsed,
}


class Verdict(Struct):
    """The one-page table. `broken` and `counted` hold message ids by rule; `ended` counts (status, reason)."""

    submitted: int = 0
    strange: int = 0
    """Calls for messages that nobody offered, or that name none."""
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: dict[str, list[bytes]] = field(default_factory=lambda: {name: [] for name in RULES})
    counted: dict[str, list[bytes]] = field(default_factory=lambda: {name: [] for name in COUNTED})

    @property
    def is_clean(self) -> bool:
        """No rule was broken, and no provider heard of anything else."""
        return not any(self.broken.values()) and not self.strange

    @property
    def offenders(self) -> list[bytes]:
        """Messages that broke a rule, each once."""
        return list(dict.fromkeys(one for found in self.broken.values() for one in found))

    def table(self) -> str:
        """The page."""
        rows: list[tuple[str, int]] = [("submitted", self.submitted), ("final", sum(self.ended.values()))]
        rows += [(f"  {status} {reason}".rstrip(), count) for (status, reason), count in sorted(self.ended.items())]
        rows += [(name, len(found)) for name, found in self.counted.items()]
        rows += [(f"{name} (must be 0)", len(found)) for name, found in self.broken.items()]
        rows.append(("calls about nothing that was offered (must be 0)", self.strange))
        return "\n".join(f"{name:<68}{value:>8}" for name, value in rows)


def judge(evidence: Evidence) -> Verdict:
    """The verdict over every message that was offered."""
    offered = {offer.message_id for offer in evidence.offers}
    verdict = Verdict(strange=sum(call.message_id not in offered for call in evidence.calls))
    for case in cases(evidence):
        verdict.submitted += 1
        message_id = case.offer.message_id
        if case.fact is not None:
            verdict.ended[case.fact.status, case.fact.reason] += 1
        for rules, found in ((RULES, verdict.broken), (COUNTED, verdict.counted)):
            for name, is_so in rules.items():
                if is_so(case):
                    found[name].append(message_id)
    return verdict


def cases(evidence: Evidence) -> Iterable[Case]:
    """Every offered message with its events and calls."""
    events: dict[bytes, list[Logged]] = defaultdict(list)
    for one in evidence.log:
        events[one.event.message_id].append(one)
    calls: dict[bytes, list[Call]] = defaultdict(list)
    for call in sorted(evidence.calls, key=lambda call: call.at):
        calls[call.message_id].append(call)
    for offer in evidence.offers:
        at = offer.message_id
        yield Case(offer, evidence.facts.get(at), events.get(at, ()), calls.get(at, ()), at in evidence.told)


def _rank(status: str) -> int:
    return RANKS.get(status, 0)


def _is_certain(event: Event) -> bool:
    """Whether an answer leaves no doubt about what the provider did."""
    return event.stage in UNCALLED or event.stage == Stage.OUTCOME


def _is_repeat(claim: Logged, case: Case) -> bool:
    """Whether the same claim stands in the log before: appending an event twice changes nothing."""
    return any(
        one is not claim
        and one.event.attempt == claim.event.attempt
        and one.event.channel == claim.event.channel
        and one.appended_at <= claim.appended_at
        for one in case.of(Stage.SENDING)
    )
