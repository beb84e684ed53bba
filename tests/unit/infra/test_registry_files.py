"""Tests of registry files: every mistake is refused with its file, its line and what to do."""

from pathlib import Path
from textwrap import dedent

import pytest

from infra.registry_files import Wanted, load
from infra.registry_problems import BadFilesError
from infra.registry_rules import Checks
from infra.snapshot import Snapshot
from schemas.configuration import Address, ChannelConfig, MessageType
from streams.render import variables_in

GOOD = dedent("""\
    channels:
      - id: sms
        provider: aliyun
        base_url: simulators:/aliyun/
        rate_per_s: 10
        max_in_flight: 4
        timeout: 5s
        secrets: {access_key_secret: hidden}
        success_levels: [accepted]
    types:
      - id: lab_report
        name: 检验报告
        lane: normal
        threshold: 0.6
        expires: 24h
        expires_at_most: 3d
        parameters:
          - {name: item}
        channels:
          - channel: sms
            weight: 0.9
            timeout: 30s
            template:
              version: 1
              text: "{{ item }} 好了"
              template_code: SMS_1
              parameters: {item: "{{ item }}"}
    apps:
      - id: lis
        name: 检验
        keys:
          - id: lis-1
            secret: 0123456789abcdef0123456789abcdef-x
        grants:
          types: [lab_report]
          channels: [sms]
    recipients:
      - id: P1
        identities: {patient_id: P1, mobile: "13800001001"}
        addresses: {sms: "13800001001"}
      - id: P2
        identities: {patient_id: P2}
        addresses: {sms: {value: "13800001002", status: opted_out}}
    """)


def levels_of(channel: str, provider: str) -> list[str]:
    """What the only provider of these tests can prove."""
    return ["accepted"]


CHECKS = Checks(variables_in, levels_of)


def written(folder: Path, text: str) -> Path:
    """A file with that text."""
    path = folder / "registry.yaml"
    path.write_text(text, "utf-8")
    return path


def problems_of(folder: Path, text: str) -> list[tuple[int, str]]:
    """(line, text) of everything that is wrong with a file."""
    with pytest.raises(BadFilesError) as refused:
        load(written(folder, text), checks=CHECKS)
    assert all(problem.file.endswith("registry.yaml") for problem in refused.value.problems)
    return [(problem.line, problem.text) for problem in refused.value.problems]


def test_good_files_become_records(tmp_path: Path) -> None:
    """Units are read, keys and secrets are there in clear, to be sealed when written."""
    wanted = load(written(tmp_path, GOOD), checks=CHECKS)
    kind = wanted.types["lab_report"]
    assert (kind.expiry_ms, kind.max_expiry_ms, kind.channels[0].timeout_ms) == (86_400_000, 259_200_000, 30_000)
    assert wanted.channels["sms"].secrets == b'{"access_key_secret": "hidden"}'
    assert wanted.apps["lis"].keys[0].sealed.startswith(b"0123")
    assert wanted.recipients["P2"].addresses == [Address("sms", "13800001002", "opted_out")]
    assert wanted.kinds == {"apps", "types", "channels", "recipients"}


