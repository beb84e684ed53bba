"""The store's tables, questions and figures on the real engine, without a broker."""

import json
import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from console.cli import messages
from infra import app_queries, migrate, queries, rollup
from infra.clickhouse import Store
from infra.queries import Selection
from schemas import ids
from schemas.codec import EVENT
from schemas.records import Event
from schemas.statuses import FINAL_RANK, Stage
from schemas.topics import DAY_MS
from sinks.ingest import Ingest
from tests import trace_truth

pytestmark = [pytest.mark.slow]

OFTEN = 6
"""An expression compiler that errs does so from the fourth run on; every statement runs more often than that."""
EARLY_MS = trace_truth.TURN_MS - 10 * DAY_MS


@pytest.fixture
def store(clickhouse: str) -> Iterator[Store]:
    """A migrated database of the test's own."""
    with Store(f"{clickhouse}/store{uuid.uuid4().hex[:8]}") as made:
        migrate.apply(made)
        yield made


def written(store: Store, events: list[Event]) -> None:
    """Store the events as the trace writer does."""
    assert Ingest(store, partial(rollup.mark, store)).write([EVENT.encode(event) for event in events]) == []


def stored_cells(store: Store) -> Counter[trace_truth.Cell]:
    """Every count of the rollup."""
    rows = store.rows(
        "SELECT toString(accepted_day) AS day, kind, app_id, type, lane, channel, status, reason, sum(n) AS n"
        " FROM rollup_day GROUP BY ALL"
    )
    return Counter({tuple(list(row.values())[:-1]): row["n"] for row in rows})


def test_every_field_of_an_event_comes_back(store: Store) -> None:
    """Written so often that a compiled expression would show its faults; any bytes, also times before acceptance."""
    chance = random.Random(4)
    events = []
    for number in range(OFTEN * 3):
        event = Event(
            chance.randbytes(16), Stage.COMPLETED, "sms", number, number * 2**33, list(FINAL_RANK)[number % 9],
            at=trace_truth.TURN_MS + number * 1000 - 5000, accepted_at=trace_truth.TURN_MS - 1, app_id="his",
            type="挂号", lane="urgent", reason="billing", provider="aliyun", provider_code="isv.X",
            provider_message_id=str(number), possible_duplicate=number % 2 == 0, latency_ms=number * 10**9,
            lateness_ms=-number, recipient_key=chance.randbytes(16), template_version=number, config_version=7,
            worker="w", detail="备注", until=trace_truth.TURN_MS + number, attempts=number,
            text_hash=chance.randbytes(16), address_hash=bytes(number),
        )  # fmt: skip
        written(store, [event])
        events.append(event)
    for event in events:
        wanted = ids.show(event.message_id)
        days = queries.days_of(store, wanted)
        assert [day.isoformat() for day in days] == ["2026-10-31"]
        (row,) = queries.timeline_of(store, wanted, days)
        assert (row.at_ms, row.accepted_at_ms, row.until_ms) == (event.at, event.accepted_at, event.until)
        assert (row.attempt, row.replay_id, row.latency_ms, row.lateness_ms) == (
            event.attempt, event.replay_id, event.latency_ms, 0,
        )  # fmt: skip
        assert (row.type, row.detail, row.possible_duplicate) == (event.type, event.detail, event.possible_duplicate)
        (fact,) = queries.facts_of(store, wanted, days)
        assert (fact.status, fact.attempts, fact.text_hash, fact.address_hash, fact.recipient_key) == (
            event.status, event.attempts, event.text_hash.hex(), event.address_hash.hex(), event.recipient_key.hex(),
        )  # fmt: skip
    ranks = store.rows("SELECT status, rank, version, latency_ms FROM message_facts FINAL")
    assert all(row["rank"] == FINAL_RANK[row["status"]] for row in ranks)
    assert all(row["version"] == row["rank"] * 10**13 + row["latency_ms"] for row in ranks)


def test_two_requests_about_a_message_are_two_things_that_happened(store: Store) -> None:
    """Taken back twice, moved twice: every request stands in the trace, and the same one only once."""
    of, at = uuid.uuid4().bytes, trace_truth.TURN_MS

    def asked(stage: str, request_id: str, late_ms: int) -> Event:
        return Event(of, stage, status=stage, at=at + late_ms, accepted_at=at, latency_ms=late_ms, detail=request_id)

    first, second = "0a" * 16, "0b" * 16
    said = [asked(Stage.CANCEL_REQUESTED, first, 5), asked(Stage.CANCEL_REQUESTED, second, 9)]
    moved = [asked(Stage.RESCHEDULE_REQUESTED, first, 1), asked(Stage.RESCHEDULE_REQUESTED, second, 2)]
    written(store, [*said, *moved, *said])
    found = store.rows("SELECT stage, detail FROM events FINAL ORDER BY latency_ms")
    assert [(row["stage"], row["detail"]) for row in found] == [(one.stage, one.detail) for one in [*moved, *said]]


