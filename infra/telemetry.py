"""What a process tells about itself: JSON logs on standard output, metrics, and /live, /ready, /metrics on loopback.

The small server runs in a thread and loop of its own, so that it answers while the process computes. Never logs or
labels anything personal: labels are topics, words and classes.
"""

import asyncio
import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, Final

import psutil
import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, generate_latest

RECORDS: Final = Counter("hub_records_finished", "records whose output is acknowledged", ["topic"])
DEAD_LETTERS: Final = Counter("hub_dead_letters", "records that could not be handled", ["reason"])
PUBLISH_FAILURES: Final = Counter("hub_publish_failures", "records the broker refused", ["name"])
COMMIT_FAILURES: Final = Counter("hub_commit_failures", "commits that failed and are tried again")
REBALANCES: Final = Counter("hub_rebalances", "assignments received from the group")
OLDEST_UNFINISHED_S: Final = Gauge("hub_oldest_unfinished_s", "age of the oldest unfinished chunk")
FENCE_AGE_S: Final = Gauge("hub_fence_age_s", "age of the last answered heartbeat, by when it was sent")
PUBLISHER_QUEUE: Final = Gauge("hub_publisher_queue_records", "records not yet acknowledged")

LIVE_S: Final = 30.0
"""A loop that has not ticked for so long is not alive."""


def configure_logging(level: str = "info") -> None:
    """JSON lines on standard output, for structlog and for the standard library's loggers; call once, at the top."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        frames_only,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(ensure_ascii=False)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=structlog.processors.JSONRenderer(ensure_ascii=False),
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)  # the libraries' own news: only what is wrong


def frames_only(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by its class and places: its text could hold somebody's name."""
    wanted = entry.pop("exc_info", None)
    fault = sys.exc_info()[1] if wanted is True else wanted[1] if isinstance(wanted, tuple) else wanted
    if isinstance(fault, BaseException):
        frames = traceback.extract_tb(fault.__traceback__)
        entry["fault"] = type(fault).__name__
        entry["frames"] = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
    return entry


class Health:
    """What /live and /ready answer; ticked and filled by the process itself."""

    def __init__(self) -> None:
        self._ticked_s = time.monotonic()
        self._checks: list[tuple[str, Callable[[], bool]]] = []

    def tick(self) -> None:
        """The process's loop turns."""
        self._ticked_s = time.monotonic()

    def is_live(self) -> bool:
        """The loop turned within the last 30 s."""
        return time.monotonic() - self._ticked_s < LIVE_S

    def ready_when(self, check: Callable[[], bool], what: str) -> None:
        """Add a condition; `what` names it in the answer while it does not hold."""
        self._checks.append((what, check))

    def missing(self) -> list[str]:
        """What the process still waits for; empty when it is ready."""
        return [what for what, check in self._checks if not check()]


class HealthServer:
    """Serves `/live`, `/ready` and `/metrics` on a free port of 127.0.0.1, written to a file while it runs."""

    def __init__(self, health: Health, port_file: Path) -> None:
        self._health = health
        self._port_file = own_file(port_file)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._is_up = threading.Event()
        self._stopping = asyncio.Event()
        self.port = 0

    def start(self) -> None:
        """Listen; returns when the port is known and written."""
        self._thread.start()
        self._is_up.wait(10)

    def stop(self) -> None:
        """Stop listening and remove the file."""
        self._port_file.unlink(missing_ok=True)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(2)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/live", self._live)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/metrics", _metrics)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(runner.addresses[0][1])
        self._write_port()
        self._is_up.set()
        await self._stopping.wait()
        await runner.cleanup()

    def _write_port(self) -> None:
        self._port_file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._port_file.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(json.dumps({"pid": os.getpid(), "port": self.port, "started_at": int(time.time() * 1000)}))
        fresh.replace(self._port_file)

    async def _live(self, _: web.Request) -> web.Response:
        is_live = self._health.is_live()
        return web.json_response({"is_live": is_live}, status=200 if is_live else 503)

    async def _ready(self, _: web.Request) -> web.Response:
        missing = self._health.missing()
        return web.json_response({"is_ready": not missing, "waits_for": missing}, status=503 if missing else 200)


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def own_file(wanted: Path) -> Path:
    """`wanted`, or the same name with our pid when another living process has written it."""
    try:
        pid = int(json.loads(wanted.read_text("utf-8"))["pid"])
    except (OSError, ValueError, KeyError):
        return wanted
    is_taken = pid != os.getpid() and psutil.pid_exists(pid)
    return wanted.with_suffix(f".{os.getpid()}.json") if is_taken else wanted
