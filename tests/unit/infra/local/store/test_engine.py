"""The parts of the engine's door that need no engine: quoting, errors, the server's settings."""

from pathlib import Path

import pytest

from infra.local.store.engine import EngineError, connection_string, quote, quote_name


@pytest.mark.parametrize(("text", "literal"), [("a'b", r"'a\'b'"), ("a\\", r"'a\\'"), ("表", "'表'")])
def test_literals_are_quoted(text: str, literal: str) -> None:
    """A setting's value cannot leave its quotes."""
    assert quote(text) == literal


def test_names_are_quoted() -> None:
    """A database name cannot leave its quotes."""
    assert quote_name("a`b\\") == r"`a\`b\\`"


@pytest.mark.parametrize(
    ("said", "code", "text"),
    [
        (
            "boo: Code: 60. DB::Exception: no table. (UNKNOWN_TABLE)",
            60,
            "Code: 60. DB::Exception: no table. (UNKNOWN_TABLE)",
        ),
        ("something else", 1001, "Code: 1001. DB::Exception: something else"),
    ],
)
def test_error_has_a_code(said: str, code: int, text: str) -> None:
    """Clients read the code from the text; what has none gets the standard exception's."""
    problem = EngineError(said)
    assert (problem.code, str(problem)) == (code, text)


def test_memory_is_capped() -> None:
    """The engine is opened with its memory bound."""
    assert "max_server_memory_usage=1000000000" in connection_string(Path("/x"))
