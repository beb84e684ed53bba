"""A vendor's system loads what it sends with, and nothing of the platform."""

import subprocess
import sys

import pytest

PLATFORM = {
    "aiokafka", "chdb", "clickhouse_connect", "faust", "hl7", "jinja2", "phonenumbers", "prometheus_client", "psutil",
    "pydantic", "rich", "rocksdict", "structlog", "typer", "uvloop", "yaml",
}  # fmt: skip
KAFKA = {"confluent_kafka", "cryptography", "fastavro", "jwt"}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("producers.publisher", PLATFORM | {"aiohttp"}),
        ("producers.async_publisher", PLATFORM | {"aiohttp"}),
        ("producers.http_client", PLATFORM | KAFKA | {"aiohttp", "lz4"}),
        ("producers.async_http_client", PLATFORM | KAFKA),
    ],
)
def test_a_client_pulls_in_nothing_heavy(module: str, heavy: set[str]) -> None:
    """What is loaded after an import in a fresh interpreter, against the list of extras."""
    program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)
    assert "msgspec" in loaded
