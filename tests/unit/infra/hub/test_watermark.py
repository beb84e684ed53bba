"""The watermark against random histories: it never passes an unfinished record, and ends behind the last."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from infra.hub.watermark import Place, Ticket, Watermark

PLACES = [Place("in", 0), Place("in", 1), Place("other", 0)]
EVERY_PLACE = st.sampled_from(PLACES)


class Delivered:
    """A chunk as the history remembers it: the offsets of its records and how many agents still owe it."""

    def __init__(self, ticket: Ticket, offsets: list[int], owed: int) -> None:
        self.ticket = ticket
        self.offsets = offsets
        self.owed = owed


class Histories(RuleBasedStateMachine):
    """Deliver chunks with gaps, finish them in any order by one or several agents, rebalance at any moment."""

    @initialize()
    def begin(self) -> None:
        """Start with nothing."""
        self.watermark = Watermark()
        self.next = dict.fromkeys(PLACES, 0)
        self.delivered: dict[Place, list[Delivered]] = {place: [] for place in PLACES}
        self.stale: list[Ticket] = []

    @rule(place=EVERY_PLACE, gap=st.integers(0, 3), size=st.integers(1, 7), owed=st.integers(1, 3))
    def deliver(self, place: Place, gap: int, size: int, owed: int) -> None:
        """A chunk behind a gap (a marker, a compacted record) goes to some agents."""
        offsets = [self.next[place] + gap + at for at in range(size)]
        self.next[place] = offsets[-1] + 1
        ticket = self.watermark.open(place, offsets[-1] + 1, owed, 0.0)
        self.delivered[place].append(Delivered(ticket, offsets, owed))

    @rule(place=EVERY_PLACE, which=st.integers(0, 50))
    def finish(self, place: Place, which: int) -> None:
        """Any agent finishes any unfinished chunk."""
        unfinished = [chunk for chunk in self.delivered[place] if chunk.owed]
        if unfinished:
            chunk = unfinished[which % len(unfinished)]
            chunk.owed -= 1
            assert self.watermark.finish(chunk.ticket) == (chunk.owed == 0)

    @rule()
    def rebalance(self) -> None:
        """All is taken away; reading begins again at the marks."""
        for place, chunks in self.delivered.items():
            self.stale += [chunk.ticket for chunk in chunks if chunk.owed]
            self.next[place] = self.watermark.mark(place) or 0
            self.delivered[place] = []
        self.watermark.reset()

    @rule(which=st.integers(0, 50))
    def finish_stale(self, which: int) -> None:
        """An agent of the old assignment comes late: it changes nothing."""
        if self.stale:
            before = {place: self.watermark.mark(place) for place in PLACES}
            assert not self.watermark.finish(self.stale[which % len(self.stale)])
            assert before == {place: self.watermark.mark(place) for place in PLACES}

    @invariant()
    def never_passes_an_unfinished_record(self) -> None:
        """The mark lies at or before the first record that somebody still owes."""
        for place, chunks in self.delivered.items():
            mark = self.watermark.mark(place)
            owed = [offset for chunk in chunks if chunk.owed for offset in chunk.offsets]
            assert mark is None or not owed or mark <= min(owed)

    @invariant()
    def reaches_the_end_of_what_is_finished(self) -> None:
        """With everything finished, the mark is the last record + 1, and nothing counts as open."""
        for place, chunks in self.delivered.items():
            if chunks and not any(chunk.owed for chunk in chunks):
                assert self.watermark.mark(place) == chunks[-1].offsets[-1] + 1
                assert self.watermark.depth(place) == 0

    @invariant()
    def counts_credit_from_the_first_unfinished_chunk(self) -> None:
        """Depth is what lies at or behind the first unfinished chunk, so a stuck head uses the window up."""
        for place, chunks in self.delivered.items():
            first = next((at for at, chunk in enumerate(chunks) if chunk.owed), len(chunks))
            assert self.watermark.depth(place) == len(chunks) - first


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_finishing_out_of_order_moves_the_mark_only_when_the_head_is_done() -> None:
    """Chunks 2 and 3 done, 1 open: nothing to commit; then all three at once."""
    watermark = Watermark()
    tickets = [watermark.open(PLACES[0], offset, 1, 0.0) for offset in (10, 20, 30)]
    watermark.finish(tickets[1])
    watermark.finish(tickets[2])
    assert watermark.mark(PLACES[0]) is None
    watermark.finish(tickets[0])
    assert watermark.mark(PLACES[0]) == 30


def test_unfinished_names_the_oldest_of_each_partition() -> None:
    """The hang detector sees the head of every partition, with its time."""
    watermark = Watermark()
    watermark.open(PLACES[0], 1, 1, 5.0)
    watermark.open(PLACES[0], 2, 1, 6.0)
    done = watermark.open(PLACES[1], 1, 1, 1.0)
    watermark.finish(done)
    assert [ticket.opened_s for ticket in watermark.unfinished()] == [5.0]


def test_reset_forgets_marks() -> None:
    """A mark of an assignment that is over can never be committed by the next."""
    watermark = Watermark()
    watermark.finish(watermark.open(PLACES[0], 10, 1, 0.0))
    assert watermark.marked() == [PLACES[0]]
    watermark.reset()
    assert watermark.marked() == []
