"""`medpost phone show | templates`: the simulated phones, for whoever tries medpost without a provider.

`show` lists what recipients got on every channel; `templates` does what a hospital does at its vendor's console: it
has the registry's vendor templates approved. Talks to the simulated providers only, and never sends a message.
"""

from typing import Annotated

import typer

from console import words
from console.listing import Format, FormatOption, show
from console.sample import tour
from console.sample.phone import Phone, Received, masked
from infra.clock import SystemClock
from infra.settings import load

app = typer.Typer(help="模拟手机：收件人在各渠道看到了什么。", no_args_is_help=True)

MINUTE_MS = 60_000
HEADINGS = {"at": "时间", "channel": "渠道", "to": "收件人", "text": "内容"}


@app.command("show", help="收到的内容，最新的在最后。")
def received(
    to: Annotated[str, typer.Option("--to", help="只看这个收件人：号码或地址的末尾，例如 1001 或 app/P0001")] = "",
    minutes: Annotated[int, typer.Option("--minutes", min=1, help="只看最近多少分钟")] = 60,
    form: FormatOption = Format.TABLE,
) -> int:
    """List what was received; exit code 1 when it is nothing."""
    since_ms = SystemClock().now_ms() - minutes * MINUTE_MS
    found = [one for one in Phone(tour.simulators_of(load())).received(since_ms) if is_to(one.recipient, to)]
    if found or form is not Format.TABLE:
        show([_row(one) for one in found], HEADINGS, form)
    else:
        typer.echo(f"最近 {minutes} 分钟什么也没有收到")
    return int(not found)


def is_to(recipient: str, wanted: str) -> bool:
    """Whether a recipient ends so; a mail address also before the @."""
    return recipient.endswith(wanted) or recipient.partition("@")[0].endswith(wanted)


def _row(one: Received) -> dict[str, str]:
    text = f"{one.title}：{one.text}" if one.title else one.text
    return {
        "at": words.moment(one.at),
        "channel": one.channel,
        "to": masked(one.recipient),
        "text": text,
        "message_id": one.message_id,
    }


@app.command("templates", help="在模拟供应商处报备登记库里的全部短信与微信模板。")
def templates() -> int:
    """Have the registry's vendor templates approved by the simulated vendors."""
    settings = load()
    count = Phone(tour.simulators_of(settings)).approve_templates(tour.snapshot_of(settings))
    typer.echo(f"✓ {count} 个短信与微信模板已在模拟供应商处报备")
    return 0


def register(main: typer.Typer) -> None:
    """Add `medpost phone`."""
    main.add_typer(app, name="phone")
