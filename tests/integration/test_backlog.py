"""The live backlog on a real broker and store: within 2 s of the truth, exact after a kill, checked with the trace."""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import typer
from msgspec import structs
from typer.testing import CliRunner

from console.cli import backlog as cli
from infra import backlog as live
from infra import holds, migrate
from infra import settings as settings_module
from infra.backlog import Backlogs
from infra.clickhouse import Store
from infra.kafka import Publisher
from schemas import topics
from schemas.codec import EVENT
from schemas.configuration import Hold
from schemas.partitioner import partition_of
from schemas.statuses import Stage
from sinks.ingest import Ingest
from tests import settle_rig

if TYPE_CHECKING:
    from subprocess import Popen

    from infra.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TRUTH_MS: Final = 2_000
COUNT: Final = 400


class Site:
    """One settle, a fake sink, a channel that is held, and somebody who follows the backlog."""

    def __init__(self, kafka: str, clickhouse: str, home: Path) -> None:
        settings = settle_rig.settings_for(kafka, f"backlog.{time.time_ns()}", home, partitions=2)
        self.settings: Settings = settings.model_copy(update={"clickhouse": clickhouse})
        settle_rig.make_topics(self.settings)
        self.hold(is_held=True)
        (home / "calls").touch()
        self.sink = settle_rig.start_sink(self.settings, home / "calls")
        self.settle: Popen[bytes] = settle_rig.start_settle(self.settings, home / "settle.log")
        self.followed = Backlogs(self.settings)
        self.followed.start()

    def hold(self, *, is_held: bool) -> None:
        """Hold or release the channel."""
        holds.write(self.settings, Hold("channel", "sms", is_held, "test", settle_rig.now_ms()))

    def restart(self) -> None:
        """Kill -9, and a successor on the same disk."""
        settle_rig.stop(self.settle)
        self.settle = settle_rig.start_settle(self.settings, self.settings.home / "settle.log")

    def feed(self, count: int) -> None:
        """So many messages of one application for that channel alone, now."""
        publisher = Publisher(self.settings.kafka, linger_ms=20)
        topic = self.settings.topic(topics.events(settle_rig.LANE).name)
        for _ in range(count):
            event = structs.replace(settle_rig.message(0), message_id=os.urandom(16))
            settle_rig.publish(publisher, topic, event, partition_of(event.message_id, 2))
        assert publisher.close(30.0) == 0

    def last_append(self, stage: str) -> int:
        """When the broker took the last event of that stage."""
        return max(record.timestamp for record, event in settle_rig.log_of(self.settings) if event.stage == stage)

    def open(self) -> int:
        """Open messages, as told."""
        return sum(live.open_messages(self.followed.told).values())

    def waiting(self) -> int:
        """Who waits on the held channel, as told."""
        return sum(line.waiting for line in live.lines(self.followed.told) if line.reason == "held" and line.held)

    def told_after(self, is_true: Callable[[], bool], stage: str) -> int:
        """Wait until it is told; ms between the last event of that stage and the telling (both by the broker)."""
        wait_until(is_true)
        told_at = max(one.told_at for one in self.followed.told)
        return told_at - self.last_append(stage)

    def stop(self) -> None:
        """End everything."""
        self.followed.close()
        settle_rig.stop(self.settle, self.sink)


def wait_until(is_true: Callable[[], bool], timeout_s: float = 90) -> None:
    """Wait; fail when it takes too long."""
    until = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < until, "took too long"
        time.sleep(0.02)


@pytest.fixture
def site(kafka: str, clickhouse: str, tmp_path: Path) -> Iterator[Site]:
    """A settle that has caught up, over a database of its own."""
    url = f"{clickhouse}/backlog{uuid.uuid4().hex[:8]}"
    with Store(url) as store:
        migrate.apply(store)
    made = Site(kafka, url, tmp_path)
    yield made
    made.stop()


def speaks(site: Site) -> bool:
    """Whether every partition of the lane has said something lately."""
    return not live.stale(site.followed.told, 2, settle_rig.now_ms(), [settle_rig.LANE])


def check(site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """`medpost backlog --check`: exit code and output."""
    app = typer.Typer()
    app.callback()(lambda: None)
    cli.register(app)
    monkeypatch.setattr(settings_module, "load", lambda: site.settings)
    result = CliRunner().invoke(app, ["backlog", "--lane", settle_rig.LANE, "--check"], standalone_mode=False)
    return result.return_value, result.stdout + result.stderr


def test_the_backlog_is_the_truth_within_two_seconds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """N queue on a held channel, settle is killed, they are released: always told in time, and as the store counts."""
    wait_until(lambda: speaks(site))
    site.feed(COUNT)
    assert site.told_after(lambda: site.waiting() == COUNT, Stage.ACCEPTED) <= TRUTH_MS
    assert site.open() == COUNT

    with Store(site.settings.clickhouse) as store:
        values = [EVENT.encode(event) for _, event in settle_rig.log_of(site.settings)]
        assert Ingest(store, lambda *_: None).write(values) == []
    time.sleep(cli.SPAN_MS / 1000)
    code, out = check(site, monkeypatch)
    assert (code, f"✓ 一致：实时 {COUNT}，轨迹库 {COUNT}" in out) == (0, True), out
    site.feed(3)
    wait_until(lambda: site.open() == COUNT + 3)
    monkeypatch.setattr(cli, "PATIENCE_S", 0.5)
    code, out = check(site, monkeypatch)
    assert (code, f"✗ 不一致：实时 {COUNT + 3}，轨迹库 {COUNT}" in out) == (1, True), out

    site.restart()
    died_ms = settle_rig.now_ms()
    wait_until(lambda: all(one.told_at > died_ms for one in site.followed.told))
    assert (site.open(), site.waiting()) == (COUNT + 3, COUNT + 3)

    site.hold(is_held=False)
    assert site.told_after(lambda: site.open() == 0, Stage.COMPLETED) <= TRUTH_MS
    assert site.waiting() == 0
