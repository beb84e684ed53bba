"""The sample hospital's day, published: what its thirteen systems send, through the same path that anybody's does.

Called by `medpost sample` (and so by `make run`). Spoiled input is published too, some of it under a wrong key, so that
refusals can be seen. Sends nothing to a provider and waits for nothing but the broker.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Final

from msgspec import Struct, field, structs

from console import offers, words
from console.credentials import Clients, Credential, Credentials, read_registry
from console.publish_report import OUTCOMES, told
from console.publishing import Desk, Ended, Offer, Outcome, Totals, publish
from infra.clock import HandClock, SystemClock
from infra.settings import Settings
from producers import mapping_files
from producers.hl7_feed import Reader
from schemas.errors import UnavailableError

EVENTS: Final = Path(__file__).with_name("events")
SITE: Final = "hean"
STALE_MS: Final = 2 * 3_600_000
WRONG_SECRET: Final = "wrong-on-purpose-0123456789-abcdefghijklmno"  # noqa: S105 - belongs to nobody

Told = Callable[[str], None]


class SampleSource(Struct, frozen=True):
    """One system: its name for the reader, its files below `events`, whether its key is wrong or its clock behind."""

    name: str
    files: tuple[str, ...]
    has_wrong_key: bool = False
    is_stale: bool = False


SOURCES: Final = (
    SampleSource(
        "HIS",
        (
            "his/adt-a04-registrations.hl7",
            "his/adt-a10-queue.hl7",
            "his/siu-appointments.hl7",
            "his/adt-a11-refunds.hl7",
        ),
    ),
    SampleSource("LIS", ("lis/oru-critical-gb18030.hl7", "lis/oru-reports-gb18030.hl7", "lis/oru-reports-utf8.hl7")),
    SampleSource("PACS", ("pacs/oru-reports.hl7",)),
    SampleSource("预约平台", ("booking/bookings.jsonl",)),
    SampleSource("收费", ("cashier/dft-invoices-gb18030.hl7", "cashier/payments.jsonl")),
    SampleSource("电子病历", ("emr/orm-orders.hl7", "emr/mdm-documents.hl7")),
    SampleSource("手术麻醉", ("surgery/siu-progress-gb18030.hl7",)),
    SampleSource("产科", ("obstetrics/siu-prenatal.hl7",)),
    SampleSource("药房", ("pharmacy/rds-dispensed.hl7", "pharmacy/adverse.jsonl")),
    SampleSource("护理", ("nursing/notices.jsonl", "nursing/adverse.jsonl")),
    SampleSource("输血", ("blood/ready.jsonl", "blood/adverse.jsonl")),
    SampleSource("体检", ("checkup/oru-reports-gb18030.hl7",)),
    SampleSource("随访", ("followup/follow-up.jsonl",)),
    SampleSource("坏输入", ("bad/messages.hl7", "bad/no-hl7.hl7", "bad/requests.jsonl")),
    SampleSource("未登记的应用", ("bad/unknown-app.jsonl",), has_wrong_key=True),
    SampleSource("密钥不符", ("bad/wrong-key.jsonl",), has_wrong_key=True),
    SampleSource("令牌过期", ("bad/stale-token.jsonl",), is_stale=True),
)


class SampleTotals(Struct):
    """What was published of the day: totals by source, refusals, and the published messages by type.

    `message_ids` are distinct; every one of them ends, delivered or refused by the platform.
    """

    HEADINGS: ClassVar[dict[str, str]] = {
        "source": "来源",
        "read": "读取",
        "split": "拆分增加",
        **{str(outcome): name for outcome, name in OUTCOMES.items()},
        "why": "拒绝原因",
    }

    sources: dict[str, Totals] = field(default_factory=dict)
    refused: list[Ended] = field(default_factory=list)
    message_ids: dict[str, list[str]] = field(default_factory=dict)

    @property
    def awaited(self) -> int:
        """Messages that the broker has: so many will reach a final status."""
        return sum(len(found) for found in self.message_ids.values())

    @property
    def read(self) -> int:
        """HL7 messages and JSON lines that were read."""
        return sum(totals.read for totals in self.sources.values())

    @property
    def is_reconciled(self) -> bool:
        """Whether everything that was read is accounted for."""
        return all(totals.is_reconciled for totals in self.sources.values())

    def rows(self) -> list[dict[str, object]]:
        """A row for each source: what was read, and how it ended; its members are those of `HEADINGS`."""
        return [
            {
                "source": name,
                "read": totals.read,
                "split": totals.split,
                **{str(outcome): totals.outcomes[outcome] for outcome in Outcome},
                "why": "、".join(f"{words.of_reason(reason)} {count}" for reason, count in totals.refused.items()),
            }
            for name, totals in self.sources.items()
        ]


def publish_sample(settings: Settings, run_id: str, progress: Told) -> SampleTotals:
    """Publish the whole day under references of its own; `progress` is told a line when a source is done.

    The same `run_id` again is the same messages. Needs the sample registry in force. Raises UnavailableError without
    broker or registry, or when the broker leaves something unacknowledged.
    """
    credentials, lanes = read_registry(settings)
    totals = SampleTotals()
    for source in SOURCES:
        clock = HandClock(SystemClock().now_ms() - STALE_MS) if source.is_stale else SystemClock()
        clients = Clients(settings, _keys(source, credentials), lanes, clock)
        desk = Desk(clients.client_of)
        counted = totals.sources[source.name] = Totals()
        for ended in publish(_offers(source, run_id), desk):
            _note(totals, counted, ended)
        clients.close()
        progress(f"{source.name}：读取 {counted.read} 条 · {told(counted)}")
    _check(totals)
    return totals


def _keys(source: SampleSource, credentials: Credentials) -> Credentials:
    wrong = {app: structs.replace(found, secret=WRONG_SECRET) for app, found in credentials.items()}
    return {**wrong, "archive": Credential("archive-1", WRONG_SECRET)} if source.has_wrong_key else credentials


def _offers(source: SampleSource, run_id: str) -> Iterator[Offer]:
    reader = Reader(mapping_files.load(mapping_files.packaged(SITE), run_id))
    for name in source.files:
        path = EVENTS / name
        if path.suffix == ".hl7":
            yield from offers.from_hl7(reader, [path], EVENTS, _unseen)
        else:
            yield from offers.from_jsonl(offers.lines_of(path, _unseen), name, "", run_id)


def _unseen(_size: int) -> None:
    """Nobody watches the bytes of so small a day."""


def _note(totals: SampleTotals, counted: Totals, ended: Ended) -> None:
    counted.count(ended)
    if ended.outcome is Outcome.PUBLISHED:
        totals.message_ids.setdefault(ended.offer.type, []).append(ended.message_id)
    elif ended.outcome in (Outcome.REFUSED, Outcome.UNACKNOWLEDGED):
        totals.refused.append(ended)


def _check(totals: SampleTotals) -> None:
    left = sum(counted.outcomes[Outcome.UNACKNOWLEDGED] for counted in totals.sources.values())
    if left:
        raise UnavailableError(f"broker 有 {left} 条消息没有确认", "用同一个 --run-id 再运行一次")
