"""`medpost phone show | open | templates`: the simulated phones, for whoever tries medpost without a provider.

`show` lists what recipients got on every channel, `open` says where a page shows the same as it comes in; `templates`
does what a hospital does at its vendors' consoles: it has the registry's vendor templates approved, and names the
address for WeChat's delivery events. Talks to the simulated providers only, and never sends a message.
"""

import webbrowser
from typing import Annotated
from urllib.parse import quote

import typer

from console import words
from console.listing import Format, FormatOption, show
from console.sample import tour
from console.sample.phone import Phone, Received
from infra.clock import SystemClock
from infra.settings import gateway_endpoint, load
from infra.simulators.inbox import is_to, masked
from schemas.errors import UnavailableError

app = typer.Typer(help="模拟手机：收件人在各渠道看到了什么。", no_args_is_help=True)

To = Annotated[str, typer.Option("--to", help="只看这个收件人：号码或地址的末尾，例如 1001 或 app/P0001")]

MINUTE_MS = 60_000
HEADINGS = {"at": "时间", "channel": "渠道", "to": "收件人", "text": "内容"}


@app.command("show", help="收到的内容，最新的在最后。")
def received(
    to: To = "",
    minutes: Annotated[int, typer.Option("--minutes", min=1, help="只看最近多少分钟")] = 60,
    form: FormatOption = Format.TABLE,
) -> int:
    """List what was received; exit code 1 when it is nothing."""
    since_ms = SystemClock().now_ms() - minutes * MINUTE_MS
    phone = Phone(tour.simulators_of(load()))
    found = [one for one in phone.received(since_ms) if is_to(one.recipient, to)]
    if found or form is not Format.TABLE:
        show([_row(one) for one in found], HEADINGS, form)
    else:
        typer.echo(f"最近 {minutes} 分钟什么也没有收到")
    if form is Format.TABLE:
        typer.echo(f"网页：{phone.page}")
    return int(not found)


@app.command("open", help="手机页面的地址：收件人在各渠道看到了什么，实时更新。")
def page(
    to: To = "",
    browser: Annotated[bool, typer.Option("--browser", help="同时在浏览器中打开")] = False,
) -> int:
    """Print the page's address; raises UnavailableError when nobody would answer there."""
    phone = Phone(tour.simulators_of(load()))
    next(phone.received(SystemClock().now_ms()), None)
    address = f"{phone.page}?to={quote(to, safe='')}" if to else phone.page
    typer.echo(address)
    if browser:
        webbrowser.open(address)
    return 0


def _row(one: Received) -> dict[str, str]:
    text = f"{one.title}：{one.text}" if one.title else one.text
    return {
        "at": words.moment(one.at),
        "channel": one.channel,
        "to": masked(one.recipient),
        "text": text,
        "message_id": one.message_id,
    }


@app.command("templates", help="在模拟供应商处报备登记库里的全部短信与微信模板，并登记微信送达事件的推送地址。")
def templates() -> int:
    """Have the registry's templates approved by the simulated vendors, and WeChat push to our gateway."""
    settings = load()
    phone = Phone(tour.simulators_of(settings))
    count = phone.approve_templates(tour.snapshot_of(settings))
    typer.echo(f"✓ {count} 个短信与微信模板已在模拟供应商处报备")
    try:
        gateway = gateway_endpoint(settings)
    except UnavailableError:  # servers alone: nobody to push to
        return 0
    typer.echo(f"✓ 微信送达事件推送到 {phone.push_wechat_to(gateway)}")
    return 0


def register(main: typer.Typer) -> None:
    """Add `medpost phone`."""
    main.add_typer(app, name="phone")
