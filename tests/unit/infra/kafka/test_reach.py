"""Why no broker is reached, where there is none: nothing to tell, and the error that was there stays."""

import pytest

from infra.kafka.reach import explained, trouble
from infra.security import BrokerAddress, Security
from schemas.errors import UnavailableError

GUARDED = BrokerAddress("127.0.0.1:1, 127.0.0.1:2", Security("ssl"))


@pytest.mark.parametrize("address", ["127.0.0.1:1", GUARDED])
def test_a_broker_that_is_away_has_no_trouble_with_certificates(address: str) -> None:
    """Nobody listens on ports 1 and 2."""
    assert trouble(address, may_speak_tls=True) is None


def test_the_error_that_was_there_stays() -> None:
    """A guarded broker that is away is told as any other; an open one is not asked again."""
    away = UnavailableError("asking: _TRANSPORT")
    assert explained(GUARDED, away) is away
    assert explained("127.0.0.1:1", away) is away
