"""How Faust finds the transport."""

from faust.transport.drivers import by_name

from infra.hub.consumer import HubConsumer
from infra.hub.transport import broker_url, register


def test_faust_finds_it_under_its_scheme() -> None:
    """`hub://` gives our consumer."""
    register()
    assert by_name("hub").Consumer is HubConsumer


def test_every_server_gets_the_scheme() -> None:
    """Several brokers, with spaces."""
    assert broker_url("a:1, b:2") == "hub://a:1;hub://b:2"