def test_a_second_request_does_not_take_the_place_of_the_first(store: Store) -> None:
    """Its acceptance is one of its own, however late; the same one, written or answered again, stays one row."""
    of, at = uuid.uuid4().bytes, trace_truth.TURN_MS

    def accepted(later_ms: int, late_ms: int) -> Event:
        own = at + later_ms
        return Event(of, Stage.ACCEPTED, status="accepted", at=own + late_ms, accepted_at=own, latency_ms=late_ms)

    first, second = accepted(0, 5), accepted(60_000, 90)
    ended = Event(of, Stage.COMPLETED, status="sent", at=at + 900, accepted_at=at, latency_ms=900)
    written(store, [first, ended, second, first])
    written(store, [second, accepted(0, 4)])
    wanted = ids.show(of)
    told = queries.timeline_of(store, wanted, queries.days_of(store, wanted))
    assert [(row.stage, row.at_ms - at) for row in told] == [("accepted", 5), ("completed", 900), ("accepted", 60_090)]


def test_an_open_message_is_listed_once_however_often_it_was_asked_for(store: Store) -> None:
    """Also where the list is short: a message that was sent again takes one place of it."""
    at = trace_truth.TURN_MS
    often, once = uuid.uuid4().bytes, uuid.uuid4().bytes
    begun = [(often, 1), (often, 2), (often, 3), (once, 0)]
    written(store, [Event(of, Stage.ACCEPTED, status="accepted", at=at + ms, accepted_at=at + ms) for of, ms in begun])
    found = queries.timelines_of_open(store, Selection(since_ms=EARLY_MS, limit=2))
    assert [(timeline[0].message_id, len(timeline)) for timeline in found] == [
        (ids.show(often), 3),
        (ids.show(once), 1),
    ]


def test_open_messages_are_counted_for_a_moment_and_bounded_over_a_span(store: Store) -> None:
    """Begun and ended before, within and after it; repeats count once, a refusal opens and ends nothing."""
    moment = trace_truth.TURN_MS

    def lived(begun_ms: int, ended_ms: int | None = None, status: str = "sent") -> list[Event]:
        of = uuid.uuid4().bytes
        known: dict[str, Any] = {"accepted_at": moment + begun_ms, "app_id": "his", "type": "t", "lane": "urgent"}
        begun = Event(of, Stage.ACCEPTED, status="accepted", at=moment + begun_ms, **known)
        if ended_ms is None:
            return [begun, begun]
        late_ms = ended_ms - begun_ms
        return [begun, Event(of, Stage.COMPLETED, status=status, at=moment + ended_ms, latency_ms=late_ms, **known)]

    refused = Event(uuid.uuid4().bytes, Stage.COMPLETED, status="rejected", at=moment, accepted_at=moment, app_id="lis")
    written(
        store,
        [
            *lived(-9_000),
            *lived(-9_000, 5_000),
            *lived(-9_000, -500),
            *lived(-9_000, -5_000),
            *lived(-500),
            *lived(500),
            *lived(-9_000, -4_000, "rejected"),
            refused,
        ],
    )
    (found,) = app_queries.open_messages(store, EARLY_MS, (moment - 1_000, moment))
    assert (found.app_id, found.lane) == ("his", "urgent")
    assert (found.messages, found.at_least, found.at_most) == (4, 3, 5)


def test_every_question_answers_alike_however_often(store: Store) -> None:
    """Six times the same answer, and the sums equal the truth."""
    known = trace_truth.history(600)
    written(store, trace_truth.repeated(known, 0.2))
    one = ids.show(known[5].message_id)
    days = queries.days_of(store, one)
    chosen = Selection(since_ms=EARLY_MS, app_id="his", limit=10_000)
    asked: dict[str, Callable[[], Any]] = {
        "days": lambda: queries.days_of(store, one),
        "facts": lambda: queries.facts_of(store, one, days),
        "timeline": lambda: queries.timeline_of(store, one, days),
        "finished": lambda: queries.finished(store, chosen),
        "open": lambda: queries.timelines_of_open(store, chosen),
        "outcomes": lambda: queries.outcomes_by_type_and_channel(store, EARLY_MS),
        "refusals": lambda: queries.refusals_by_reason(store, EARLY_MS),
    }
    for name, ask in asked.items():
        answers: list[Any] = [ask() for _ in range(OFTEN)]
        assert all(answer == answers[0] for answer in answers), name
    facts = trace_truth.facts(known)
    assert sum(count.messages for count in queries.outcomes_by_type_and_channel(store, EARLY_MS)) == len(facts)
    assert len(queries.finished(store, chosen)) == len(
        {event.message_id for event in known if event.app_id == "his" and event.stage == Stage.COMPLETED}
    )
    refused = Counter((event.reason, event.app_id) for event in known if event.stage == Stage.REJECTED)
    found = {(count.reason, count.app_id): count.requests for count in queries.refusals_by_reason(store, EARLY_MS)}
    assert found == refused


