"""Where the store lives."""

from pathlib import Path

from infra.local.store_site import StoreSite


def test_site_names_url_and_command() -> None:
    """One port, on the loopback, in URL and command alike."""
    site = StoreSite(Path("/h/store"), 8123)
    assert site.url == "http://127.0.0.1:8123"
    assert site.command[1:] == (
        "-P",
        "-m",
        "infra.local.store",
        "--path",
        "/h/store/data",
        "--port",
        "8123",
        "--analyst",
        "/h/store/analyst.json",
    )
