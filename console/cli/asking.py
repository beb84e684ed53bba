"""`medpost messages cancel | reschedule | send-now`: ask for it, wait for the truth, say it in one line.

Exit codes: 0 done, 1 the answer is no (too late, or no such message), 2 wrong use, 3 no answer yet, or no broker.
"""

import json
from typing import Annotated, Final

import typer

from console import asking, words
from console.asking import Answer, Said
from console.cli import messages
from console.cli.messages import Id, Reference, wanted_id
from console.cli.series import series_in_store
from console.listing import Format, FormatOption
from infra import queries
from infra import settings as settings_module
from infra.clock import SystemClock
from infra.standing import standing
from schemas import ids
from schemas.errors import UnavailableError
from schemas.limits import MAX_AHEAD_MS
from schemas.records import Request
from schemas.statuses import Status

WAIT_S: Final = 10.0
CODES: Final = {Said.DONE: 0, Said.TOO_LATE: 1, Said.NOT_FOUND: 1, Said.UNANSWERED: 3}

Wait = Annotated[float, typer.Option("--wait", min=0.0, max=300.0, help="等待答复的秒数")]
At = Annotated[str, typer.Option("--at", help="新的发送时间，例如 2026-11-01T08:00（北京时间）")]


def cancel(
    message_id: Id = None, reference: Reference = "", wait_s: Wait = WAIT_S, form: FormatOption = Format.TABLE
) -> int:
    """撤回：尚未提交给渠道商的消息不再发送."""
    request = asking.cancel(ids.parse(wanted_id(message_id, reference)), SystemClock().now_ms())
    return _asked(request, wait_s, form, "已撤回")


def reschedule(
    at: At, message_id: Id = None, reference: Reference = "", wait_s: Wait = WAIT_S, form: FormatOption = Format.TABLE
) -> int:
    """改期：尚未派发的消息改在另一时间发送."""
    now_ms = SystemClock().now_ms()
    send_at = at_ms(at, now_ms)
    request = asking.reschedule(ids.parse(wanted_id(message_id, reference)), send_at, now_ms)
    return _asked(request, wait_s, form, f"已改期，将于 {words.moment(send_at)[:-4]} 发送")


def send_now(
    message_id: Id = None, reference: Reference = "", wait_s: Wait = WAIT_S, form: FormatOption = Format.TABLE
) -> int:
    """立即发送：定时消息不再等待（免打扰时段仍然有效）."""
    request = asking.reschedule(ids.parse(wanted_id(message_id, reference)), 0, SystemClock().now_ms())
    return _asked(request, wait_s, form, "已改为立即发送")


def register(_root: typer.Typer) -> None:
    """Add the three to `medpost messages`."""
    messages.app.command("cancel")(cancel)
    messages.app.command("reschedule")(reschedule)
    messages.app.command("send-now")(send_now)


def at_ms(text: str, now_ms: int) -> int:
    """UTC milliseconds of a time to come, in Asia/Shanghai unless it says otherwise; raises BadParameter."""
    try:
        found = int(words.read_time(text).timestamp() * 1000)
    except ValueError:
        raise typer.BadParameter("写成 2026-11-01T08:00（北京时间）", param_hint="--at") from None
    if not now_ms < found < now_ms + MAX_AHEAD_MS:
        raise typer.BadParameter("须为将来的时间，至多 400 天之后", param_hint="--at")
    return found


def _asked(request: Request, wait_s: float, form: Format, done: str) -> int:
    settings = settings_module.load()
    answer = asking.ask(settings, request, wait_s)
    if answer.said == Said.NOT_FOUND:
        answer = _from_store(request)
    if form is Format.TABLE:
        _say(answer, request, done)
        if request.kind == "cancel":
            _say_series(ids.show(request.message_id))
    else:
        told = {"answer": answer.said, "message_id": ids.show(request.message_id)}
        told |= {"request_id": request.request_id.hex(), "status": answer.status, "reason": answer.reason}
        typer.echo(json.dumps({**told, "channel": answer.channel}, ensure_ascii=False))
    if CODES[answer.said]:
        raise typer.Exit(CODES[answer.said])
    return 0


def _from_store(request: Request) -> Answer:
    """What the store knows of a message that settle says nothing about: long final, still open, or unknown."""
    wanted = ids.show(request.message_id)
    try:
        with messages.store_of(settings_module.load()) as store:
            found = standing(*queries.known_of(store, wanted))
    except UnavailableError:
        return Answer(Said.UNANSWERED)
    if found is None:
        return Answer(Said.NOT_FOUND)
    if not found.is_final:
        return Answer(Said.UNANSWERED, found.status)
    is_done = found.status == Status.CANCELLED and request.kind == "cancel"
    return Answer(Said.DONE if is_done else Said.TOO_LATE, found.status, found.reason, found.channel)


def _say_series(message_id: str) -> None:
    """Whoever takes the first of a series back is told that this means the others; as far as the store is there."""
    try:
        with messages.store_of(settings_module.load()) as store:
            found = series_in_store(store, message_id)
    except UnavailableError:
        return
    if found is not None and found.first == message_id:
        typer.echo(f"  其后 {found.sendings - 1} 次未发送的一并撤回；用 `medpost messages series {message_id}` 查看")


def _say(answer: Answer, request: Request, done: str) -> None:
    message_id = ids.show(request.message_id)
    if answer.said == Said.DONE:
        because = f"（{words.of_reason(answer.reason)}）" if answer.reason else ""
        typer.secho(f"✓ {done}{because}：{message_id}", fg=typer.colors.GREEN)
    elif answer.said == Said.TOO_LATE:
        typer.secho(f"✗ 太迟，{_why(answer, request.kind)}：{message_id}", fg=typer.colors.RED, err=True)
    elif answer.said == Said.NOT_FOUND:
        typer.secho(f"✗ 未找到：{message_id}", fg=typer.colors.RED, err=True)
        typer.secho("  → 请核对编号，或用 --reference APP/REF；刚提交的消息一分钟内受理后仍会照办", err=True)
    else:
        typer.secho(f"… 尚无答复：{message_id}", fg=typer.colors.YELLOW, err=True)
        typer.secho("  → 请求已登记，不会丢失；稍后运行 `medpost messages events` 查看结果，", err=True)
        typer.secho("    若一直没有答复，用 `medpost status` 检查 settle 是否在运行", err=True)


def _why(answer: Answer, kind: str) -> str:
    """A cancel comes too late for a call, a change of time already for a message that is with a sink."""
    if answer.status:
        by = f"，渠道 {answer.channel}" if answer.channel else ""
        return f"消息已结束：{words.of_status(answer.status)}{by}"
    given = "已派发给渠道" if kind == "reschedule" else "已提交给渠道"
    return f"{given} {answer.channel}" if answer.channel else "消息已结束"
