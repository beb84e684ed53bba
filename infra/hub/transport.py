"""Registers the transport with Faust under `hub://`; imported for that by `infra.worker`."""

from faust import SASLCredentials, SSLCredentials
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver

from infra.hub.consumer import HubConsumer
from infra.security import security_of, tls_context


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


def credentials(bootstrap: str) -> SASLCredentials | SSLCredentials | None:
    """Faust's `broker_credentials` for an address; None for a broker that asks for nothing."""
    asked = security_of(bootstrap)
    context = tls_context(asked)
    if asked.has_login:
        return SASLCredentials(
            username=asked.user, password=asked.password, ssl_context=context, mechanism=asked.mechanism
        )
    return SSLCredentials(context) if context is not None else None
