"""A compacted topic followed by a thread: every record is handed over in order, for as long as the process lives.

Used by what must be known soon and everywhere: holds, and what sinks use of their accounts; the registry and the
recipient directory, which read in their own way, share the thread's loop. Assign-only, in no group, never commits,
never writes. The broker's absence is waited for; what was laid stays in force meanwhile.
"""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from infra import settings as settings_module
from infra.kafka import LogReader, LogRecord
from infra.settings import Settings
from schemas.errors import UnavailableError
from schemas.topics import Topic

RETRY_S: Final = 1.0
"""Pause before the topic is followed again after the broker failed."""

log = structlog.get_logger(__name__)


def keep_reading(settings: Settings, name: str, read: Callable[[LogReader], None], stopped: threading.Event) -> None:
    """Call `read` with a fresh reader, and again whenever it ends, until `stopped`: the body of a following thread.

    The broker's absence is waited for; a fault is logged and begun anew, as a thread that died would be stale for ever.
    """
    while not stopped.is_set():
        try:
            with LogReader(settings_module.kafka_endpoint(settings)) as reader:
                read(reader)
        except UnavailableError as problem:
            log.info("following waits", of=name, detail=problem.detail)
            stopped.wait(RETRY_S)
        except Exception:
            log.exception("following failed, beginning again", of=name)
            stopped.wait(RETRY_S)


class Follower:
    """Hands every record of `topic` to `lay`, in the follower's thread; on following again, from the beginning.

    `lay` must not raise and must be content to see a record twice.
    """

    def __init__(self, settings: Settings, topic: Topic, lay: Callable[[LogRecord], None]) -> None:
        self._settings = settings
        self._topic = topic
        self._lay = lay
        self._ready = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follow-{topic.name}", daemon=True)

    @property
    def is_ready(self) -> bool:
        """The topic has been read once to its end."""
        return self._ready.is_set()

    def start(self) -> None:
        """Begin to follow; returns at once."""
        self._thread.start()

    def wait_ready(self, timeout_s: float) -> None:
        """Return when the topic has been read to its end; raises UnavailableError when it is not in time."""
        if not self._ready.wait(timeout_s):
            raise UnavailableError(f"topic {self._topic.name} cannot be read", "is the broker reachable?")

    def close(self) -> None:
        """Stop following."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        keep_reading(self._settings, self._topic.name, self.follow, self._stopped)

    def follow(self, reader: LogReader) -> None:
        """Follow with that reader until closed."""
        name = self._topic.named(self._settings.namespace)
        reader.follow(name, self._lay, self._stopped.is_set, self._ready.set)
