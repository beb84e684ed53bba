"""The trace writer on a real broker and a real store: exact after kills, repeats, outages and poison."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

import psutil
import pytest

from infra import migrate, rollup
from infra.clickhouse import Store
from infra.local import processes, store_site
from infra.local.ports import any_port
from schemas.codec import DEAD_LETTER, EVENT
from schemas.errors import Reason
from tests import factories, trace_truth
from tests.integration.trace_stage import Stage, stage, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def at(kafka: str, clickhouse: str, tmp_path: Path) -> Iterator[Stage]:
    """A namespace and a database of the test's own."""
    with stage(kafka, clickhouse, tmp_path) as made:
        yield made


def built(at: Stage) -> None:
    """Bring the figures up to date; trace writers that still run may be at it too, and then mark the days again."""

    def is_clean() -> bool:
        rollup.rebuild(at.store, "test")
        return not rollup.dirty_days(at.store)

    wait_until(is_clean, 60, "days stay dirty")


def test_counts_are_exact_after_kills_and_repeats(at: Stage) -> None:
    """Killed eight times while writing and rebuilding, fed out of order and repeatedly: equal to the truth."""
    known = trace_truth.history(4000)
    fed = trace_truth.repeated(known, 0.1)
    migrate.apply(at.store)
    tracer = at.start()
    slices = [fed[start::9] for start in range(9)]
    for number, part in enumerate(slices):
        at.feed(part)
        time.sleep(0.3 + 0.35 * number)
        if number < 8:
            tracer.send_signal(signal.SIGKILL)
            tracer.wait()
            tracer = at.start()
    at.settled()
    at.stop(tracer)
    built(at)
    assert at.identities() == trace_truth.identities(fed)
    assert at.facts() == trace_truth.facts(fed)
    assert at.cells() == trace_truth.cells(fed)
    assert at.dead() == []


def test_everything_appended_a_second_time_moves_no_figure(at: Stage) -> None:
    """Two trace writers share the work; then the whole log comes again, the other way round."""
    known = trace_truth.history(1500, seed=5)
    tracers = [at.start(), at.start()]
    at.feed(known)
    at.settled()
    built(at)
    before = (at.identities(), at.facts(), at.cells())
    assert before == (trace_truth.identities(known), trace_truth.facts(known), trace_truth.cells(known))
    at.feed(reversed(known))
    at.settled()
    built(at)
    assert (at.identities(), at.facts(), at.cells()) == before
    for tracer in tracers:
        at.stop(tracer)


def test_a_poison_event_costs_one_dead_letter(at: Stage) -> None:
    """One in 500 is cut short or no event at all: those are buried with their reason, all others are rows."""
    known = trace_truth.history(1000, seed=9)
    records = trace_truth.encoded(known)
    poison = [
        (lane, key, value[:-3] if number % 2 else b"\xc3\x01garbage!" + value)
        for number, (lane, key, value) in enumerate(records[::500])
    ]
    tracer = at.start()
    mixed = [
        one
        for start in range(0, len(records), 500)
        for one in [*records[start : start + 500], *poison[start // 500 : start // 500 + 1]]
    ]
    at.append(mixed)
    at.settled()
    letters = [DEAD_LETTER.decode(letter.value) for letter in at.dead()]
    assert len(letters) == len(poison)
    assert {letter.reason for letter in letters} == {Reason.DECODE_ERROR}
    assert at.identities() == trace_truth.identities(known)
    assert at.stop(tracer) == 0


def test_an_outage_of_the_store_loses_nothing(kafka: str, tmp_path: Path) -> None:
    """Killed for some seconds under load: the writer waits with bounded memory and goes on by itself."""
    site = store_site.StoreSite(tmp_path / "store", any_port())
    running = store_site.start(site, os.environ, ends_with_parent=True)
    known = trace_truth.history(12_000, seed=3)
    with stage(kafka, site.url, tmp_path) as at:
        tracer = at.start()
        at.feed(known[:5000])
        at.settled()
        processes.send(running, signal.SIGKILL)
        wait_until(lambda: not processes.is_running(running) or processes.reap(running.pid) is not None, 60, "no end")
        at.feed(known[5000:])
        time.sleep(3)
        assert tracer.poll() is None
        assert psutil.Process(tracer.pid).memory_info().rss < 300e6
        assert at.behind() > 0
        running = store_site.start(site, os.environ, ends_with_parent=True)
        at.settled()
        built(at)
        assert at.identities() == trace_truth.identities(known)
        assert at.cells() == trace_truth.cells(known)
        assert at.dead() == []
        assert at.stop(tracer) == 0
    processes.stop([running], store_site.STOP_GRACE_S)


def test_a_tracer_without_a_store_still_stops_in_time(kafka: str, tmp_path: Path) -> None:
    """It waits for the store, and is asked to end meanwhile."""
    with stage(kafka, f"http://127.0.0.1:{any_port()}", tmp_path) as at:
        at.feed(trace_truth.history(10))
        tracer = at.start()
        wait_until(lambda: "waiting for the store" in at.log(), 60, "it does not say that it waits")
        start_s = time.monotonic()
        assert at.stop(tracer) in {0, 70}
        assert time.monotonic() - start_s < 20  # 10 s with a core of its own


def test_at_low_load_an_event_is_visible_within_two_seconds(at: Stage) -> None:
    """From append to SELECT: p95 of 40 events, ten a second."""
    tracer = at.start()
    at.feed(trace_truth.history(2))
    at.settled()
    waiting: dict[str, float] = {}
    seen: list[float] = []
    for number in range(40):
        event = factories.answer(
            factories.message_id(number), "sending", "sms", accepted_at=factories.T0, lane="normal"
        )
        at.append([("normal", event.message_id, EVENT.encode(event))])
        waiting[event.message_id.hex()] = time.monotonic()
        next_s = time.monotonic() + 0.1
        while time.monotonic() < next_s or (number == 39 and waiting):
            visible = {of for of, *_ in at.identities()}
            now_s = time.monotonic()
            seen += [now_s - waiting.pop(of) for of in list(waiting) if of in visible]
            assert now_s < next_s + 10
            time.sleep(0.02)
    assert quantiles(seen, n=20)[18] <= 2.0
    print(f"visible p50 {quantiles(seen, n=2)[0]:.2f} s, p95 {quantiles(seen, n=20)[18]:.2f} s")  # noqa: T201 - shown with -s
    assert at.stop(tracer) == 0


def test_several_processes_may_migrate_at_once(at: Stage) -> None:
    """Three trace writers start on an empty store; every migration is recorded once and the tables work."""
    for _ in range(3):
        at.start()
    known = trace_truth.history(50)
    at.feed(known)
    at.settled()
    assert at.identities() == trace_truth.identities(known)
    recorded = at.store.rows("SELECT number, count() AS n FROM migrations FINAL GROUP BY number ORDER BY number")
    assert [(row["number"], row["n"]) for row in recorded] == [(one.number, 1) for one in migrate.released()]
    assert migrate.apply(Store(at.dsn)) == []
