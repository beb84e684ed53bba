"""Reading a request: user, database, settings, parameters; what is not spoken is refused by name."""

import base64

import pytest

from infra.local.store.asked import FULL_USER, READER, basic_account, read_request
from infra.local.store.guard import RefusedError


def _basic(user: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:secret".encode()).decode()


def test_parts_are_told_apart() -> None:
    """Settings are what is neither transport nor parameter."""
    url = {
        "query": "SELECT {x:UInt8}",
        "param_x": "1",
        "database": "d",
        "max_threads": "2",
        "session_id": "s",
        "wait_end_of_query": "1",
        "query_id": "q",
    }
    asked = read_request(url, {}, "new")
    assert asked.query == b"SELECT {x:UInt8}"
    assert asked.settings == {"max_threads": "2"}
    assert asked.parameters == {"x": "1"}
    assert (asked.database, asked.query_id, asked.is_whole) == ("d", "q", True)


def test_defaults() -> None:
    """Nothing given: the full user, the default database, tabs, the id that was minted."""
    asked = read_request({}, {}, "new")
    assert (asked.user, asked.database, asked.default_format) == (FULL_USER, "default", "TabSeparated")
    assert asked.query_id == "new"


@pytest.mark.parametrize(
    ("url", "headers"),
    [({"user": READER}, {}), ({}, {"X-ClickHouse-User": READER}), ({}, {"Authorization": _basic(READER)})],
)
def test_user_comes_by_any_of_three_ways(url: dict[str, str], headers: dict[str, str]) -> None:
    """URL, header or HTTP Basic name the user."""
    assert read_request(url, headers, "i").user == READER


@pytest.mark.parametrize("user", ["root", "admin"])
def test_unknown_user_is_refused(user: str) -> None:
    """Nobody else exists, and nobody becomes the full user by a typing error."""
    with pytest.raises(RefusedError) as caught:
        read_request({"user": user}, {}, "i")
    assert caught.value.code == 516


def test_broken_basic_header_is_refused() -> None:
    """A header that cannot be read is no full user."""
    with pytest.raises(RefusedError):
        basic_account("Basic %%%")


@pytest.mark.parametrize("name", ["compress", "decompress"])
def test_native_compression_is_refused_by_name(name: str) -> None:
    """Block compression is not spoken; a client that asks for it must not get plain bytes."""
    with pytest.raises(RefusedError, match="compress=1"):
        read_request({name: "1"}, {}, "i")
