import io

from rich.console import Console

from console.progress import LINE_EVERY_S, Lines, meter
from infra.clock import HandClock


def test_plain_lines_come_now_and_then() -> None:
    """Not for every item; each with the share read, items, rate and time left."""
    out, clock = io.StringIO(), HandClock()
    lines = Lines(Console(file=out, width=200), 1000, clock)
    for done in range(1, 101):
        clock.advance(100)
        lines.advance(5)
        lines.show(done, "已发布")
    printed = out.getvalue().splitlines()
    assert len(printed) == 10 // int(LINE_EVERY_S)
    assert printed[-1] == "已读 50% · 100 条 · 10/s · 已发布 · 约剩 10 s"


def test_an_unknown_length_has_no_share() -> None:
    """Standard input has no size."""
    out, clock = io.StringIO(), HandClock()
    lines = Lines(Console(file=out, width=200), 0, clock)
    clock.advance(6000)
    lines.show(3, "已发布 3")
    assert out.getvalue() == "3 条 · 0/s · 已发布 3\n"


def test_without_a_terminal_nothing_is_drawn() -> None:
    """A pipe or a log sees lines, no bar."""
    with meter(10) as gauge:
        assert isinstance(gauge, Lines)
