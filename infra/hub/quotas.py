"""Kafka's client quotas of users: asking what is set, and setting it.

Called by `registry apply | diff`. confluent-kafka 2.16 has no call for them, so the two requests (DescribeClientQuotas,
key 48, and AlterClientQuotas, key 49, both version 0) are written here on aiokafka's protocol types; source: Kafka's
protocol guide, KIP-546. Blocking; needs no loop of the caller's. It decides nothing: see `infra.client_quotas`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int8, Int16, Int32, Schema, String

from infra.client_quotas import Quotas
from infra.security import aiokafka_properties
from schemas.errors import UnavailableError

T = TypeVar("T")
USER: Final = "user"
ANY_NAME: Final = 2
"""A match of every entity that has a name of its own."""
ASK_S: Final = 15.0
IN_FORCE_S: Final = 5.0
"""A change is with the controller first, and with a broker some milliseconds later."""
LOOK_S: Final = 0.05
_ENTITY: Final = Array(("entity_type", String()), ("entity_name", String()))


class _DescribeAnswer(Response):
    API_KEY = 48
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", String()),
        ("entries", Array(("entity", _ENTITY), ("values", Array(("key", String()), ("value", Float64))))),
    )


class _Describe(RequestStruct):
    API_KEY = 48
    API_VERSION = 0
    RESPONSE_TYPE = _DescribeAnswer
    SCHEMA = Schema(
        ("components", Array(("entity_type", String()), ("match_type", Int8), ("match", String()))),
        ("strict", Boolean),
    )


class _AlterAnswer(Response):
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", String()), ("entity", _ENTITY))),
    )


class _Alter(RequestStruct):
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _AlterAnswer
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", _ENTITY),
                ("ops", Array(("key", String()), ("value", Float64), ("remove", Boolean))),
            ),
        ),
        ("validate_only", Boolean),
    )


class DescribeRequest(Request[_Describe]):
    """The quotas of every user by name; `strict`: of users alone, not of a user together with a client id."""

    API_KEY = 48

    def build(self, request_struct_class: type[_Describe]) -> _Describe:
        """As it goes over the wire."""
        return request_struct_class([(USER, ANY_NAME, None)], True)  # noqa: FBT003 - fields by their order


class AlterRequest(Request[_Alter]):
    """Quotas of users to set; None takes one away."""

    API_KEY = 49

    def __init__(self, wanted: Mapping[str, Mapping[str, float | None]]) -> None:
        self._entries = [
            ([(USER, user)], [(key, value or 0.0, value is None) for key, value in sorted(quotas.items())])
            for user, quotas in sorted(wanted.items())
        ]

    def build(self, request_struct_class: type[_Alter]) -> _Alter:
        """As it goes over the wire."""
        return request_struct_class(self._entries, False)  # noqa: FBT003 - as above


def described(bootstrap: str) -> dict[str, Quotas]:
    """The quotas of every user that has any of its own, by Kafka's names of them.

    Raises UnavailableError when the broker is not there, does not know of quotas, or does not let this user see them.
    """
    return _run(bootstrap, _described)


def alter(bootstrap: str, wanted: Mapping[str, Mapping[str, float | None]]) -> dict[str, str]:
    """Set quotas by user and key, None: take it away. Returns why not, by user, where the broker refused one.

    What is not refused is in force on the broker that was asked. Raises UnavailableError when the broker is not there,
    does not know of quotas, or does not have them after IN_FORCE_S.
    """

    async def ask(client: AIOKafkaClient) -> dict[str, str]:
        answer: Any = await client.send(client.get_random_node(), AlterRequest(wanted))
        refused = {entity[0][1]: _name(code) for code, _, entity in answer.entries if code}
        taken = {user: values for user, values in wanted.items() if user not in refused}
        until_s = time.monotonic() + IN_FORCE_S
        while taken and not _is_in_force(taken, await _described(client)):
            if time.monotonic() > until_s:
                raise UnavailableError("client quotas: accepted, but not in force yet", "look with `registry diff`")
            await asyncio.sleep(LOOK_S)
        return refused

    return _run(bootstrap, ask) if wanted else {}


async def _described(client: AIOKafkaClient) -> dict[str, Quotas]:
    answer: Any = await client.send(client.get_random_node(), DescribeRequest())
    if answer.error_code:
        what = f"client quotas: {_name(answer.error_code)}"
        raise UnavailableError(what, "give the user the right DescribeConfigs on the cluster")
    return {entity[0][1]: dict(values) for entity, values in answer.entries or []}


def _is_in_force(wanted: Mapping[str, Mapping[str, float | None]], held: Mapping[str, Quotas]) -> bool:
    return all(held.get(user, {}).get(key) == value for user, values in wanted.items() for key, value in values.items())


def _run(bootstrap: str, ask: Callable[[AIOKafkaClient], Awaitable[T]]) -> T:
    async def within() -> T:
        client = AIOKafkaClient(**aiokafka_properties(bootstrap), request_timeout_ms=int(ASK_S * 1000))
        try:
            await client.bootstrap()
            return await ask(client)
        finally:
            await client.close()

    loud = logging.getLogger("aiokafka")  # what it has to say, its errors say to whoever asked
    level = loud.level
    loud.setLevel(logging.CRITICAL)
    try:
        return asyncio.run(asyncio.wait_for(within(), 2 * ASK_S))
    except (KafkaError, NotImplementedError, TimeoutError) as problem:
        raise UnavailableError(f"client quotas: {type(problem).__name__}", "is the broker reachable?") from None
    finally:
        loud.setLevel(level)


def _name(code: int) -> str:
    return str(for_code(code).__name__)
