"""Changes of state on their way to disk: in the order of the log, each when what it follows from is acknowledged.

Used by `owner`. A batch of rows says "everything up to this offset is done", so a later one must not overtake an
earlier one whose records the broker has not acknowledged yet. It waits for nothing itself.
"""

from collections import deque
from collections.abc import Callable

from msgspec import Struct

from infra.state import Rows, Store


class Cell(Struct):
    """Rows that wait; `on_end` is called when they are on disk, or given up."""

    rows: Rows
    on_end: Callable[[], None]
    is_acknowledged: bool = False


class Writes:
    """The cells of one partition, in the order of the log. `on_written` is called after each that reached the disk."""

    def __init__(self, store: Store, on_written: Callable[[], None]) -> None:
        self._store = store
        self._on_written = on_written
        self._cells: deque[Cell] = deque()

    def add(self, rows: Rows, on_end: Callable[[], None]) -> Cell:
        """Rows that come after all that were added before."""
        cell = Cell(rows, on_end)
        self._cells.append(cell)
        return cell

    def acknowledge(self, cell: Cell) -> None:
        """All that was sent with it is acknowledged: write what is next in order. Raises UnavailableError."""
        cell.is_acknowledged = True
        while self._cells and self._cells[0].is_acknowledged:
            first = self._cells.popleft()
            self._store.write(first.rows)
            self._on_written()
            first.on_end()

    def give_up(self) -> None:
        """Write nothing any more."""
        cells, self._cells = self._cells, deque()
        for cell in cells:
            cell.on_end()
