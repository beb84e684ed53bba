"""Replies as JSON: Chinese stays readable, and headers are added to the type."""

from infra.simulators.exchange import as_json


def test_a_reply_is_json_with_its_type() -> None:
    """Not escaped, as vendors send it."""
    reply = as_json(202, {"说": "好"}, {"retry-after": "1"})
    assert (reply.status, reply.body.decode()) == (202, '{"说": "好"}')
    assert reply.headers == {"content-type": "application/json; charset=utf-8", "retry-after": "1"}
