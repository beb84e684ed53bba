"""Tests of `medpost registry` without a broker: what is printed, and when nothing may be written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from msgspec import structs
from typer.testing import CliRunner

from console.cli import registry as cli
from infra.crypto import load_keyring
from infra.registry import BadRecord
from infra.registry_changes import ADDED, CHANGED, REMOVED, Change, Current, Writer, sealed
from infra.registry_files import Wanted, load
from infra.settings import Settings
from infra.snapshot import Snapshot
from schemas.errors import Permanent

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Current]:
    """What the registry holds (one element, to be replaced); writing fails the test."""
    monkeypatch.setenv("MEDPOST_HOME", str(tmp_path))
    current = [Current()]

    def refuse(*_: object) -> None:
        raise AssertionError("nothing may be written")

    monkeypatch.setattr(cli, "read_current", lambda _settings, _keyring: current[0])
    monkeypatch.setattr(cli, "provision_installation", lambda _settings: None)
    monkeypatch.setattr(Writer, "__init__", refuse)
    return current


@pytest.fixture
def run(held: list[Current]) -> Run:
    """The command: exit code and everything printed."""
    app = typer.Typer()
    cli.register(app)
    app.command("other")(lambda: None)  # typer collapses an app of one command

    def invoke(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["registry", *words], standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return int(done.return_value or 0), done.output

    return invoke


def sample(settings: Settings) -> Current:
    """The registry after the sample was applied."""
    wanted: Wanted = load(cli.sample_folder())
    keyring = load_keyring(settings)
    snapshot = Snapshot(
        3,
        1_800_000_000_000,
        "张工",
        apps={name: sealed(one, keyring) for name, one in wanted.apps.items()},  # type: ignore[misc]  # sealed() keeps the class
        types=wanted.types,
        channels={name: sealed(one, keyring) for name, one in wanted.channels.items()},  # type: ignore[misc]  # as above
    )
    return Current(snapshot, wanted.recipients)


def test_the_first_diff_of_the_sample_names_everything_new(run: Run) -> None:
    """Exit code 1: an apply would change something; long lists are counted."""
    code, said = run("diff", "--sample")
    assert code == 1
    assert "+ 消息类型 critical_value" in said
    assert "+ 渠道 sms" in said
    assert "…… 另有 66 个收件人" in said


def test_there_is_nothing_to_tell_of_the_same(run: Run, held: list[Current], tmp_path: Path) -> None:
    """Exit code 0, and an apply writes nothing."""
    held[0] = sample(Settings(home=tmp_path))
    assert run("diff", "--sample") == (0, "没有变化。\n")


def test_a_diff_shows_no_secret(run: Run) -> None:
    """Of the demonstration keys neither."""
    _, said = run("diff", "--sample")
    assert "demo-only" not in said
    assert "1380000" not in said


def test_a_bad_file_is_told_with_its_lines(run: Run, tmp_path: Path) -> None:
    """All of them, and that nothing was written."""
    bad = tmp_path / "types.yaml"
    text = (cli.sample_folder() / "types.yaml").read_text("utf-8")
    bad.write_text(text.replace("lane: bulk", "lane: slow").replace("timeout: 1m", "timeout: 60"), "utf-8")
    for command in ("apply", "diff"):
        code, said = run(command, str(bad))
        assert code == 1
        assert "什么也没有写入" in said
        assert f"{bad}:" in said


@pytest.mark.parametrize("words", [["apply"], ["apply", "x.yaml", "--sample"], ["diff"]])
def test_one_place_is_needed_and_only_one(run: Run, words: list[str]) -> None:
    """Wrong use is exit code 2."""
    with pytest.raises(typer.BadParameter):
        run(*words)


def test_an_empty_registry_says_what_to_do(run: Run) -> None:
    """Exit code 1: the answer is no."""
    code, said = run("show")
    assert code == 1
    assert "medpost registry apply" in said


def test_show_lists_every_object_and_no_secret(run: Run, held: list[Current], tmp_path: Path) -> None:
    """With version, time in Shanghai and author."""
    held[0] = sample(Settings(home=tmp_path))
    code, said = run("show")
    assert code == 0
    assert said.startswith("版本 3 · 2027-01-15 16:00:00.000 · 张工")
    for word in ("registration_confirmed", "紧急 urgent", "aliyun", "共 86 人"):
        assert word in said
    for hidden in ("demo-only", "whsec", "1380000"):
        assert hidden not in said


def test_one_type_is_shown_as_its_senders_need_it(run: Run, held: list[Current], tmp_path: Path) -> None:
    """Its parameters above all: which, whether they may be left out, how long; and the texts that use them."""
    held[0] = sample(Settings(home=tmp_path))
    code, said = run("show", "types", "payment_due")
    kind = held[0].snapshot.types["payment_due"]
    assert (code, len(kind.parameters) > 1) == (0, True)
    for parameter in kind.parameters:
        need = "必填" if parameter.required else "选填"
        assert f"{parameter.name}（{need}，至多 {parameter.max_chars} 字）" in said
    assert ("普通 normal" in said, "、emr" in said, "模板 sms" in said) == (True, True, True)
    _, listed = run("show", "types", "payment_due", "--format", "json")
    told = json.loads(listed)
    assert [one["name"] for one in told["parameters"]] == [one.name for one in kind.parameters]
    assert [one["channel"] for one in told["channels"]] == [one.channel for one in kind.channels]


def test_one_kind_is_listed_alone(run: Run, held: list[Current], tmp_path: Path) -> None:
    """And a type's line names its parameters."""
    held[0] = sample(Settings(home=tmp_path))
    rows = json.loads(run("show", "types", "--format", "json")[1])
    assert {row["kind"] for row in rows} == {"消息类型"}
    (due,) = [row for row in rows if row["id"] == "payment_due"]
    assert due["parameters"].split("、")[0] == held[0].snapshot.types["payment_due"].parameters[0].name


