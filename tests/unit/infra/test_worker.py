"""A worker before it runs: its names, its fetch size, its timers and tasks."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import worker as module
from infra.settings import Settings
from infra.worker import FETCH_BYTES, FETCH_BYTES_URGENT, Worker, _repeat


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a broker that is not there."""
    return Settings(kafka="127.0.0.1:1", home=tmp_path, namespace="n")


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    """A worker of intake's urgent lane."""
    made = Worker(settings, "intake", "urgent")
    yield made
    made.publisher.close(0.0)


def test_the_group_has_namespace_role_and_lane(worker: Worker) -> None:
    """And the name says which process it was."""
    assert worker.group == "n.medpost.intake.urgent"
    assert worker.name.startswith("intake.urgent@")


def test_urgent_fetches_little_at_once(settings: Settings, worker: Worker) -> None:
    """The others fetch more."""
    bulk = Worker(settings, "intake", "bulk")
    own = Worker(settings, "trace", "", fetch_bytes=7)
    assert (worker._fetch_bytes, bulk._fetch_bytes, own._fetch_bytes) == (FETCH_BYTES_URGENT, FETCH_BYTES, 7)
    assert own.group == "n.medpost.trace"
    bulk.publisher.close(0.0)
    own.publisher.close(0.0)


def test_is_not_ready_before_it_joined_the_group(worker: Worker) -> None:
    """And names what it waits for."""
    worker.ready_when(lambda: False, "the registry")
    assert worker.health.missing() == ["the consumer group", "the registry"]
    worker.fence.answered(worker.fence._monotonic_s())
    assert worker.health.missing() == ["the registry"]


async def test_a_failing_task_ends_the_process(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost task would stop something silently."""
    left: list[str] = []
    monkeypatch.setattr(module, "leave", left.append)

    async def fails() -> None:
        raise ValueError

    await asyncio.gather(worker.task(fails()), return_exceptions=True)
    await asyncio.sleep(0)
    assert left == ["task: ValueError"]


@pytest.mark.parametrize(("is_ending", "told"), [(True, []), (False, ["task: cancelled"])])
async def test_a_cancelled_task_ends_the_process_unless_it_is_stopping(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, *, is_ending: bool, told: list[str]
) -> None:
    """Stopping cancels them; a stranger's cancellation would stop something silently."""
    left: list[str] = []
    monkeypatch.setattr(module, "leave", left.append)
    worker._is_ending = is_ending
    task = worker.task(asyncio.Event().wait())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0)
    assert left == told


async def test_a_timer_calls_and_awaits_again_and_again() -> None:
    """Plain functions and coroutines alike."""
    called: list[str] = []

    def plain() -> None:
        called.append("plain")

    async def awaited() -> None:
        called.append("awaited")

    tasks = [asyncio.ensure_future(_repeat(0.0, fn)) for fn in (plain, awaited)]
    for _ in range(100):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    assert called.count("plain") >= 2
    assert called.count("awaited") >= 2


def test_a_hanging_chunk_is_reported_once(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """And again only after it went on."""
    said: list[str] = []
    monkeypatch.setattr(module.log, "error", lambda event, **_: said.append(event))
    for age_s in (1.0, 61.0, 70.0, 0.0, 61.0):
        worker._watch_hanging(age_s)
    assert said == ["a chunk hangs", "a chunk hangs"]
