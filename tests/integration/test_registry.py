"""The registry on a real broker: whole sets, in effect within a second, and never half of one."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from uuid import uuid4

import pytest
import typer
from typer.testing import CliRunner

from console.cli import registry as registry_cli
from console.cli import routing as routing_cli
from console.cli import token as token_cli
from console.cli.registry import apply_place, sample_folder
from console.provisioning import provision_installation
from infra.crypto import load_keyring
from infra.directory import RecipientDirectory, seal_person
from infra.kafka import LogReader, Publisher
from infra.registry import Registry
from infra.registry_changes import Writer, changes, opened, read_current
from infra.registry_files import load
from infra.settings import Settings
from infra.tokens import Verifier
from schemas import topics
from schemas.configuration import RECIPIENT, AppConfig, ChannelConfig, Recipient
from schemas.errors import Permanent, Reason, UnavailableError

IN_EFFECT_S = 1.0
PATIENCE_S = 10.0
"""For one change on a machine that does other things too; the middle of several is held to IN_EFFECT_S."""


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    """An installation of its own on the shared broker."""
    one = Settings(home=tmp_path, kafka=kafka, namespace=f"r{uuid4().hex[:8]}", simulators="http://127.0.0.1:9")
    provision_installation(one)
    return one


@pytest.fixture
def reading(settings: Settings) -> Iterator[Registry]:
    """A registry that follows from the start."""
    registry = Registry(settings)
    registry.start()
    yield registry
    registry.close()


def until(holds: Callable[[], bool], within_s: float) -> float:
    """Seconds until it held; fails when it does not in time."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < within_s, "not in time"
        time.sleep(0.005)
    return time.monotonic() - start


def edited(folder: Path, name: str, old: str, new: str) -> Path:
    """One of the sample's files with a change."""
    text = (sample_folder() / name).read_text("utf-8")
    assert old in text
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text.replace(old, new), "utf-8")
    return path


def sent(settings: Settings, topic: topics.Topic, key: bytes, value: bytes | None) -> None:
    """Write one record, past all checks."""
    publisher = Publisher(settings.kafka)
    publisher.publish(topic.named(settings.namespace), value, key)
    assert publisher.close(10) == 0


def test_nothing_is_ready_until_something_is_applied(settings: Settings, reading: Registry) -> None:
    """An empty registry rejects nothing: it waits, and then it is there."""
    with pytest.raises(UnavailableError):
        reading.wait_ready(1.5)
    version, found = apply_place(settings, sample_folder())
    until(lambda: reading.is_ready, PATIENCE_S)
    assert (version, len(found)) == (1, 13 + 22 + 4 + 86)
    snapshot = reading.snapshot
    assert (len(snapshot.apps), len(snapshot.types), len(snapshot.channels)) == (13, 22, 4)
    assert snapshot.channels["sms"].base_url == "http://127.0.0.1:9/aliyun/"
    assert reading.channel_secrets(snapshot.channels["sms"])["access_key_id"] == "medpost-demo-key"


def test_a_change_is_in_effect_within_a_second_and_whole(settings: Settings, reading: Registry, tmp_path: Path) -> None:
    """Several times over, objects of two kinds at once: no reader ever sees one without the other."""
    apply_place(settings, sample_folder())
    reading.wait_ready(PATIENCE_S)
    folder = tmp_path / "files"
    halves, delays = set(), []
    for step in range(1, 6):
        edited(folder, "channels.yaml", "rate_per_s: 200", f"rate_per_s: {step}")
        edited(folder, "types.yaml", "expires: 12h", f"expires: {step}h")
        version, found = apply_place(settings, folder)
        assert {change.kind for change in found} == {"channels", "types"}

        def is_there(wanted: int = version) -> bool:
            snapshot = reading.snapshot
            rate = snapshot.channels["sms"].rate_per_s
            hours = snapshot.types["registration_confirmed"].expiry_ms / 3_600_000
            halves.add((rate, hours))
            return snapshot.version == wanted

        delays.append(until(is_there, PATIENCE_S))
    assert halves <= {(200.0, 12.0), *((float(step), float(step)) for step in range(1, 6))}
    assert median(delays) < IN_EFFECT_S


