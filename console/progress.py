"""How far a long piece of work is: a bar on a terminal, a plain line now and then elsewhere. Always on stderr.

Called by `medpost publish`. Results go to stdout, so a pipe never sees this.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeRemainingColumn

from infra.clock import Clock, SystemClock

LINE_EVERY_S: Final = 5.0


class Meter(Protocol):
    """What work reports to."""

    def advance(self, size: int) -> None:
        """So many bytes more are read."""

    def show(self, done: int, said: str) -> None:
        """So many items are done; `said` tells how they ended."""


class _Bar:
    """A rich bar over bytes, with items and their rate beside it."""

    def __init__(self, progress: Progress, total_bytes: int, clock: Clock) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total_bytes or None, said="")
        self._clock = clock
        self._started_s = clock.monotonic_s()

    def advance(self, size: int) -> None:
        self._progress.advance(self._task, size)

    def show(self, done: int, said: str) -> None:
        rate = done / max(self._clock.monotonic_s() - self._started_s, 0.001)
        self._progress.update(self._task, said=f"{done:,} 条 · {rate:,.0f}/s · {said}")


class Lines:
    """A plain line every few seconds, e.g. `读取 1.2 MB · 3,400 条 · 1,700/s · 已发布 3,390`."""

    def __init__(self, console: Console, total_bytes: int, clock: Clock) -> None:
        self._console = console
        self._total_bytes = total_bytes
        self._clock = clock
        self._read_bytes = 0
        self._started_s = self._last_s = clock.monotonic_s()

    def advance(self, size: int) -> None:
        """So many bytes more are read."""
        self._read_bytes += size

    def show(self, done: int, said: str) -> None:
        """Print a line when the last one is some seconds old."""
        now_s = self._clock.monotonic_s()
        if now_s - self._last_s < LINE_EVERY_S:
            return
        self._last_s = now_s
        elapsed_s = now_s - self._started_s
        parts = [f"{done:,} 条", f"{done / elapsed_s:,.0f}/s", said]
        if self._total_bytes and self._read_bytes:
            left_s = elapsed_s * (self._total_bytes - self._read_bytes) / self._read_bytes
            parts.insert(0, f"已读 {self._read_bytes / self._total_bytes:.0%}")
            parts.append(f"约剩 {left_s:,.0f} s")
        self._console.print(" · ".join(parts), highlight=False, markup=False)


@contextmanager
def meter(total_bytes: int) -> Iterator[Meter]:
    """Progress of reading that many bytes (0: not known), until the block ends."""
    console = Console(stderr=True)
    clock = SystemClock()
    if not console.is_terminal:
        yield Lines(console, total_bytes, clock)
        return
    columns: tuple[ProgressColumn, ...] = (SpinnerColumn(), BarColumn(30), TextColumn("{task.fields[said]}"))
    with Progress(*columns, TimeRemainingColumn(compact=True), console=console, transient=True) as progress:
        yield _Bar(progress, total_bytes, clock)
