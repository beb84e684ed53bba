"""Tests of what an apply would change: in words, without secrets, and nothing for what is the same."""

from pathlib import Path

import msgspec
import pytest

from infra.crypto import Keyring, fresh_keys, parse_keyring
from infra.registry import BadRecord
from infra.registry_changes import ADDED, CHANGED, REMOVED, Change, Current, changes, great_losses, opened, sealed
from infra.registry_files import Wanted
from infra.snapshot import Snapshot
from schemas.configuration import (
    Address,
    AppConfig,
    AppKey,
    ChannelConfig,
    Identity,
    MessageType,
    ProviderAccount,
    Recipient,
    Template,
    TypeChannel,
)

APP = AppConfig(app_id="his", keys=[AppKey("his-1", sealed=b"secret-one"), AppKey("his-2", sealed=b"secret-two")])
CHANNEL = ChannelConfig(channel="sms", rate_per_s=10, secrets=b'{"key": "hidden"}')
TYPE = MessageType(
    type="lab_report",
    threshold=0.6,
    channels=[TypeChannel("sms", 0.9, template=Template(text="旧")), TypeChannel("app", 0.5)],
)
PERSON = Recipient("P1", [Identity("mobile", "13800001001")], [Address("sms", "13800001001")])
WANTED = Wanted({"his": APP}, {"lab_report": TYPE}, {"sms": CHANNEL}, {"P1": PERSON}, frozenset({"apps", "channels"}))


@pytest.fixture
def keyring() -> Keyring:
    """Fresh keys."""
    return parse_keyring(fresh_keys())


def current(keyring: Keyring) -> Current:
    """A registry that holds what `WANTED` asks for."""
    snapshot = Snapshot(
        1,
        apps={"his": sealed(APP, keyring)},  # type: ignore[dict-item]  # sealed() keeps the class
        types={"lab_report": TYPE},
        channels={"sms": sealed(CHANNEL, keyring)},  # type: ignore[dict-item]  # as above
    )
    return Current(snapshot, {"P1": PERSON})


def test_sealing_hides_and_opening_brings_back(keyring: Keyring) -> None:
    """No secret stands on the topic in clear."""
    for record in (APP, CHANNEL):
        hidden = sealed(record, keyring)
        assert b"secret-one" not in msgspec.msgpack.encode(hidden)
        assert b"hidden" not in msgspec.msgpack.encode(hidden)
        assert opened(hidden, keyring) == record


def test_every_providers_secrets_are_sealed(keyring: Keyring) -> None:
    """Those of the others like the first one's, and all come back."""
    other = ProviderAccount("tencent", secrets=b'{"key": "hidden-two"}')
    config = msgspec.structs.replace(CHANNEL, others=[other, ProviderAccount("third")])
    written = sealed(config, keyring)
    assert b"hidden" not in msgspec.msgpack.encode(written)
    assert opened(written, keyring) == config


def test_secrets_sealed_with_lost_keys_count_as_changed(keyring: Keyring) -> None:
    """So that applying again heals a registry whose keys are gone."""
    foreign = current(parse_keyring(fresh_keys()))
    assert {change.object_id for change in changes(foreign, WANTED, keyring)} == {"his", "sms"}


def test_what_is_the_same_is_not_written_again(keyring: Keyring) -> None:
    """Although every sealing gives other bytes."""
    assert changes(current(keyring), WANTED, keyring) == []


def test_everything_is_new_in_an_empty_registry(keyring: Keyring) -> None:
    """Kinds in their order, recipients among them."""
    found = changes(Current(), WANTED, keyring)
    assert [(change.kind, change.action) for change in found] == [
        ("apps", ADDED), ("types", ADDED), ("channels", ADDED), ("recipients", ADDED),
    ]  # fmt: skip


