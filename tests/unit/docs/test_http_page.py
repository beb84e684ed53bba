"""The page for vendors says what is true: paths, settings, codes, and bodies that are accepted."""

import json
import re
from pathlib import Path

import msgspec

from infra.settings import Settings
from producers.gateway.models import BatchBody, MessageBody, Problems, TokenBody
from producers.gateway.operations import OPERATIONS
from producers.gateway.problems import TITLES

PAGE = (Path(__file__).parents[3] / "docs" / "http.md").read_text("utf-8")


def bodies() -> list[bytes]:
    """Every JSON body that a curl line of the page sends."""
    return [found.encode() for found in re.findall(r"-d '(\{.*?\})'", PAGE, re.DOTALL)]


def test_every_body_to_copy_is_one_that_is_read() -> None:
    """By the very models that validate."""
    token, message, batch = bodies()
    assert msgspec.json.decode(token, type=TokenBody).app_key == "his"
    assert msgspec.json.decode(message, type=MessageBody).type == "registration_confirmed"
    for raw in msgspec.json.decode(batch, type=BatchBody).messages:
        assert msgspec.json.decode(raw, type=MessageBody).recipient is not None


def test_every_path_and_setting_that_it_names_exists() -> None:
    """And every setting of the gateway is named."""
    known = {re.sub(r"\{.*?\}|\$ID", "*", operation.path) for operation in OPERATIONS} | {
        "/v1/docs",
        "/v1/openapi.json",
    }
    named = {
        re.sub(r"\{.*?\}|\$ID", "*", path)
        for path in re.findall(r"/v1/[a-z-]+(?:/[a-z]+|/\{\w+\}|/\$ID|\.json)*", PAGE)
    }
    assert named <= known
    wanted = {f"MEDPOST_{name.upper()}" for name in Settings.model_fields if name.startswith("gateway_")}
    assert set(re.findall(r"MEDPOST_GATEWAY_\w+", PAGE)) == wanted


def test_the_refusal_shown_is_of_the_documented_shape() -> None:
    """With a code that exists."""
    (shown,) = re.findall(r'```\n(\{"errors".*?)\n```', PAGE, re.DOTALL)
    (problem,) = msgspec.convert(json.loads(shown), Problems).errors
    assert TITLES[problem.code] == (problem.status, problem.title.zh, problem.title.en)