def test_what_cannot_be_shown_is_said(run: Run, held: list[Current], tmp_path: Path) -> None:
    """A kind that there is not, an id of another kind, a type that is not registered."""
    held[0] = sample(Settings(home=tmp_path))
    for wrong in (["shoes"], ["recipients", "P0001"]):
        with pytest.raises(typer.BadParameter):
            run("show", *wrong)
    with pytest.raises(Permanent, match="是否应为 payment_due"):
        run("show", "types", "payment_deu")


def test_changes_are_printed_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """A sign, what it is, and each member before and after."""
    cli._print_changes(
        [
            Change("types", "lab_report", CHANGED, (("threshold", "0.6", "[red]0.5"),)),
            Change("channels", "fax", REMOVED),
            Change("apps", "emr", ADDED),
        ],
        Current(),
    )
    assert capsys.readouterr().out.splitlines() == [
        "+ 应用 emr",
        "    新应用：此后可按授权发送",
        "~ 消息类型 lab_report",
        "    送达阈值：0.6 → [red]0.5",
        "    涉及：（没有应用获得授权）",
        "- 渠道 fax",
        "    渠道被删除：（没有消息类型使用它）不再有这条通路",
    ]


def test_a_great_loss_is_refused_and_told(run: Run, held: list[Current], tmp_path: Path) -> None:
    """A file cut off in the middle looks like this; `diff` warns of it already."""
    held[0] = sample(Settings(home=tmp_path))
    text = (cli.sample_folder() / "channels.yaml").read_text("utf-8")
    start = text.index("  - id: sms")
    following = text.find("  - id: ", start + 8)
    (tmp_path / "channels.yaml").write_text(text[:following] if following > 0 else text, "utf-8")
    code, said = run("apply", str(tmp_path / "channels.yaml"), "--delete")
    assert code == 1
    assert "--force" in said
    assert "个渠道中的" in said
    assert "--force" in run("diff", str(tmp_path / "channels.yaml"), "--delete")[1]
    with pytest.raises(AssertionError, match="nothing may be written"):  # the writer is reached
        run("apply", str(tmp_path / "channels.yaml"), "--delete", "--force")


def test_show_tells_of_a_bad_record(run: Run, held: list[Current], tmp_path: Path) -> None:
    """The old value is in force, and what mends it is said."""
    bad = BadRecord("channels", "sms", 7, has_old_value=True)
    held[0] = structs.replace(sample(Settings(home=tmp_path)), bad=(bad,))
    code, said = run("show")
    assert code == 0
    assert "渠道 sms 的最新记录（偏移 7）无法读取，沿用旧值 → 重新 apply" in said


def test_a_providers_own_settings_are_checked(tmp_path: Path) -> None:
    """The channel itself says what it needs, and what it can prove."""
    from infra.registry_problems import BadFilesError

    text = (cli.sample_folder() / "channels.yaml").read_text("utf-8")
    for old, new, told in (
        ("access_key_secret: medpost-demo-secret", "access_key: x", "设置有误"),
        ("success_levels: [accepted, delivered]\n    #", "success_levels: [accepted, read]\n    #", "无法证明 read"),
        ("provider: aliyun", "provider: pigeon", "没有这样的服务商"),
    ):
        (tmp_path / "channels.yaml").write_text(text.replace(old, new), "utf-8")
        with pytest.raises(BadFilesError) as refused:
            load(tmp_path, checks=cli.checks(""))
        assert told in refused.value.detail
