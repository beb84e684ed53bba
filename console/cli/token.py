"""`medpost token`: a token for an application, minted from its own secret or private key, for trying things out.

The secret comes from the environment, or is the registered key of this installation; it is never printed. A private key
(PEM) is never registered, so it always comes from outside.
"""

from typing import Annotated

import typer

from infra import settings as settings_module
from infra.clock import SystemClock
from infra.crypto import load_keyring
from infra.registry_changes import opened, read_current
from infra.token_keys import ALGORITHMS
from infra.tokens import MAX_LIFETIME_S, mint
from schemas.configuration import ENABLED, AppConfig, AppKey
from schemas.errors import Permanent, Reason


def registered_key(app_id: str, key_id: str = "") -> AppKey:
    """The application's first live HS256 key (or the one named), opened; raises Permanent(app_unknown)."""
    settings = settings_module.load()
    keyring = load_keyring(settings)
    found = read_current(settings, keyring).snapshot.apps.get(app_id)
    if found is None:
        raise Permanent(Reason.APP_UNKNOWN, f"应用 {app_id} 未登记：运行 `medpost registry show` 查看")
    plain: AppConfig = opened(found, keyring)
    for key in plain.keys:
        if key.status == ENABLED and key.algorithm == "HS256" and key_id in ("", key.key_id):
            return key
    raise Permanent(Reason.APP_UNKNOWN, f"应用 {app_id} 没有可用的 HS256 密钥 {key_id}".rstrip())


def token(
    app_id: Annotated[str, typer.Option("--app", help="应用标识，例如 his")],
    ttl_s: Annotated[int, typer.Option("--ttl", min=1, max=MAX_LIFETIME_S, help="有效期，秒")] = 300,
    key_id: Annotated[str, typer.Option("--key-id", help="密钥标识；缺省用登记的第一把")] = "",
    secret: Annotated[
        str,
        typer.Option(
            "--secret", envvar="MEDPOST_TOKEN_SECRET", help="密钥或私钥 PEM；缺省用本机登记的", show_envvar=True
        ),
    ] = "",
    algorithm: Annotated[
        str, typer.Option("--algorithm", help="给出的密钥的算法：HS256、RS256、ES256、EdDSA")
    ] = "HS256",
) -> int:
    """Print a token of the application."""
    if secret and not key_id:
        raise typer.BadParameter("给出 --secret 时须同时给出 --key-id", param_hint="--key-id")
    if algorithm not in ALGORITHMS:
        raise typer.BadParameter(f"须为 {'、'.join(ALGORITHMS)} 之一", param_hint="--algorithm")
    key = AppKey(key_id, algorithm, sealed=secret.encode()) if secret else registered_key(app_id, key_id)
    now_s = SystemClock().now_ms() / 1000
    typer.echo(mint(app_id, key.key_id, key.algorithm, key.sealed, now_s, ttl_s))
    return 0


def register(main: typer.Typer) -> None:
    """Add `medpost token`."""
    main.command(help="签发一个令牌，用于 authorization: Bearer <令牌>。")(token)
