"""One record: said to be with the broker when the broker says so, and not otherwise."""

from collections.abc import Callable

import pytest

from infra.kafka import PublishFailure, publish_one, single
from schemas.errors import UnavailableError

DENIED = PublishFailure("requests", 29, "TOPIC_AUTHORIZATION_FAILED", is_permanent=True, text="")


class Broker:
    """The publisher; `says` is told of the record, or nothing is when it is empty."""

    says: tuple[PublishFailure | None, ...] = ()
    is_full = False
    closed: list[float] = []  # noqa: RUF012 - emptied by the fixture

    def __init__(self, _bootstrap: str, **_: object) -> None: ...

    def publish(self, *_: object, on_report: Callable[[PublishFailure | None], None], **__: object) -> None:
        """As told."""
        if self.is_full:
            raise UnavailableError("full", "wait")
        for said in self.says:
            on_report(said)

    def close(self, timeout_s: float) -> int:
        """Waits so long."""
        self.closed.append(timeout_s)
        return 0


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> type[Broker]:
    """The only one."""
    monkeypatch.setattr(single, "Publisher", Broker)
    Broker.says, Broker.is_full, Broker.closed = (), False, []
    return Broker


@pytest.mark.parametrize(("says", "has_it"), [((None,), True), ((DENIED,), False), ((), False)], ids=str)
def test_it_is_there_when_the_broker_says_so(
    broker: type[Broker], says: tuple[PublishFailure | None, ...], has_it: bool
) -> None:
    """Not when it was refused, and not when nothing was heard in time."""
    broker.says = says
    assert publish_one("nowhere:1", "requests", b"v", b"k", 3.0) is has_it
    assert broker.closed == [3.0]


def test_the_producer_is_let_go_in_any_case(broker: type[Broker]) -> None:
    """Also when it takes no record."""
    broker.is_full = True
    with pytest.raises(UnavailableError):
        publish_one("nowhere:1", "requests", b"v", b"k", 3.0)
    assert broker.closed == [3.0]
