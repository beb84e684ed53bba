"""Registers the transport with Faust under `hub://`; imported for that by `infra.worker`."""

from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver

from infra.hub.consumer import HubConsumer


class HubTransport(driver.Transport):
    """Faust's aiokafka transport with our consumer."""

    Consumer = HubConsumer
    driver_version = f"hub/{driver.Transport.driver_version}"


def register() -> None:
    """Make `hub://` known to Faust."""
    TRANSPORTS.aliases["hub"] = f"{__name__}:HubTransport"


def broker_url(bootstrap: str) -> str:
    """Faust's broker setting for `host:port,host:port`."""
    return ";".join(f"hub://{server.strip()}" for server in bootstrap.split(","))
