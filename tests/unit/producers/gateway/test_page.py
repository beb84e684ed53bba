"""The trial page's own script, run by node over the real document: what its buttons send and show."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from producers.gateway.openapi import document
from producers.gateway.operations import OPERATIONS
from producers.gateway.page import page

NODE = shutil.which("node")
SCRIPT = page().decode().partition("<script>")[2].partition("</script>")[0]
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")


@pytest.fixture(scope="module")
def tried() -> dict[str, Any]:
    """Every operation tried once, in the order of the document."""
    probe = Path(__file__).with_name("page_probe.js")
    done = subprocess.run(
        [NODE or "node", probe, SCRIPT, json.dumps(document())], capture_output=True, text=True, timeout=20, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def asked_for(tried: dict[str, Any], method: str, start: str) -> list[str]:
    """What was sent there: method, address, kind of the body, authorisation, body."""
    found: list[list[str]] = [one for one in tried["asked"] if one[0] == method and one[1].startswith(start)]
    return found[0]


def test_every_operation_can_be_tried(tried: dict[str, Any]) -> None:
    """One request each, its path filled in, and every error code explained."""
    assert len(tried["asked"]) == len(OPERATIONS)
    assert not [one for one in tried["asked"] if re.search("[{}]", one[1])]
    assert tried["codes"] == len(document()["x-error-codes"])


def test_the_token_that_was_given_is_sent_from_then_on(tried: dict[str, Any]) -> None:
    """Where the document asks for one, and nowhere else."""
    assert asked_for(tried, "POST", "/v1/messages")[3] == "Bearer T"
    assert asked_for(tried, "GET", "/v1/apps/a%2Fb/backlog")[3] == "Bearer T"
    assert asked_for(tried, "GET", "/live")[3] == ""


def test_a_body_is_sent_as_what_it_is(tried: dict[str, Any]) -> None:
    """JSON for messages; a provider's push in XML, too, which no component of the document describes."""
    kind, _, body = asked_for(tried, "POST", "/v1/message-batches")[2:]
    assert kind == "application/json"
    assert json.loads(body)["messages"]
    assert asked_for(tried, "POST", "/v1/receipts/a%2Fb")[2:] == ["text/xml", "", "<xml/>"]


def test_an_answer_that_is_text_is_shown(tried: dict[str, Any]) -> None:
    """What WeChat wants to hear is no JSON."""
    assert "200 \nsuccess" in tried["shown"]
