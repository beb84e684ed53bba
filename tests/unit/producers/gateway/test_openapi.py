import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.gateway.app import ACTS
from producers.gateway.models import MAX_BATCH, MessageBody
from producers.gateway.openapi import document
from producers.gateway.operations import OPERATIONS
from producers.gateway.page import POLICY, page
from producers.gateway.problems import TITLES
from tests import openapi_probe

DOCUMENT: dict[str, Any] = json.loads(json.dumps(document()))


def references(node: Any) -> set[str]:
    """Every `$ref` below a node."""
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_every_reference_leads_somewhere() -> None:
    """And it is a component."""
    components = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert references(DOCUMENT) <= components


def test_limits_of_the_models_are_in_the_document() -> None:
    """One source: what validates is what is documented."""
    shapes = DOCUMENT["components"]["schemas"]
    assert shapes["BatchBody"]["properties"]["messages"]["maxItems"] == MAX_BATCH
    assert shapes["BatchBody"]["properties"]["messages"]["items"] == {"$ref": "#/components/schemas/MessageBody"}
    assert shapes["MessageBody"]["additionalProperties"] is False
    assert shapes["MessageBody"]["properties"]["reference"]["maxLength"] == 256


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_operation_is_carried_out_and_documented(operation: Any) -> None:
    """Its path parameters are listed, its answers have shapes, and somebody does it."""
    told = DOCUMENT["paths"][operation.path][operation.method.lower()]
    assert {int(status) for status in told["responses"]} == {*operation.answers, *operation.refusals}
    listed = {one["name"] for one in told.get("parameters", []) if one["in"] == "path"}
    assert all(f"{{{name}}}" in operation.path for name in listed)
    assert operation.path.count("{") == len(listed)
    assert operation.name in {*ACTS, "take_batch", "live", "ready"}


def test_every_code_is_listed() -> None:
    """With its status and both languages."""
    assert DOCUMENT["x-error-codes"].keys() == {str(code) for code in TITLES}


def test_the_page_takes_nothing_from_elsewhere() -> None:
    """And its policy would not let it."""
    assert b"http://" not in page()
    assert b"https://" not in page()
    assert "default-src 'none'" in POLICY
    assert POLICY.count("sha256-") == 2


GOOD = {"message_id": "7", "status": "accepted", "links": {"self": "/"}}


@pytest.mark.parametrize(
    "answer",
    [
        {**GOOD, "status": "delivered"},
        {**GOOD, "links": {}},
        {**GOOD, "message_id": 7},
        {**GOOD, "secret": "x"},
        {"message_id": "7"},
        [],
        None,
    ],
)
def test_the_judge_of_answers_sees_what_is_not_as_documented(answer: Any) -> None:
    """The integration test that drives the running gateway stands on it."""
    shape = {"$ref": "#/components/schemas/Accepted"}
    assert openapi_probe.faults(GOOD, shape, DOCUMENT) == []
    assert openapi_probe.faults(answer, shape, DOCUMENT) != []


@given(st.data())
def test_good_bodies_made_from_the_document_are_read(data: st.DataObject) -> None:
    """What the document allows, the models take: a generated client is never refused for its shape."""
    made = data.draw(openapi_probe.values({"$ref": "#/components/schemas/MessageBody"}, DOCUMENT))
    assert msgspec.convert(made, MessageBody).type == made["type"]