def test_what_is_not_closed_is_not_seen(settings: Settings, reading: Registry) -> None:
    """An apply that died before its closing record changes nothing, for readers old and new."""
    apply_place(settings, sample_folder())
    reading.wait_ready(PATIENCE_S)
    keyring = load_keyring(settings)
    sent(settings, topics.CONFIG["apps"], b"his", None)
    late = Registry(settings)
    late.start()
    assert "his" in late.wait_ready(PATIENCE_S).apps
    late.close()
    assert "his" in reading.snapshot.apps
    assert "his" in read_current(settings, keyring).snapshot.apps


def test_a_bad_record_keeps_the_old_value(settings: Settings, reading: Registry, tmp_path: Path) -> None:
    """Even inside a set that is closed."""
    apply_place(settings, sample_folder())
    reading.wait_ready(PATIENCE_S)
    sent(settings, topics.CONFIG["channels"], b"sms", b"\xc3\x01nonsense")
    sent(settings, topics.CONFIG["versions"], b"x", b"nonsense")
    edited(tmp_path / "files", "types.yaml", "expires: 12h", "expires: 5h")
    version, _ = apply_place(settings, tmp_path / "files")
    until(lambda: reading.snapshot.version == version, PATIENCE_S)
    assert reading.snapshot.channels["sms"].provider == "aliyun"
    assert reading.snapshot.types["registration_confirmed"].expiry_ms == 5 * 3_600_000


def test_applying_the_same_again_writes_nothing(settings: Settings) -> None:
    """Not one record, although every sealing gives other bytes."""
    apply_place(settings, sample_folder())
    with LogReader(settings.kafka) as reader:
        names = [topic.named(settings.namespace) for topic in (*topics.CONFIG.values(), topics.RECIPIENTS)]
        before = [reader.end_offsets(name) for name in names]
        assert apply_place(settings, sample_folder()) == (1, [])
        assert [reader.end_offsets(name) for name in names] == before


def test_deleting_is_asked_for(settings: Settings, reading: Registry, tmp_path: Path) -> None:
    """And takes only objects of the kinds that the files speak of."""
    apply_place(settings, sample_folder())
    text = (sample_folder() / "types.yaml").read_text("utf-8")
    cut = text.index("  - id: follow_up")
    (tmp_path / "types.yaml").write_text(text[:cut], "utf-8")
    assert apply_place(settings, tmp_path / "types.yaml") == (1, [])
    version, found = apply_place(settings, tmp_path / "types.yaml", deletes=True)
    assert [(change.object_id, change.action) for change in found] == [("follow_up", "removed")]
    until(lambda: reading.snapshot.version == version, PATIENCE_S)
    assert "follow_up" not in reading.snapshot.types
    assert len(reading.snapshot.apps) == 13


def test_two_people_applying_at_once_cannot_mix_their_sets(settings: Settings) -> None:
    """The second is told to look first."""
    keyring = load_keyring(settings)
    current = read_current(settings, keyring)
    wanted = load(sample_folder())
    found = changes(current, wanted, keyring)
    apply_place(settings, sample_folder())
    writer = Writer(settings, keyring)
    with pytest.raises(Permanent) as refused:
        writer.apply(current, wanted, found, "second", 1)
    writer.close()
    assert refused.value.reason is Reason.REFERENCE_CONFLICT


def test_the_topics_show_no_secret_and_nobody(settings: Settings) -> None:
    """Keys, secrets and people are sealed on the broker."""
    apply_place(settings, sample_folder())
    with LogReader(settings.kafka) as reader:
        names = [topic.named(settings.namespace) for topic in (*topics.CONFIG.values(), topics.RECIPIENTS)]
        raw = b"".join(
            (record.key or b"") + (record.value or b"") for name in names for record in reader.read_all(name)
        )
    for hidden in (b"demo-only-his", b"medpost-demo-secret", b"whsec_", b"13800001001", b"P0001", b"S001"):
        assert hidden not in raw
    assert b"registration_confirmed" in raw


