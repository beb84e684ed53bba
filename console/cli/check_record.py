"""`medpost check-record FILE`: what is wrong with a record that somebody made, in words for its programmer.

Exit codes: 0 intake could read and would take it as far as can be told here, 1 something is wrong, 2 wrong use. Needs
no broker; with one it also asks the registry. Never shows a value, a token or an address.
"""

import base64
import binascii
import contextlib
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from console import record_rules
from console.listing import Format, FormatOption, show
from infra import settings as settings_module
from infra.clock import SystemClock
from infra.crypto import Keyring, load_keyring
from infra.kafka import ping
from infra.registry_changes import read_current
from infra.settings import Settings
from infra.snapshot import Snapshot
from producers.check_record import Checked, Submitted, check
from producers.findings import Finding, Level, warning
from schemas.errors import UnavailableError

BROKER_S: Final = 2.0
MAX_READ_BYTES: Final = 8_000_000
MARKS: Final = {Level.ERROR: "✗", Level.WARNING: "!", Level.OK: "✓"}
HEADINGS: Final = {"mark": "", "place": "位置", "text": "结果", "remedy": "怎么办"}


def check_record(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="一条记录的值；- 为标准输入")],
    is_hex: Annotated[bool, typer.Option("--hex", help="文件是十六进制文本")] = False,
    is_base64: Annotated[bool, typer.Option("--base64", help="文件是 base64 文本")] = False,
    topic: Annotated[str, typer.Option("--topic", help="写入的主题，例如 messages.normal")] = "",
    key: Annotated[str | None, typer.Option("--key", metavar="HEX", help="记录的键，十六进制；空串为没有键")] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", help='消息头 "名: 值"，或 @文件（每行一个）；可重复')
    ] = None,
    partition: Annotated[int | None, typer.Option("--partition", min=0, help="记录所在分区")] = None,
    partitions: Annotated[int, typer.Option("--partitions", min=0, help="主题的分区数；缺省按本机设置")] = 0,
    offline: Annotated[bool, typer.Option("--offline", help="不查登记")] = False,
    form: FormatOption = Format.TABLE,
) -> int:
    """Say what is wrong with a record."""
    if is_hex and is_base64:
        raise typer.BadParameter("--hex 与 --base64 只能取一", param_hint="--hex")
    settings = settings_module.load()
    record = Submitted(
        value=decoded(_read(file), "hex" if is_hex else "base64" if is_base64 else ""),
        topic=topic,
        key=None if key is None else _bytes_of(key),
        headers=None if header is None else tuple(pair for one in header for pair in headers_in(one)),
        partition=partition,
        partitions=partitions or settings.partitions,
        namespace=settings.namespace,
    )
    now_ms = SystemClock().now_ms()
    checked = check(record, now_ms)
    findings = [*checked.findings, *_by_registry(checked, record, settings, now_ms, is_asked=not offline)]
    show([_row(finding) for finding in findings], HEADINGS, form)
    return int(any(finding.level is Level.ERROR for finding in findings))


def _by_registry(
    checked: Checked, record: Submitted, settings: Settings, now_ms: int, *, is_asked: bool
) -> list[Finding]:
    if checked.message is None or not is_asked:
        return []
    found = registry_of(settings)
    if found is None:
        return [
            warning(record_rules.PLACE, "连不上登记库：类型、授权、参数与签名未核对", "先 `make up`，或加 --offline")
        ]
    return record_rules.ask(checked.message, record.headers, record.topic, found, now_ms)


def registry_of(settings: Settings) -> tuple[Snapshot, Keyring] | None:
    """The registry and this home's keys; None when there is no broker, or nothing is applied yet."""
    with contextlib.suppress(UnavailableError):
        ping(settings_module.kafka_endpoint(settings), BROKER_S)
        keyring = load_keyring(settings)
        snapshot = read_current(settings, keyring).snapshot
        return (snapshot, keyring) if snapshot.version else None
    return None


def _row(finding: Finding) -> dict[str, str]:
    return {
        "mark": MARKS[finding.level],
        "level": finding.level,
        "place": finding.place,
        "text": finding.text,
        "remedy": finding.remedy,
    }


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(MAX_READ_BYTES)
    try:
        with Path(file).open("rb") as source:
            return source.read(MAX_READ_BYTES)
    except OSError as problem:
        raise typer.BadParameter(f"{file}：{problem.strerror}", param_hint="FILE") from problem


def decoded(raw: bytes, form: str) -> bytes:
    """The bytes that a text of that form (hex, base64, "": bytes themselves) stands for; raises BadParameter."""
    try:
        if form == "hex":
            return bytes.fromhex(raw.decode("ascii"))
        return base64.b64decode(b"".join(raw.split()), validate=True) if form else raw
    except (ValueError, binascii.Error):
        raise typer.BadParameter(f"文件不是 {form} 文本", param_hint=f"--{form}") from None


def _bytes_of(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise typer.BadParameter("须为十六进制，例如 2342d3e885fd3547e0257e2bb425499d", param_hint="--key") from None


def headers_in(option: str) -> list[tuple[str, bytes]]:
    """The headers of one option: `name: value`, or `@file` with one a line; raises BadParameter."""
    lines = _read(option[1:]).decode("utf-8", "surrogateescape").splitlines() if option.startswith("@") else [option]
    found = []
    for line in filter(None, lines):
        name, separator, value = line.partition(":")
        if not separator:
            raise typer.BadParameter("写成 名: 值", param_hint="--header")
        found.append((name.strip(), value.strip().encode("utf-8", "surrogateescape")))
    return found


def register(main: typer.Typer) -> None:
    """Add `medpost check-record`."""
    main.command("check-record", help="检查别人做的一条记录：哪里不对，怎么改。")(check_record)
