"""How receipts of an account come decides what it can prove."""

import pytest

from schemas.configuration import ChannelConfig
from schemas.errors import Permanent
from sinks.catalogue import discover
from tests.channel_samples import ChannelSample, sample_of


@pytest.fixture(params=["sms_aliyun", "sms_tencent"])
def sample(request: pytest.FixtureRequest) -> ChannelSample:
    """Each SMS vendor."""
    return sample_of(request.param)


def checked(sample: ChannelSample, settings: dict[str, str], secrets: dict[str, str], level: str = "delivered") -> None:
    """What is said about an account that shall prove this level."""
    config = ChannelConfig(
        sample.channel,
        sample.provider,
        base_url="http://x",
        settings={**sample.settings, **settings},
        success_levels=["accepted", level],
    )
    discover().check(config, {**sample.secrets, **secrets})


def test_delivery_needs_receipts(sample: ChannelSample) -> None:
    """Pushed to a secret path, or pulled; else a type that wants it would wait in vain."""
    checked(sample, {"pull": "on"}, {})
    checked(sample, {}, {"receipt_token": "0123456789abcdef"})
    checked(sample, {}, {}, "accepted")
    with pytest.raises(Permanent, match="delivered needs receipts"):
        checked(sample, {"pull": "off"}, {})
    with pytest.raises(Permanent, match="read needs receipts"):
        checked(sample, {"pull": "on"}, {}, "read")


@pytest.mark.parametrize(
    ("settings", "secrets", "name"),
    [
        ({"pull": "often"}, {}, "pull"),
        ({"queries_per_s": "0"}, {}, "queries_per_s"),
        ({"receipt_from": "10.0.0.0/8, nowhere"}, {}, "receipt_from"),
        ({}, {"receipt_token": "short"}, "receipt_token"),
    ],
)
def test_what_is_wrong_is_named(
    sample: ChannelSample, settings: dict[str, str], secrets: dict[str, str], name: str
) -> None:
    """Without its value."""
    with pytest.raises(Permanent, match=name) as caught:
        checked(sample, settings, secrets, "accepted")
    assert "short" not in str(caught.value)
