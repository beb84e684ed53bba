"""Gathers what there is to judge by: the log, the store's facts, the simulators' calls, the applications' outcomes.

Called by the course; reads only. Also says whether everything that was written has been read by those who must, and
takes the figures of the store and the simulators as one value that can be compared with a later one.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from infra import rollup
from infra.clickhouse import Store
from infra.kafka import LogReader, Publisher
from infra.settings import Settings
from schemas import ids, topics
from schemas.codec import EVENT, OUTCOME
from schemas.errors import UnavailableError
from schemas.statuses import LANES
from tests.ledger.judge import FAULTY, Call, Evidence, Fact, Logged, Offer
from tests.ledger.plant import Plant

QUIET_S: Final = 60.0
ASK_S: Final = 10.0
PROVIDER_OF: Final[Mapping[str, str]] = {
    "aliyun": "sms",
    "tencent": "sms",
    "standard": "webhook",
    "template": "wechat",
    "smtp": "email",
}

FINAL: Final = "SELECT uniqExact(message_id) AS n FROM message_facts"
FACTS: Final = """
SELECT toString(message_id) AS id, status, reason, possible_duplicate FROM message_facts FINAL WHERE replay_id = 0
"""
FIGURES: Final[Mapping[str, str]] = {
    "messages": """
        SELECT type, lane, channel, status, reason, count() AS n, sum(attempts) AS attempts, sum(latency_ms) AS ms,
            sum(possible_duplicate) AS doubles, groupBitXor(cityHash64(message_id)) AS ids
        FROM message_facts FINAL GROUP BY ALL ORDER BY ALL
    """,
    "events": """
        SELECT stage, channel, status, reason, count() AS n, sum(latency_ms) AS ms,
            groupBitXor(cityHash64(message_id, attempt, replay_id, detail)) AS identities
        FROM events FINAL GROUP BY ALL ORDER BY ALL
    """,
    "rollup": """
        SELECT kind, app_id, type, lane, channel, status, reason, sum(n) AS n,
            quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency) AS ms
        FROM rollup_day GROUP BY ALL ORDER BY kind, app_id, type, lane, channel, status, reason
    """,
}


def final_count(store: Store) -> int:
    """How many messages have a final status in the store."""
    return int(store.rows(FINAL)[0]["n"])


def gather(plant: Plant, offers: list[Offer]) -> Evidence:
    """Everything, as it is now."""
    with plant.store() as store:
        facts = {
            ids.parse(row["id"]): Fact(row["status"], row["reason"], row["possible_duplicate"])
            for row in store.rows(FACTS)
        }
    with LogReader(plant.addresses.kafka) as reader:
        log = list(read_log(reader, plant.settings))
        told = frozenset(_told(reader, plant.settings))
    return Evidence(offers, facts, log, [call_of(row) for row in plant.calls() if names_a_message(row)], told)


def read_log(reader: LogReader, settings: Settings) -> Iterator[Logged]:
    """Every event of every lane, in order within a partition."""
    for lane in LANES:
        for record in reader.read_all(topics.events(lane).named(settings.namespace)):
            yield Logged(EVENT.decode(record.value), record.timestamp)


def _told(reader: LogReader, settings: Settings) -> Iterator[bytes]:
    for record in reader.read_all(topics.OUTCOMES.named(settings.namespace)):
        yield ids.parse(OUTCOME.decode(record.value).message_id)


def names_a_message(row: Mapping[str, Any]) -> bool:
    """Whether an entry can be about a message: a mail refused at its envelope has said nothing of itself yet."""
    return bool(row["key"]) or row["provider"] != "smtp"


def call_of(row: Mapping[str, Any]) -> Call:
    """A simulator's entry as a call; without a message's id when it names none, as one with a bad signature."""
    channel, named, attempt = PROVIDER_OF[row["provider"]], str(row["message_id"]), 0
    out_id = str(row["key"]).split(".")  # of an SMS: message, attempt, replay, provider key
    if channel == "sms" and len(out_id) == 4:
        named, attempt = out_id[0], int(out_id[1])
    outcome = FAULTY if row["action"] == "examine" else row["outcome"]
    return Call(bytes.fromhex(named) if len(named) == 32 else b"", channel, row["at"], outcome, attempt)


# -- has everything been read


def unread(settings: Settings, bootstrap: str) -> dict[str, int]:
    """Records of `events` that a group has not committed yet, by group; groups that are done are left out."""
    owed = {settings.group("trace"): LANES, **{settings.group("settle", lane): (lane,) for lane in LANES}}
    found = {
        group: unread_of(group, bootstrap, [topics.events(lane).named(settings.namespace) for lane in lanes], settings)
        for group, lanes in owed.items()
    }
    return {group: count for group, count in found.items() if count}


def unread_of(group: str, bootstrap: str, names: list[str], settings: Settings) -> int:
    """Records of these topics that a group has not committed yet; raises UnavailableError without a broker."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
    try:
        places = [TopicPartition(name, number) for name in names for number in range(settings.partitions)]
        committed = consumer.committed(places, timeout=ASK_S)
        return sum(consumer.get_watermark_offsets(at, timeout=ASK_S)[1] - max(at.offset, 0) for at in committed)
    except KafkaException as problem:
        raise UnavailableError("asking for committed offsets failed", "see the broker's log") from problem
    finally:
        consumer.close()