def test_an_open_message_is_listed_until_it_is_finished(store: Store) -> None:
    """By its events, and then by its fact."""
    known = [event for event in trace_truth.history(60) if event.stage != Stage.REJECTED]
    finished = {event.message_id for event in known if event.stage == Stage.COMPLETED and event.status != "rejected"}
    written(store, [event for event in known if event.stage != Stage.COMPLETED])
    chosen = Selection(since_ms=EARLY_MS, limit=1000)
    assert {timeline[0].message_id for timeline in queries.timelines_of_open(store, chosen)} == {
        ids.show(of) for of in finished
    }
    written(store, known)
    assert queries.timelines_of_open(store, chosen) == []


@pytest.mark.parametrize("seed", range(3))
def test_no_broken_value_moves_its_neighbours(store: Store, seed: int) -> None:
    """Cut, lengthened or scrambled values among good ones: every good one is stored as it is, nothing is made up."""
    chance = random.Random(seed)
    good = trace_truth.history(60, seed=seed)
    values = [EVENT.encode(event) for event in good]
    broken = set(chance.sample(range(len(values) - 1), 12))  # behind the last value nobody could stumble
    for at in broken:
        kind = chance.randrange(3)
        value = values[at]
        body = bytes(chance.randrange(256) for _ in range(len(value) - 10))
        values[at] = (value[: -chance.randrange(1, 40)], value + bytes(chance.randrange(1, 12)), value[:10] + body)[
            kind
        ]
    refused = Ingest(store, partial(rollup.mark, store)).write(values)
    assert set(refused) == broken
    wanted = trace_truth.identities(event for at, event in enumerate(good) if at not in broken)
    rows = store.rows(
        "SELECT replaceAll(toString(message_id), '-', '') AS id, stage, channel, attempt, replay_id, status, latency_ms"
        " FROM events FINAL"
    )
    assert {tuple(list(row.values())[:-1]): row["latency_ms"] for row in rows} == wanted


def test_two_builders_at_once_leave_exact_figures(store: Store) -> None:
    """While events still come: what they left behind as clean is clean, and the rest is built once more."""
    known = trace_truth.repeated(trace_truth.history(900), 0.1)
    is_fed = threading.Event()
    faults: list[BaseException] = []

    def build(name: str) -> None:
        try:
            with Store(store.dsn) as own:
                while not is_fed.is_set():
                    rollup.rebuild(own, name)
        except BaseException as fault:  # noqa: BLE001 - shown by the test
            faults.append(fault)

    builders = [threading.Thread(target=build, args=(name,)) for name in ("one", "two")]
    for builder in builders:
        builder.start()
    for start in range(0, len(known), 400):
        written(store, known[start : start + 400])
    is_fed.set()
    for builder in builders:
        builder.join(60)
    assert faults == []
    assert not any(builder.is_alive() for builder in builders)
    rollup.rebuild(store, "three")
    assert stored_cells(store) == trace_truth.cells(known)
    assert [row["name"] for row in store.rows("SHOW TABLES LIKE 'rollup_stage%'")] == []


def test_a_day_whose_rows_are_gone_loses_its_figures(store: Store) -> None:
    """Erased events must not live on in a sum."""
    written(store, trace_truth.history(30))
    rollup.rebuild(store, "one")
    assert stored_cells(store)
    days = [row["d"] for row in store.rows("SELECT DISTINCT accepted_day AS d FROM events")]
    store.command("TRUNCATE TABLE events")
    store.command("TRUNCATE TABLE message_facts")
    rollup.mark(store, days)
    rollup.rebuild(store, "one")
    assert stored_cells(store) == Counter()


def test_a_migration_killed_in_the_middle_is_made_good(clickhouse: str) -> None:
    """Half of its statements were carried out and nothing was recorded."""
    with Store(f"{clickhouse}/half{uuid.uuid4().hex[:8]}") as store:
        first, *others = migrate.released()
        migrate.apply(store, [])
        store.command(first.statements[0])
        assert migrate.apply(store) == [first, *others]
        written(store, trace_truth.history(3))


def test_the_command_tells_what_the_store_knows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """`messages get`, `events` and `list` against real tables."""
    known = trace_truth.history(40)
    reference = ids.from_reference("his", "R-1")
    mine = [
        msgspec.structs.replace(event, message_id=reference)
        for event in known
        if event.message_id == known[5].message_id
    ]
    written(store, [*known, *mine])
    monkeypatch.setenv("MEDPOST_CLICKHOUSE", store.dsn)
    run = partial(CliRunner().invoke, messages.app)
    shown = json.loads(run(["get", "--reference", "his/R-1", "--format", "json"]).output)
    fact = trace_truth.facts(mine)[reference.hex()]
    assert (shown["status"], shown["latency_ms"], shown["attempts"]) == (fact.status, fact.latency_ms, fact.attempts)
    lines = run(["events", ids.show(reference), "--format", "jsonl"]).output.splitlines()
    assert [json.loads(line)["stage"] for line in lines] == [event.stage for event in mine]
    listed = run(["list", "--since", "2026-10-20", "--limit", "1000", "--format", "jsonl"]).output.splitlines()
    assert len(listed) == len(trace_truth.facts([*known, *mine]))
    assert run(["get", str(uuid.uuid4())]).exit_code == 1
