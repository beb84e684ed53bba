"""`medpost publish message | jsonl | hl7`: from a command line, JSON lines or HL7 v2 files into the platform.

Everything that is read is accounted for: published, without a rule, repeated, refused with a reason, or not
acknowledged. Exit codes: 0 all of it is in order, 1 something was refused, 3 no broker or no registry. Shows file
names, message numbers and reasons; never what was in a message.
"""

import sys
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from console import offers, publish_report, record_rules
from console.credentials import Credentials, clients_for, read_credentials
from console.listing import Format, FormatOption, show_one
from console.progress import meter
from console.publishing import Desk, Offer, publish
from console.registered import glance
from console.trial import Trial
from infra import settings as settings_module
from infra.clock import SHANGHAI, SystemClock
from infra.kafka import ping
from infra.settings import Settings
from producers import mapping_files, requests
from producers.hl7.charset import codec_named
from producers.hl7_feed import Reader
from producers.refusals import Refused
from producers.requests import Fields, MessageRequest
from schemas.errors import Reason

app = typer.Typer(help="发布消息：单条、JSON 行、HL7 v2 文件。", no_args_is_help=True)

BROKER_S: Final = 5.0

DryRun = Annotated[bool, typer.Option("--dry-run", help="只检查与计数，不发布")]
NoCheck = Annotated[bool, typer.Option("--no-check", help="不先核对登记，由 intake 判断")]
NoCheckDry = Annotated[bool, typer.Option("--no-check", help="与 --dry-run 同用：只看格式，不核对登记")]
KeyFile = Annotated[
    Path | None, typer.Option("--credentials", help='密钥文件 {"lis": {"key_id": …, "secret": …}}；缺省用本机登记的')
]
RunId = Annotated[str, typer.Option("--run-id", help="加在业务编号之前：同一文件可作为新的一批再发")]


@app.command("message", help="发布一条消息，返回消息编号。")
def message(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    app_id: Annotated[str, typer.Option("--app", help="应用标识，例如 his")],
    kind: Annotated[str, typer.Option("--type", help="消息类型，例如 lab_report")],
    to: Annotated[str, typer.Option("--to", help="接收人，例如 patient_id=P0001")],
    param: Annotated[list[str] | None, typer.Option("--param", help="模板参数 名=值，可重复")] = None,
    reference: Annotated[str, typer.Option("--reference", help="业务编号：同一编号即同一条消息")] = "",
    channel: Annotated[list[str] | None, typer.Option("--channel", help="只用这些渠道，可重复")] = None,
    priority: Annotated[str, typer.Option("--priority", help="urgent | normal | bulk，只能降低")] = "",
    message_id: Annotated[str, typer.Option("--message-id", help="以此编号重试：即同一条消息")] = "",
    send_at: Annotated[datetime | None, typer.Option("--send-at", help="发送时刻，北京时间；缺省为立即")] = None,
    expires_at: Annotated[datetime | None, typer.Option("--expires-at", help="过期时刻，北京时间")] = None,
    key_file: KeyFile = None,
    dry_run: DryRun = False,
    no_check: NoCheck = False,
    form: FormatOption = Format.TABLE,
) -> int:
    """Publish one message and print its id."""
    fields = Fields(
        type=kind,
        recipient=_pair(to, "--to"),
        personalisation=dict(_pair(one, "--param") for one in param or []),
        reference=reference,
        channels=channel or [],
        priority=priority,
        message_id=message_id,
        send_at=_in_shanghai(send_at),
        expires_at=_in_shanghai(expires_at),
    )
    request = requests.from_fields(fields)
    settings = settings_module.load()
    if not dry_run:
        ping(settings_module.kafka_endpoint(settings), BROKER_S)
    is_checked = not no_check and _check(settings, app_id, request)
    if dry_run:
        show_one({"message_id": "", "type": kind}, publish_report.MESSAGE_HEADINGS, form)
        typer.echo("✓ 与登记相符；没有发布" if is_checked else "! 没有核对登记，也没有发布", err=True)
        return 0
    with closing(clients_for(settings, _keys(key_file))) as clients:
        client = clients.client_of(app_id)
        message_id, lane = client.submit(request).result(), client.lane_of(request)
    show_one({"message_id": message_id, "type": kind, "lane": lane}, publish_report.MESSAGE_HEADINGS, form)
    if form is Format.TABLE:
        typer.echo(f"查看进展：medpost messages get {message_id}", err=True)
    return 0


def _check(settings: Settings, app_id: str, request: MessageRequest) -> bool:
    """Raise Refused for what intake would surely refuse; False where the registry cannot be read, so nobody knows."""
    snapshot = glance(settings)
    if snapshot is None:
        return False
    now_ms = SystemClock().now_ms()
    found = list(record_rules.refusals(requests.as_message(request, app_id, "", now_ms), snapshot, now_ms))
    if found:
        text = "\n  ".join(finding.text for finding in found)
        remedy = "；".join(finding.remedy for finding in found if finding.remedy)
        raise Refused(Reason.PARAM_INVALID, f"没有发布：{text}", remedy or "改正后再发；--no-check 不先核对登记")
    return True