def wait_quiet(plant: Plant, limit_s: float = QUIET_S) -> None:
    """Wait until settle and the trace writer have read and committed all events, and no more come.

    Raises UnavailableError naming who does not.
    """
    until = time.monotonic() + limit_s
    seen: object = None
    while True:
        behind = unread(plant.settings, plant.addresses.kafka)
        ends = log_ends(plant)
        if not behind and ends == seen:
            return
        seen = ends
        if time.monotonic() > until:
            raise UnavailableError(f"not read to the end: {behind}", f"read the logs in {plant.logs}")
        time.sleep(1.0)


def log_ends(plant: Plant) -> dict[str, int]:
    """How many records each topic that settle and the sinks write to holds."""
    settings = plant.settings
    names = [topics.events(lane).name for lane in LANES]
    names += [topics.deliveries(channel, lane).name for channel in sorted({*PROVIDER_OF.values()}) for lane in LANES]
    with LogReader(plant.addresses.kafka) as reader:
        return {
            name: sum(reader.end_offsets(settings.topic(name)).values())
            for name in [*names, topics.OUTCOMES.name, topics.DEAD.name]
        }


# -- figures


def figures(plant: Plant) -> dict[str, object]:
    """Everything that a report is made of, and what the simulators counted; the rollup is rebuilt first."""
    with plant.store() as store:
        while rollup.dirty_days(store):
            rollup.rebuild(store, "ledger")
        found: dict[str, object] = {name: store.rows(statement) for name, statement in FIGURES.items()}
    return {**found, "simulators": plant.ask("/sim/counts")}


def moved(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The names of figures that are not what they were."""
    return [name for name in before if before[name] != after[name]]


def append_again(plant: Plant, since_ms: int, told: Callable[[str], None]) -> int:
    """Append every event since that moment once more, as it is, to where it is; returns how many."""
    failures: list[str] = []
    count = 0
    publisher = Publisher(plant.addresses.kafka, queue_buffering_max_messages=1_000_000)
    with LogReader(plant.addresses.kafka) as reader:
        for lane in LANES:
            name = topics.events(lane).named(plant.settings.namespace)
            for number, end in reader.end_offsets(name).items():
                for record in reader.read(name, number, reader.offset_for_time(name, number, since_ms), end):
                    publisher.publish(
                        name,
                        record.value or b"",
                        record.key,
                        list(record.headers),
                        number,
                        lambda failure: failures.append(failure.name) if failure else None,
                    )
                    count += 1
    left = publisher.close(60)
    if left or failures:
        raise UnavailableError(f"{left + len(failures)} events were not appended again", "see the broker's log")
    told(f"appended {count} events again")
    return count