def test_a_change_is_told_by_member(keyring: Keyring) -> None:
    """Members of lists go by name."""
    entry = msgspec.structs.replace(TYPE.channels[0], weight=0.8, template=Template(text="新", version=2))
    wanted = msgspec.structs.replace(
        WANTED, types={"lab_report": msgspec.structs.replace(TYPE, channels=[entry, TYPE.channels[1]])}
    )
    (change,) = changes(current(keyring), wanted, keyring)
    assert (change.kind, change.object_id, change.action) == ("types", "lab_report", CHANGED)
    assert change.what == (
        ("channels.sms.template.text", "旧", "新"),
        ("channels.sms.template.version", "1", "2"),
        ("channels.sms.weight", "0.9", "0.8"),
    )


def test_a_changed_secret_or_address_shows_as_stars(keyring: Keyring) -> None:
    """A diff is shown and copied: it must not hold what is sealed."""
    app = msgspec.structs.replace(APP, keys=[AppKey("his-1", sealed=b"secret-new"), APP.keys[1]])
    person = msgspec.structs.replace(PERSON, addresses=[Address("sms", "13800009999")])
    wanted = msgspec.structs.replace(WANTED, apps={"his": app}, recipients={"P1": person})
    found = changes(current(keyring), wanted, keyring)
    assert [change.what for change in found] == [
        (("keys.his-1.sealed", "***", "***"),),
        (("addresses.sms.value", "***", "***"),),
    ]


def test_what_files_do_not_name_stays_unless_deleting_was_asked_for(keyring: Keyring) -> None:
    """And then only of the kinds that the files speak of."""
    held = current(keyring)
    wanted = Wanted(channels={"app": ChannelConfig(channel="app")}, kinds=frozenset({"channels"}))
    assert [change.action for change in changes(held, wanted, keyring)] == [ADDED]
    found = changes(held, wanted, keyring, deletes=True)
    assert [(change.kind, change.object_id, change.action) for change in found] == [
        ("channels", "app", ADDED),
        ("channels", "sms", REMOVED),
    ]


def test_the_change_of_a_file_is_found(keyring: Keyring, tmp_path: Path) -> None:
    """From file to change: a new rate, and nothing else."""
    from console.cli.registry import sample_folder
    from infra.registry_files import load

    before = load(sample_folder())
    text = (sample_folder() / "channels.yaml").read_text("utf-8").replace("rate_per_s: 200", "rate_per_s: 150", 1)
    (tmp_path / "channels.yaml").write_text(text, "utf-8")
    held = Snapshot(1, channels={name: sealed(one, keyring) for name, one in before.channels.items()})  # type: ignore[misc]  # sealed() keeps the class
    (change,) = changes(Current(held), load(tmp_path), keyring)
    assert change.what == (("rate_per_s", "200.0", "150.0"),)


def test_an_object_that_cannot_be_read_is_written_anew(keyring: Keyring) -> None:
    """Its old value may be just what is wanted: without this an apply would never mend the topic."""
    held = msgspec.structs.replace(current(keyring), bad=(BadRecord("types", "lab_report", 7, has_old_value=True),))
    (change,) = changes(held, WANTED, keyring)
    assert (change.object_id, change.action, change.what[0][0]) == ("lab_report", CHANGED, "record")


@pytest.mark.parametrize(("gone", "is_great"), [(1, False), (2, False), (3, True)])
def test_more_than_a_fifth_of_a_kind_is_a_great_loss(gone: int, is_great: bool) -> None:
    """Two of ten are a fifth; three are more."""
    held = Current(Snapshot(1, types={f"t{one}": MessageType(type=f"t{one}") for one in range(10)}))
    found = [Change("types", f"t{one}", REMOVED) for one in range(gone)]
    losses = great_losses(held, found)
    assert [(loss.kind, loss.gone, loss.held) for loss in losses] == ([("types", 3, 10)] if is_great else [])


def test_people_who_would_go_are_counted_and_not_named() -> None:
    """What is printed is copied."""
    held = Current(recipients={"P1": PERSON})
    (loss,) = great_losses(held, [Change("recipients", "P1", REMOVED)])
    assert (loss.gone, loss.ids) == (1, ())
