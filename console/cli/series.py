"""`medpost messages series ID`: all sendings of a message that repeats, which is due when, and how each stands.

Asks the store only. ID is that of any of them. Exit codes as `medpost messages`; 1 also for a message that does not
repeat.
"""

from typing import Any, Final

import typer

from console import words
from console.cli import messages
from console.cli.messages import Id, Reference, wanted_id
from console.listing import Format, FormatOption, show
from infra import queries
from infra import settings as settings_module
from infra.clickhouse import Store
from infra.series import Series, series_of
from infra.standing import standing
from schemas.statuses import Stage

HEADINGS: Final = {
    "number": "第几次",
    "message_id": "消息编号",
    "due_zh": "定于",
    "status_zh": "状态",
    "channel": "渠道",
}


def series_in_store(store: Store, message_id: str) -> Series | None:
    """The same, asked of the store."""
    return series_of(message_id, queries.timeline_of(store, message_id, queries.days_of(store, message_id)))


def series(message_id: Id = None, reference: Reference = "", form: FormatOption = Format.TABLE) -> int:
    """重复消息的每一次：编号、时间、状态."""
    wanted = wanted_id(message_id, reference)
    with messages.store_of(settings_module.load()) as store:
        found = series_in_store(store, wanted)
        rows = [_row(store, number, one) for number, one in enumerate(found.ids(), start=1)] if found else []
    if not rows:
        typer.secho(f"✗ 查无此消息，或它不重复发送：{wanted}", fg=typer.colors.RED, err=True)
        raise typer.Exit(1)
    show(rows, HEADINGS, form)
    return 0


def _row(store: Store, number: int, message_id: str) -> dict[str, Any]:
    facts, timeline = queries.known_of(store, message_id)
    stands = standing(facts, timeline)
    due_ms = next((event.until_ms for event in timeline if event.stage == Stage.ACCEPTED), 0)
    status = stands.status if stands else ""
    return {
        "number": number,
        "message_id": message_id,
        "due": words.iso(due_ms) if due_ms else None,
        "due_zh": words.moment(due_ms) if due_ms else "",
        "status": status,
        "status_zh": words.of_status(status) if status else "尚未入库",
        "channel": stands.channel if stands else "",
    }


def register(_root: typer.Typer) -> None:
    """Add it to `medpost messages`."""
    messages.app.command("series")(series)
