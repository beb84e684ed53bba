"""Tests of the registry's reading side: sets are closed, swapped whole, and a bad record leaves the old value."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.kafka import LogReader, LogRecord
from infra.registry import BAD_RECORDS, EMPTY, STANDING_BAD, BadRecord, Registry, Stage
from infra.settings import Settings
from schemas.configuration import CHANNEL_CONFIG, CONFIG_VERSION, ChannelConfig, ConfigVersion
from schemas.errors import UnavailableError

TOPIC = "config.channels"


class Logs(LogReader):
    """A reader of logs that are lists; `follow` plays the versions and then stops."""

    def __init__(self) -> None:
        super().__init__("nowhere:0")
        self.channels: list[LogRecord] = []
        self.versions: list[LogRecord] = []
        self.late: list[LogRecord] = []

    def put(self, name: str, value: bytes | None) -> int:
        """Append a channel; the offset after it."""
        self.channels.append(LogRecord(TOPIC, 0, len(self.channels), 0, name.encode(), value, ()))
        return len(self.channels)

    def channel(self, name: str, rate: float) -> int:
        """Append a good channel."""
        return self.put(name, CHANNEL_CONFIG.encode(ChannelConfig(channel=name, rate_per_s=rate)))

    def close_set(self, version: int, end: int, late: bool = False) -> None:
        """Append a closing record; `late`: only after the reader has caught up."""
        value = CONFIG_VERSION.encode(ConfigVersion(version, 1_000 + version, "tester", {"channels": end}))
        (self.late if late else self.versions).append(LogRecord("config.versions", 0, version, 0, b"v", value, ()))

    def read(
        self, topic: str, partition: int, start_offset: int = 0, end_offset: int | None = None
    ) -> Iterator[LogRecord]:
        """Records of the only log."""
        return iter(self.channels[start_offset:end_offset] if topic == TOPIC else [])

    def follow(
        self,
        topic: str,
        on_record: Callable[[LogRecord], None],
        is_stopped: Callable[[], bool],
        on_caught_up: Callable[[], None] | None = None,
    ) -> None:
        """What is there, the end, what comes later."""
        for record in self.versions:
            on_record(record)
        if on_caught_up is not None:
            on_caught_up()
        for record in self.late:
            on_record(record)
        is_stopped()


@pytest.fixture
def logs() -> Logs:
    """Empty logs."""
    return Logs()


@pytest.fixture
def one(tmp_path: Path) -> Registry:
    """A registry that is not started."""
    return Registry(Settings(home=tmp_path, kafka="nowhere:0", simulators="http://sim:1/"))


def closing(version: int, end: int) -> ConfigVersion:
    """A closing record of a set of channels."""
    return ConfigVersion(version, offsets={"channels": end})


def test_a_set_holds_what_is_before_its_offsets_and_nothing_after(logs: Logs) -> None:
    """An apply that is still being written is not seen."""
    end = logs.channel("sms", 10)
    logs.channel("sms", 99)
    snapshot = Stage("").close_at(logs, closing(1, end))
    assert snapshot.channels["sms"].rate_per_s == 10


def test_a_later_set_is_laid_over_the_earlier(logs: Logs) -> None:
    """Changed, added and removed objects; the first snapshot never changes."""
    stage = Stage("")
    first = stage.close_at(logs, closing(1, (logs.channel("sms", 10), logs.channel("voice", 1))[1]))
    logs.channel("sms", 20)
    logs.channel("webhook", 5)
    second = stage.close_at(logs, closing(2, logs.put("voice", None)))
    assert {name: config.rate_per_s for name, config in second.channels.items()} == {"sms": 20, "webhook": 5}
    assert {name: config.rate_per_s for name, config in first.channels.items()} == {"sms": 10, "voice": 1}


def test_a_bad_record_leaves_the_old_value_and_is_counted(logs: Logs) -> None:
    """Bytes that are no channel must not take the channel away."""
    before = BAD_RECORDS.labels("channels")._value.get()
    stage = Stage("")
    logs.channel("sms", 10)
    snapshot = stage.close_at(logs, closing(1, logs.put("sms", b"\xc3\x01 nonsense")))
    assert snapshot.channels["sms"].rate_per_s == 10
    assert BAD_RECORDS.labels("channels")._value.get() == before + 1


def test_a_bad_record_stands_out_until_it_is_written_anew(logs: Logs) -> None:
    """Named with its place, and whether something older is in force; gone with the next good record."""
    stage = Stage("")
    logs.channel("sms", 10)
    logs.put("voice", b"never was one")
    stage.close_at(logs, closing(1, logs.put("sms", b"\xc3\x01 nonsense")))
    assert stage.bad == (
        BadRecord("channels", "sms", 2, has_old_value=True),
        BadRecord("channels", "voice", 1, has_old_value=False),
    )
    stage.close_at(logs, closing(2, (logs.channel("sms", 20), logs.put("voice", None))[1]))
    assert not stage.bad


def test_the_alarm_rises_and_falls_with_the_bad_record(logs: Logs, one: Registry) -> None:
    """A gauge, so that an alarm ends when it is mended."""
    logs.channel("sms", 10)
    logs.close_set(1, logs.put("sms", b"nonsense"))
    one._follow(logs)
    assert STANDING_BAD.labels("channels")._value.get() == 1
    logs.close_set(2, logs.channel("sms", 20), late=True)
    one._follow(logs)
    assert STANDING_BAD.labels("channels")._value.get() == 0


def test_topics_made_anew_are_read_from_the_start(logs: Logs) -> None:
    """Offsets that go back belong to another log: nothing of the old one stays."""
    stage = Stage("")
    logs.channel("sms", 10)
    stage.close_at(logs, closing(7, logs.channel("voice", 1)))
    logs.channels.clear()
    snapshot = stage.close_at(logs, closing(1, logs.channel("webhook", 3)))
    assert list(snapshot.channels) == ["webhook"]


def test_an_empty_registry_is_not_ready_and_says_what_to_do(logs: Logs, one: Registry) -> None:
    """It rejects nothing: it waits."""
    one._follow(logs)
    assert not one.is_ready
    assert one.snapshot is EMPTY
    with pytest.raises(UnavailableError) as missing:
        one.wait_ready(0)
    assert "registry apply" in missing.value.remedy


def test_only_the_last_of_the_closed_sets_is_read_at_start(logs: Logs, one: Registry) -> None:
    """A long history costs no more than its last set."""
    logs.channel("sms", 10)
    logs.close_set(1, 1)
    logs.close_set(2, logs.channel("sms", 20))
    one._follow(logs)
    assert one.wait_ready(0).version == 2
    assert one.snapshot.channels["sms"].rate_per_s == 20


def test_a_new_set_takes_the_place_of_the_old_whole(logs: Logs, one: Registry) -> None:
    """The snapshot that somebody holds stays what it was."""
    logs.close_set(1, logs.channel("sms", 10))
    one._follow(logs)
    held = one.snapshot
    logs.close_set(2, logs.channel("sms", 20), late=True)
    one._follow(logs)
    assert (held.version, one.snapshot.version) == (1, 2)
    assert held.channels["sms"].rate_per_s == 10


def test_a_bad_closing_record_keeps_the_version_before(logs: Logs, one: Registry) -> None:
    """Its set waits for the next one that can be read."""
    logs.close_set(1, logs.channel("sms", 10))
    logs.late.append(LogRecord("config.versions", 0, 2, 0, b"v", b"nonsense", ()))
    one._follow(logs)
    assert one.snapshot.version == 1


def test_simulators_that_move_are_noticed_without_a_new_version(
    logs: Logs, one: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may come up later than the registry, on another port."""
    value = CHANNEL_CONFIG.encode(ChannelConfig(channel="sms", base_url="simulators:/aliyun/"))
    logs.close_set(1, logs.put("sms", value))
    one._follow(logs)
    assert one.snapshot.channels["sms"].base_url == "http://sim:1/aliyun/"
    monkeypatch.setattr("infra.settings.simulators_endpoint", lambda _settings: "http://sim:2")
    one._look_again_s = 0.0
    assert not one._is_stopped()
    assert one.snapshot.channels["sms"].base_url == "http://sim:2/aliyun/"