@pytest.mark.parametrize(
    ("old", "new", "line", "text"),
    [
        ("rate_per_s: 10", "rate_per_s: 10\n    rate_per_sec: 1", 6, "未知成员 rate_per_sec → 是否应为 rate_per_s？"),
        ("rate_per_s: 10", "rate_per_s: 0", 5, "rate_per_s 超出范围 → 须 > 0.0"),
        ("rate_per_s: 10", "rate_per_s: fast", 5, "rate_per_s 须为数字"),
        ("max_in_flight: 4", "max_in_flight: 4.5", 6, "max_in_flight 须为整数"),
        ("timeout: 5s", "timeout: 5", 7, "timeout：时长须带单位，例如 500ms、30s、10m、24h、3d"),
        ("timeout: 5s", "timeout: 5 sec", 7, "timeout：时长须带单位，例如 500ms、30s、10m、24h、3d"),
        ("timeout: 5s", "timeout: 0s", 7, "timeout：时长须带单位，例如 500ms、30s、10m、24h、3d"),
        ("timeout: 5s", "timeout: 2m", 7, "timeout 超出范围 → 须 ≤ 60000"),
        ("base_url: simulators:/aliyun/", "base_url: ftp://x", 4, "base_url 的格式不符"),
        ("success_levels: [accepted]", "success_levels: [accepted, read]", 9, "aliyun 无法证明 read → 可用：accepted"),
        ("success_levels: [accepted]", "success_levels: [seen]", 9, "success_levels.0 的值不可用 → 只能是"),
        ("success_levels: [accepted]", "success_levels: []", 9, "success_levels 不可为空"),
        ("lane: normal", "lane: fast", 13, "lane 的值不可用 → 只能是 'urgent', 'normal'、'bulk'"),
        ("threshold: 0.6", "threshold: 1.5", 14, "threshold 超出范围 → 须 ≤ 1"),
        ("threshold: 0.6", "threshold: .nan", 14, "threshold 须为有限的数"),
        ("expires: 24h", "expires: 4d", 16, "expires_at_most：expires_at_most 不得短于 expires"),
        ("expires: 24h", "expires: 500d", 15, "expires 超出范围"),
        ("{name: item}", "{name: 项目}", 18, "parameters.0.name 的格式不符"),
        ("channel: sms", "channel: wechat", 20, "未知渠道 wechat → 先在 channels 中定义它"),
        ("weight: 0.9", "weight: -0.1", 21, "channels.0.weight 超出范围 → 须 ≥ 0"),
        ("weight: 0.9", "weight: '0.9'", 21, "channels.0.weight 须为数字"),
        ("weight: 0.9", "weight: 0.9\n        success: read", 22, "渠道 sms 无法证明 read → 可用：accepted"),
        ("timeout: 30s", "timeout: 24h", 22, "timeout 须短于该类型的 expires"),
        ('text: "{{ item }} 好了"', 'text: "{{ itme }} 好了"', 25, "模板变量 itme 没有对应参数"),
        ('text: "{{ item }} 好了"', 'text: "{{ item 好了"', 25, "模板有误"),
        ('text: "{{ item }} 好了"', "text: \"{{ ''.__class__.mro() }}\"", 25, "模板有误"),
        ('{item: "{{ item }}"}', '{item: "{{ unit }}"}', 27, "模板变量 unit 没有对应参数"),
        ("version: 1", "version: 0", 24, "channels.0.template.version 超出范围 → 须 ≥ 1"),
        ("id: lis\n", "id: LIS\n", 29, "id 的格式不符"),
        ("id: lis\n", "id: 7\n", 29, "id：须为文本：请加引号"),
        ("secret: 0123456789abcdef0123456789abcdef-x", "secret: short", 32, "密钥 lis-1 不可用"),
        ("secret: 0123456789abcdef0123456789abcdef-x", "secret_env: MEDPOST_NO_SUCH", 32, "环境变量 MEDPOST_NO_SUCH"),
        ("secret: 0123456789abcdef0123456789abcdef-x", "public_key: x", 32, "HS256 须且只须给出 secret 或 secret_env"),
        ("types: [lab_report]", "types: [lab_reprot]", 35, "授权了未知的消息类型 lab_reprot"),
        ("channels: [sms]", "channels: [sms, fax]", 36, "授权了未知的渠道 fax"),
        ("id: P2\n", "id: P1\n", 41, "id P1 与"),
        ("patient_id: P2", "patient_id: P1", 42, "标识 patient_id 已属于另一人 P1"),
        ("status: opted_out", "status: gone", 43, "addresses"),
        ('addresses: {sms: "13800001001"}', 'addresses: {fax: "13800001001"}', 40, "未知渠道 fax"),
        ("recipients:", "people:", 37, "未知成员 people → 顶层可用"),
        ("    name: 检验报告\n", "", 11, "缺少成员 name → 补上它"),
        ("    lane: normal\n", "    lane: normal\n    lane: bulk\n", 14, "成员 lane 在第 13 行已给出"),
        ("    lane: normal\n", "    lane: [normal\n", 14, "不是有效的 YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, text: str) -> None:
    """One change to a good file, one problem at that line."""
    assert old in GOOD
    found = problems_of(tmp_path, GOOD.replace(old, new, 1))
    assert len({at for at, _ in found}) == 1, found
    assert any(at == line and text in told for at, told in found), found


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Not only the first: nobody likes to mend a file in ten rounds."""
    text = GOOD.replace("lane: normal", "lane: fast").replace("timeout: 5s", "timeout: 5").replace("id: P2", "id: P1")
    assert {line for line, _ in problems_of(tmp_path, text)} >= {7, 13, 41}


def test_doubled_names_inside_an_object_are_refused(tmp_path: Path) -> None:
    """Two parameters, channels or keys of one name: nobody could tell which one counts."""
    text = GOOD.replace("- {name: item}", "- {name: item}\n      - {name: item}")
    assert (17, "参数 item 重复 → 只保留一个") in problems_of(tmp_path, text)
    key = "      - id: lis-1\n        secret: 0123456789abcdef0123456789abcdef-x\n"
    assert any("密钥 id lis-1 重复" in told for _, told in problems_of(tmp_path, GOOD.replace(key, key + key)))


@pytest.mark.parametrize("text", ["- a\n", "apps: {id: x}\n", "apps: [7]\n"])
def test_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    """The top is lists of objects by kind."""
    assert problems_of(tmp_path, text)


def test_a_problem_shows_no_value(tmp_path: Path) -> None:
    """A value may be a secret or somebody's number."""
    text = GOOD.replace("0123456789abcdef0123456789abcdef-x", "tiny-secret").replace('"13800001001"', "13800001001")
    assert not [told for _, told in problems_of(tmp_path, text) if "tiny-secret" in told or "138" in told]


def test_files_may_refer_to_what_the_registry_holds(tmp_path: Path) -> None:
    """A file with one application needs no copy of the types."""
    start = GOOD.index("apps:")
    only_apps = GOOD[start : GOOD.index("recipients:")]
    assert problems_of(tmp_path, only_apps)
    known = Snapshot(1, types={"lab_report": MessageType()}, channels={"sms": ChannelConfig()})
    wanted = load(written(tmp_path, only_apps), known, CHECKS)
    assert wanted.kinds == {"apps"}


def test_a_folder_is_read_as_one_set(tmp_path: Path) -> None:
    """Objects of all files together; other files are left alone."""
    cut = GOOD.index("types:")
    (tmp_path / "a.yaml").write_text(GOOD[cut:], "utf-8")
    (tmp_path / "b.yml").write_text(GOOD[:cut], "utf-8")
    (tmp_path / "notes.txt").write_text("not: [read", "utf-8")
    assert isinstance(load(tmp_path, checks=CHECKS), Wanted)


def test_a_place_without_files_is_refused(tmp_path: Path) -> None:
    """An empty folder, or a path that is not there, is a mistake and not an empty registry."""
    for place in (tmp_path, tmp_path / "nothing.yaml"):
        with pytest.raises(BadFilesError):
            load(place)


def test_a_file_in_another_charset_is_refused(tmp_path: Path) -> None:
    """GB18030 read as UTF-8 would give wrong names."""
    (tmp_path / "gb.yaml").write_bytes("apps: []  # 中文".encode("gb18030"))
    with pytest.raises(BadFilesError) as refused:
        load(tmp_path)
    assert "UTF-8" in refused.value.detail


def test_a_secret_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that files can be kept in version control."""
    monkeypatch.setenv("LIS_SECRET", "0123456789abcdef0123456789abcdef-y")
    text = GOOD.replace("secret: 0123456789abcdef0123456789abcdef-x", "secret_env: LIS_SECRET")
    assert load(written(tmp_path, text), checks=CHECKS).apps["lis"].keys[0].sealed.endswith(b"-y")


def test_the_sample_registry_is_valid() -> None:
    """What we ship can be applied."""
    from console.cli.registry import checks, sample_folder

    wanted = load(sample_folder(), checks=checks(""))
    assert (len(wanted.apps), len(wanted.types), len(wanted.channels), len(wanted.recipients)) == (13, 22, 4, 86)
