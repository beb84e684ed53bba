"""Session fixtures: the real broker and the real store, started once per run on free ports in a temporary home.

They fail, and never skip, where Java or Maven is missing: a run without them proves nothing.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import broker, processes, store_site
from infra.local.ports import any_port


@pytest.fixture(scope="session")
def servers_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The temporary home in which the session's servers keep their files."""
    return tmp_path_factory.mktemp("medpost-home")


@pytest.fixture(scope="session")
def kafka(servers_home: Path) -> Iterator[str]:
    """Bootstrap string of a broker that lives as long as the test run."""
    site = broker.site_under(servers_home / "broker", any_port(), any_port())
    running = broker.start(site, os.environ, ends_with_parent=True)
    yield site.bootstrap
    processes.stop([running], broker.STOP_GRACE_S)


@pytest.fixture(scope="session")
def clickhouse(servers_home: Path) -> Iterator[str]:
    """Base URL of a store that lives as long as the test run; every test makes a database of its own."""
    site = store_site.StoreSite(servers_home / "store", any_port())
    running = store_site.start(site, os.environ, ends_with_parent=True)
    yield site.url
    processes.stop([running], store_site.STOP_GRACE_S)