def test_the_directory_follows_the_topic_and_survives_a_restart(settings: Settings) -> None:
    """Changed and removed people; after a restart from its own rows."""
    apply_place(settings, sample_folder())
    keyring = load_keyring(settings)
    directory = RecipientDirectory(settings, keyring, "normal")
    directory.start()
    until(lambda: directory.is_ready, PATIENCE_S)
    assert directory.offset == 86
    found = directory.find("mobile", "13800001001")
    assert found is not None
    assert found.person_id == "P0001"
    moved = Recipient("P0001", found.identities[:1], found.addresses)
    key, value = seal_person(keyring, moved)
    assert RECIPIENT.encode(found) not in value
    sent(settings, topics.RECIPIENTS, key, value)
    until(lambda: directory.find("mobile", "13800001001") is None, PATIENCE_S)
    assert directory.find("patient_id", "P0001") == moved
    directory.close()
    again = RecipientDirectory(settings, keyring, "normal")
    assert again.offset == 87
    assert again.find("patient_id", "P0001") == moved
    beside = RecipientDirectory(settings, keyring, "normal")
    assert beside.offset == 0, "a second process has rows of its own"
    beside.close()
    again.close()


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """The commands of this room, run in this process: exit code and what was printed."""
    for name in ("home", "kafka", "namespace", "simulators"):
        monkeypatch.setenv(f"MEDPOST_{name.upper()}", str(getattr(settings, name)))
    app = typer.Typer()
    for noun in (registry_cli, routing_cli, token_cli):
        noun.register(app)

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, list(words), standalone_mode=False)
        if isinstance(done.exception, Permanent):
            return 1, done.exception.detail
        assert done.exception is None, done.exception
        return int(done.return_value or 0), done.output

    return run


def test_the_commands_apply_tell_and_explain(command: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """From an empty registry to an explained decision."""
    assert command("registry", "show")[0] == 1
    assert command("registry", "diff", "--sample")[0] == 1
    code, said = command("registry", "apply", "--sample")
    assert (code, "版本 1 已生效" in said) == (0, True)
    assert command("registry", "diff", "--sample") == (0, "没有变化。\n")
    changed = edited(tmp_path / "files", "channels.yaml", "rate_per_s: 200", "rate_per_s: 150")
    code, said = command("registry", "diff", str(changed))
    assert (code, "发送速率：200 条/秒 → 150 条/秒" in said) == (1, True)
    code, said = command("registry", "show", "--format", "jsonl")
    assert (code, said.count("\n")) == (0, 13 + 22 + 5 + 1)  # SMS has two providers
    code, said = command("routing", "explain", "--type", "lab_report", "--format", "jsonl")
    assert [line.split('"channel": "')[1].split('"')[0] for line in said.splitlines()] == ["wechat", "webhook", "sms"]
    code, said = command("routing", "explain", "--type", "critical_value", "--recipient", "staff_id:S001")
    assert (code, said.count("立即：权重 ≥ 阈值 0.1")) == (0, 2)
    assert command("routing", "explain", "--type", "lab_report", "--recipient", "patient_id:P9999")[0] == 1
    assert command("routing", "explain", "--type", "nothing")[0] == 1


def test_a_bad_file_is_refused_with_its_line_and_nothing_is_written(
    command: Callable[..., tuple[int, str]], settings: Settings, tmp_path: Path
) -> None:
    """Also what only the channel itself can know."""
    bad = edited(tmp_path / "files", "channels.yaml", "access_key_id: medpost-demo-key", "access_key: x")
    code, said = command("registry", "apply", str(bad))
    assert code == 1
    assert f"{bad}:" in said
    assert "设置有误" in said
    assert "什么也没有写入" in said
    assert read_current(settings, load_keyring(settings)).snapshot.version == 0


def test_a_token_from_the_command_is_believed(command: Callable[..., tuple[int, str]], settings: Settings) -> None:
    """Minted with the registered key, or with a given one."""
    command("registry", "apply", "--sample")
    keyring = load_keyring(settings)
    apps: dict[str, AppConfig] = {
        name: opened(app, keyring) for name, app in read_current(settings, keyring).snapshot.apps.items()
    }
    verifier = Verifier(apps, lambda _app, key: key.sealed)
    code, said = command("token", "--app", "his", "--ttl", "60")
    now_ms = int(time.time() * 1000)
    claims = verifier.verify(said.strip(), "his", now_ms)
    assert (code, claims.key_id, claims.expires_at_s - claims.issued_at_s) == (0, "his-1", 60)
    secret = apps["lis"].keys[0].sealed.decode()
    _, said = command("token", "--app", "lis", "--key-id", "lis-1", "--secret", secret)
    assert verifier.verify(said.strip(), "lis", now_ms)
    assert command("token", "--app", "nobody")[0] == 1
    assert isinstance(read_current(settings, keyring).snapshot.channels["sms"], ChannelConfig)
