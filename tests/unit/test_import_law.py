"""Every rule of the import law refuses a deliberate violation, in a small house built for the test.

The rules are those of `pyproject.toml` itself, run by import-linter in a process of its own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from tests import import_law

ROOT = Path(__file__).parents[2]
HOUSE = {
    "schemas/records.py": "import msgspec\nimport re\n",
    "infra/clock.py": "import time\nfrom schemas import records\n",
    "infra/hub/transport.py": "import faust\nimport aiokafka\n",
    "producers/publisher.py": "from infra import clock\n",
    "streams/route.py": "from schemas import records\n",
    "streams/settle.py": "import asyncio\nfrom infra.hub import transport\nfrom streams import route\n",
    "sinks/http_caller.py": "import aiohttp\n",
    "sinks/channel.py": "import pydantic\nfrom sinks import http_caller\n",
    "sinks/channels/sms_one.py": "import hashlib\nfrom sinks import channel\n",
    "sinks/channels/sms_two.py": "from sinks import channel\n",
    "console/cli/main.py": "import typer\nfrom producers import publisher\nfrom streams import settle\n",
}
PACKAGES = [
    "schemas",
    "infra",
    "infra/hub",
    "producers",
    "streams",
    "sinks",
    "sinks/channels",
    "console",
    "console/cli",
]


def build(folder: Path, changes: dict[str, str]) -> Path:
    """The small house, with some of its files written otherwise, under the project's own law."""
    for package in PACKAGES:
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    for name, text in {**HOUSE, **changes}.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "import_law.py", folder / "tests")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(house: Path) -> tuple[int, str]:
    """Exit code and text of import-linter in that folder."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    done = subprocess.run(
        command, cwd=house, env={**os.environ, "COLUMNS": "300"}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_lawful_house_is_accepted(tmp_path: Path) -> None:
    """The small house keeps every rule, so that what the other tests see is their own violation."""
    code, text = lint(build(tmp_path, {}))
    assert (code, " 0 broken" in text) == (0, True), text


VIOLATIONS = [
    ("schemas/records.py", "from infra import clock", "schemas.records -> infra.clock"),
    ("infra/clock.py", "from console.cli import main", "infra is not allowed to import console"),
    ("infra/clock.py", "from sinks import channel", "infra is not allowed to import sinks"),
    ("streams/route.py", "from sinks import channel", "streams is not allowed to import sinks"),
    ("sinks/channel.py", "from producers import publisher", "sinks is not allowed to import producers"),
    (
        "producers/publisher.py",
        "def late():\n    from streams import route",
        "producers is not allowed to import streams",
    ),
    ("sinks/channels/sms_one.py", "from . import sms_two", "sinks.channels.sms_one is not allowed to import"),
    ("streams/route.py", "from streams import settle", "No cycles are allowed in streams"),
    ("streams/route.py", "import asyncio", "streams.route is not allowed to import asyncio"),
    ("streams/route.py", "from time import time", "streams.route is not allowed to import time"),
    ("schemas/records.py", "import os", "schemas is not allowed to import os"),
    ("console/cli/main.py", "import faust", "console.cli.main, line 1: may not import faust; its doors: infra.hub"),
    (
        "infra/clock.py",
        "from confluent_kafka import Producer",
        "may not import confluent_kafka; its doors: infra.kafka",
    ),
    ("schemas/records.py", "import fastavro", "may not import fastavro; its doors: schemas.codec"),
    ("streams/settle.py", "import rocksdict", "may not import rocksdict; its doors: infra.state"),
    ("streams/settle.py", "import jwt.algorithms", "may not import jwt; its doors: infra.tokens"),
    ("infra/clock.py", "import typer", "infra.clock, line 1: may not import typer; its doors: console"),
    ("sinks/channels/sms_one.py", "import requests", "may not import requests; its doors: none"),
]


@pytest.mark.parametrize(("file", "violation", "complaint"), VIOLATIONS, ids=[f"{a}: {b}" for a, b, _ in VIOLATIONS])
def test_a_violation_is_refused(tmp_path: Path, file: str, violation: str, complaint: str) -> None:
    """One forbidden import turns the linter red and is named."""
    code, text = lint(build(tmp_path, {file: f"{violation}\n{HOUSE[file]}"}))
    assert code == 1, text
    assert complaint in text, text


@pytest.mark.parametrize("line", ["faust", "faust:", "faust: ,"])
def test_a_door_that_says_nothing_is_refused(line: str) -> None:
    """A slip in the list of doors is not taken for "nobody" or "everybody"."""
    with pytest.raises(ValueError, match="write `library: module, module`"):
        import_law.parsed([line])


def test_a_door_is_a_package_not_a_beginning_of_a_name() -> None:
    """What is allowed to `infra.hub` is allowed to what lies in it, and not to `infra.hubbub`."""
    graph = grimp.ImportGraph()
    graph.add_module("faust", is_squashed=True)
    for importer in ("infra.hub", "infra.hub.thread", "infra.hubbub"):
        graph.add_import(importer=importer, imported="faust", line_number=3, line_contents="import faust")
    assert import_law.strangers(graph, {"faust": ("infra.hub",)}) == [
        "infra.hubbub, line 3: may not import faust; its doors: infra.hub"
    ]
