"""`medpost analyst`: how an analyst reaches the store, and the SQL that gives another server the same account.

Shows the password only to who asks for it here; changes nothing.
"""

from typing import Annotated
from urllib.parse import urlsplit

import typer

from infra import settings as settings_module
from infra.analyst import LIMITS, Account, account_file, ensure_account, read_account, statements
from infra.settings import Settings

app = typer.Typer(help="分析人员的只读账号。", invoke_without_command=True)

Hidden = Annotated[bool, typer.Option("--hide-password", help="不显示密码")]


@app.callback()
def access(context: typer.Context, hide_password: Hidden = False) -> None:
    """Show where the store is, and the account; says what to do where the store is a server of your own."""
    if context.invoked_subcommand is not None:
        return
    settings = settings_module.load()
    if settings.clickhouse:
        typer.echo("存储是外部 ClickHouse：由管理员执行 `medpost analyst sql` 输出的语句。")
        typer.echo(f"密码文件：{account_file(settings.home)}")
        return
    account = read_account(account_file(settings.home))
    parts = urlsplit(settings_module.store_endpoint(settings))
    _print(account, f"{parts.scheme}://{parts.hostname}:{parts.port}", parts.path.strip("/"), hide=hide_password)
    seconds, rows = LIMITS["max_execution_time"], LIMITS["max_result_rows"]
    typer.echo(f"限制：每次查询 {seconds} 秒、结果 {rows:,} 行；只读，见 docs/analytics.md")


def _print(account: Account, url: str, database: str, *, hide: bool) -> None:
    password = "********" if hide else account.password
    typer.echo(f"地址：{url}  数据库：{database}")
    typer.echo(f"用户：{account.user}  密码：{password}")
    typer.echo(f"curl '{url}/?database={database}' -u {account.user} --data-binary 'SHOW TABLES'")


@app.command("sql", help="输出在外部 ClickHouse 上建立同样账号的 SQL（不含密码明文）。")
def sql() -> None:
    """Print the statements for a server of your own; the password is made and kept in the home."""
    settings = settings_module.load()
    account = ensure_account(account_file(settings.home))
    for statement in statements(account, database_of(settings)):
        typer.echo(f"{statement};")


def database_of(settings: Settings) -> str:
    """The database that the settings name."""
    return urlsplit(settings.clickhouse).path.strip("/") or settings.database


def register(main: typer.Typer) -> None:
    """Add `medpost analyst`."""
    main.add_typer(app, name="analyst")
