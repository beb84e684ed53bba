"""The catalogue: every provider file is found, and a wrong configuration named."""

from types import ModuleType

import pytest
from msgspec import structs

from schemas.configuration import ChannelConfig
from schemas.errors import Permanent, Reason
from schemas.statuses import LEVELS
from sinks.catalogue import channel_class, discover
from sinks.channel import channel_files
from tests.channel_samples import sample_of


def config(name: str, **told: object) -> ChannelConfig:
    """A configuration that works, with some members changed."""
    sample = sample_of(name)
    settings = dict(sample.settings)
    base_url = sample.base_url("http://127.0.0.1:9")
    plain = ChannelConfig(sample.channel, sample.provider, base_url=base_url, settings=settings)
    return structs.replace(plain, **told)


def test_every_file_is_an_entry() -> None:
    """A file in the folder is enough to be there."""
    assert {f"{entry.channel}_{entry.provider}" for entry in discover()} == {*channel_files()}


def test_every_capability_makes_sense() -> None:
    """Levels are levels, beginning with the weakest; rates and windows are positive."""
    for entry in discover():
        capability = entry.capability
        assert capability.levels == LEVELS[: len(capability.levels)]
        assert capability.levels
        assert capability.kinds <= {"template", "text", "rich"}
        assert capability.rate_per_s > 0
        assert capability.max_in_flight > 0
        assert capability.idempotency_window_s is None or capability.idempotency_window_s > 0


@pytest.mark.parametrize("name", channel_files())
def test_a_working_configuration_passes(name: str) -> None:
    """It tells what the provider can do."""
    sample = sample_of(name)
    assert discover().check(config(name), sample.secrets) == discover().find(sample.channel, sample.provider).capability


@pytest.mark.parametrize("name", channel_files())
@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"settings": {"access_key_id": "x", "colour": "red"}}, "setting"),
        ({"base_url": ""}, "setting base_url"),
        ({"base_url": "simulators:/x"}, "setting base_url"),
        ({"base_url": "ftp://x"}, "setting base_url"),
        ({"base_url": "http://x/?a=b"}, "setting base_url"),
        ({"provider": "nobody"}, "no provider 'nobody'"),
    ],
)
def test_a_wrong_configuration_is_named(name: str, told: dict[str, object], complaint: str) -> None:
    """One line that says which setting, and never shows a secret."""
    sample = sample_of(name)
    with pytest.raises(Permanent) as caught:
        discover().check(config(name, **told), sample.secrets)
    assert caught.value.reason is Reason.CONFIG_MISSING
    assert complaint in caught.value.detail
    assert not any(secret in str(caught.value) for secret in sample.secrets.values())


@pytest.mark.parametrize("name", channel_files())
def test_a_missing_secret_is_named(name: str) -> None:
    """Without its secrets a channel is not built."""
    with pytest.raises(Permanent) as caught:
        discover().check(config(name), {})
    assert any(secret in caught.value.detail for secret in sample_of(name).secrets)


def test_a_file_without_a_channel_is_refused() -> None:
    """So is one with two."""
    with pytest.raises(ValueError, match="defines 0 channels"):
        channel_class(ModuleType("sinks.channels.sms_nothing"))
