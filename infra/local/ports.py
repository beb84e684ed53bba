"""Free ports on the loopback: the usual one when it is free, else the next that is.

Called by whatever starts an embedded server. Never holds a port: between the look and the server's own bind
somebody else may take it, and then the server says so and the supervisor looks again.
"""

import secrets
import socket
from collections.abc import Collection
from typing import Final

from schemas.errors import UnavailableError

LOOPBACK: Final = "127.0.0.1"
_SPAN: Final = 200
_ANY: Final = range(12_000, 32_000)
"""Below those that the system gives to connections (Linux: from 32,768): one of these would be taken a moment later."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closing connection is no listener
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def are_free(port: int, count: int) -> bool:
    """Whether servers could listen on that port and those after it, so many in all."""
    return all(is_free(one) for one in range(port, port + count))


def pick_port(preferred: int, taken: Collection[int] = (), count: int = 1) -> int:
    """The first of `count` free ports in a row, from `preferred` upwards, none of them in `taken`.

    Raises UnavailableError if there are none.
    """
    for port in range(preferred, min(preferred + _SPAN, 65536)):
        if {*taken}.isdisjoint(range(port, port + count)) and are_free(port, count):
            return port
    raise UnavailableError(
        f"no free port on {LOOPBACK} from {preferred} to {preferred + _SPAN - 1}", "stop what listens there"
    )


def any_port(count: int = 1) -> int:
    """The first of `count` ports in a row that nobody listens on now, anywhere among those that are given to nobody.

    Raises UnavailableError if there are none.
    """
    for _ in _ANY:
        port = secrets.choice(_ANY)
        if are_free(port, count):
            return port
    raise UnavailableError(f"no free port on {LOOPBACK} from {_ANY[0]} to {_ANY[-1]}", "stop what listens there")
