"""The loop of the stream processes: TLS connections end soon, others as ever."""

from typing import Any

import pytest
import uvloop

from infra.loop import GOODBYE_S, new_event_loop


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"ssl": True}, {"ssl": True, "ssl_shutdown_timeout": GOODBYE_S}),
        ({"ssl": True, "ssl_shutdown_timeout": 7}, {"ssl": True, "ssl_shutdown_timeout": 7}),
        ({"ssl": None}, {"ssl": None}),
        ({}, {}),
    ],
)
def test_a_tls_connection_is_given_little_time_to_end(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], found: dict[str, Any]
) -> None:
    """Unless whoever opens it says how long; one without TLS has no farewell."""
    given: list[dict[str, Any]] = []

    async def create_connection(_: object, *args: object, **named: Any) -> object:
        given.append(named)
        return args

    monkeypatch.setattr(uvloop.Loop, "create_connection", create_connection, raising=False)
    loop: Any = new_event_loop()
    try:
        assert loop.run_until_complete(loop.create_connection(int, "h", 1, **asked)) == (int, "h", 1)
    finally:
        loop.close()
    assert given == [found]