def _in_shanghai(given: datetime | None) -> datetime | None:
    """A wall-clock time as every screen of the platform shows it; one that names its zone means that."""
    return given if given is None or given.tzinfo else given.replace(tzinfo=SHANGHAI)


@app.command("jsonl", help="发布 JSON 行：每行一条消息，成员同 POST /v1/messages，另有 app_id。")
def jsonl(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="JSON 行文件；- 为标准输入")],
    app_id: Annotated[str, typer.Option("--app", help="未写 app_id 的行属于此应用")] = "",
    run_id: RunId = "",
    key_file: KeyFile = None,
    dry_run: DryRun = False,
    no_check: NoCheckDry = False,
    form: FormatOption = Format.TABLE,
) -> int:
    """Publish one message a line."""
    trial = _trial(dry_run=dry_run, no_check=no_check)
    path = None if file == "-" else _existing(Path(file))
    with meter(path.stat().st_size if path else 0) as gauge:
        lines = offers.lines_of(path, gauge.advance) if path else offers.lines_in(sys.stdin.buffer, gauge.advance)
        found = offers.from_jsonl(lines, path.name if path else "-", app_id, run_id)
        report = _run(found, gauge.show, key_file, trial)
    return _tell(report, form, trial)


@app.command("hl7", help="发布 HL7 v2 文件：按映射表把事件变成消息，逐条交代去向。")
def hl7(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    places: Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER…", help="HL7 v2 文件，或含有这些文件的目录")],
    site: Annotated[str, typer.Option("--mapping", help="映射表：自带站点名，或 YAML 文件路径")] = "hean",
    charset: Annotated[str, typer.Option("--charset", help="MSH-18 未声明时采用的字符集，例如 GBK")] = "",
    lf_text: Annotated[bool, typer.Option("--lf-is-text", help="单独的 LF 属于字段内容，不结束段")] = False,
    pattern: Annotated[list[str] | None, typer.Option("--pattern", help="只读这些文件名，例如 *.hl7")] = None,
    run_id: RunId = "",
    key_file: KeyFile = None,
    dry_run: DryRun = False,
    no_check: NoCheckDry = False,
    form: FormatOption = Format.TABLE,
) -> int:
    """Publish what a mapping makes of HL7 v2 files."""
    mapping_path = Path(site) if site.endswith((".yaml", ".yml")) else mapping_files.packaged(site)
    reader = Reader(mapping_files.load(mapping_path, run_id), _codec(charset), is_lf_text=lf_text)
    trial = _trial(dry_run=dry_run, no_check=no_check)
    found = [(place, offers.files_in(_existing(place), tuple(pattern or ()))) for place in places]
    with meter(sum(path.stat().st_size for _, paths in found for path in paths)) as gauge:
        all_offers = (offer for place, paths in found for offer in offers.from_hl7(reader, paths, place, gauge.advance))
        report = _run(all_offers, gauge.show, key_file, trial)
    report.files = sum(len(paths) for _, paths in found)
    return _tell(report, form, trial)


def _trial(*, dry_run: bool, no_check: bool) -> Trial | None:
    """The judge of a dry run; None when it is none."""
    if not dry_run:
        return None
    return Trial(None if no_check else glance(settings_module.load()), SystemClock().now_ms())


def _run(
    found: Iterable[Offer], on_progress: publish_report.OnProgress, key_file: Path | None, trial: Trial | None
) -> publish_report.Report:
    """Publish the offers; everything that is known about them, also when the broker goes away half-way."""
    if trial is not None:
        report = publish_report.gathered(publish(found, Desk(None, trial.judge)), on_progress)
        report.checked_by = trial.version
        return report
    settings = settings_module.load()
    ping(settings_module.kafka_endpoint(settings), BROKER_S)
    with closing(clients_for(settings, _keys(key_file))) as clients:
        return publish_report.gathered(publish(found, Desk(clients.client_of)), on_progress)


def _tell(report: publish_report.Report, form: Format, trial: Trial | None) -> int:
    """Print what became of it, and of a dry run what was asked; returns the exit code."""
    code = publish_report.print_report(report, form, is_dry_run=trial is not None)
    for line in trial.told() if trial is not None else ():
        typer.echo(line, err=True)
    return code


def _keys(key_file: Path | None) -> Credentials | None:
    return read_credentials(key_file) if key_file else None


def _pair(text: str, option: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise typer.BadParameter(f"{text!r}：写成 名=值", param_hint=option)
    return name, value


def _existing(place: Path) -> Path:
    if not place.exists():
        raise typer.BadParameter(f"{place} 不存在", param_hint="FILE")
    return place


def _codec(name: str) -> str:
    found = codec_named(name) if name else ""
    if found is None:
        raise typer.BadParameter(f"{name}：未知字符集，可用 UTF-8、GBK、GB18030、Big5、8859/1", param_hint="--charset")
    return found


def register(main: typer.Typer) -> None:
    """Add `medpost publish`."""
    main.add_typer(app, name="publish")
