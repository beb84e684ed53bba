"""Free ports on the loopback: the usual one when it is free, else the next that is.

Called by whatever starts an embedded server. Never holds a port: between the look and the server's own bind
somebody else may take it, and then the server says so and the supervisor looks again.
"""

import socket
from collections.abc import Collection
from typing import Final

from schemas.errors import UnavailableError

LOOPBACK: Final = "127.0.0.1"
_SPAN: Final = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closing connection is no listener
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def pick_port(preferred: int, taken: Collection[int] = ()) -> int:
    """The first free port from `preferred` upwards that is not in `taken`; raises UnavailableError if none is."""
    for port in range(preferred, min(preferred + _SPAN, 65536)):
        if port not in taken and is_free(port):
            return port
    raise UnavailableError(
        f"no free port on {LOOPBACK} from {preferred} to {preferred + _SPAN - 1}", "stop what listens there"
    )


def any_port() -> int:
    """A port nobody listens on now, chosen by the system."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
