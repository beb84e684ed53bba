"""The registry's history on a real broker: written in the step that closes a set, read back in words."""

from pathlib import Path
from uuid import uuid4

import pytest

from console.cli.registry import GreatLossError, apply_place, sample_folder
from console.provisioning import provision_installation
from infra.crypto import load_keyring
from infra.kafka import LogReader, Publisher
from infra.registry_changes import read_bad, read_current
from infra.registry_history import read_history
from infra.settings import Settings
from schemas import topics
from schemas.configuration import CONFIG_CHANGE, ConfigChange


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    """An installation of its own on the shared broker, with the sample applied."""
    one = Settings(home=tmp_path, kafka=kafka, namespace=f"h{uuid4().hex[:8]}", simulators="http://127.0.0.1:9")
    provision_installation(one)
    apply_place(one, sample_folder(), author="first")
    return one


def sent(settings: Settings, topic: topics.Topic, key: bytes, value: bytes) -> None:
    """Write one record, past all checks."""
    publisher = Publisher(settings.kafka)
    publisher.publish(topic.named(settings.namespace), value, key)
    assert publisher.close(10) == 0


def test_who_changed_what_when(settings: Settings, tmp_path: Path) -> None:
    """Two applies, the newest first; a set that was never closed is no history; nobody stands in it."""
    text = (sample_folder() / "types.yaml").read_text("utf-8")
    (tmp_path / "types.yaml").write_text(text.replace("expires: 12h", "expires: 5h"), "utf-8")
    sent(
        settings,
        topics.HISTORY,
        b"apps/his",
        CONFIG_CHANGE.encode(ConfigChange(2, 1, "died", "apps", "his", "removed")),
    )
    apply_place(settings, tmp_path / "types.yaml", author="second")
    history = read_history(settings)
    assert [(one.closing.version, one.closing.author) for one in history] == [(2, "second"), (1, "first")]
    assert {change.kind for change in history[0].changes} == {"types"}
    assert ("expiry_ms", "43200000", "18000000") in {
        (one.member, one.before, one.after) for change in history[0].changes for one in change.members
    }
    people = [change for change in history[1].changes if change.kind == "recipients"]
    assert [(one.object_id, one.action) for one in people] == [("", "added")]
    assert people[0].count == len(read_current(settings, load_keyring(settings)).recipients)
    with LogReader(settings.kafka) as reader:
        raw = [
            (one.key or b"") + (one.value or b"") for one in reader.read_all(topics.HISTORY.named(settings.namespace))
        ]
    assert not [one for one in raw if b"13800001001" in one or b"P0001" in one or b"demo-only" in one]


def test_a_bad_record_is_seen_and_mended_by_applying_again(settings: Settings, tmp_path: Path) -> None:
    """Although what is in force is what the files say."""
    sent(settings, topics.CONFIG["channels"], b"sms", b"\xc3\x01nonsense")
    text = (sample_folder() / "types.yaml").read_text("utf-8")
    (tmp_path / "types.yaml").write_text(text.replace("expires: 12h", "expires: 5h"), "utf-8")
    apply_place(settings, tmp_path / "types.yaml")  # closes a set over the bad record
    assert [(bad.object_id, bad.has_old_value) for bad in read_bad(settings)] == [("sms", True)]
    version, found = apply_place(settings, sample_folder() / "channels.yaml")
    assert (version, [change.object_id for change in found]) == (3, ["sms"])
    assert read_bad(settings) == ()


def test_a_file_that_is_cut_off_deletes_nothing(settings: Settings, tmp_path: Path) -> None:
    """Until it is said twice."""
    text = (sample_folder() / "recipients.yaml").read_text("utf-8")
    (tmp_path / "recipients.yaml").write_text(text[: text.index("  - id: P0004")], "utf-8")
    before = len(read_current(settings, load_keyring(settings)).recipients)
    with pytest.raises(GreatLossError) as refused:
        apply_place(settings, tmp_path / "recipients.yaml", deletes=True)
    assert [(loss.kind, loss.held, loss.ids) for loss in refused.value.losses] == [("recipients", before, ())]
    version, _ = apply_place(settings, tmp_path / "recipients.yaml", deletes=True, forced=True)
    assert version == 2
    assert len(read_current(settings, load_keyring(settings)).recipients) == 3
