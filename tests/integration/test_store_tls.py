"""The store spoken to over https with a login: settings lead in, certificates are verified, errors say what to set."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from msgspec import Struct
from pydantic import SecretStr

from infra import migrate, rollup
from infra.clickhouse import Store, without_database
from infra.local import doctor, processes, store_site
from infra.local.ports import LOOPBACK, any_port
from infra.settings import Settings, store_endpoint
from schemas.codec import EVENT
from schemas.errors import UnavailableError
from sinks.ingest import Ingest
from tests import trace_truth
from tests.certificates import DAY, Authority
from tests.tls_front import tls_front

USER, PASSWORD = "medpost", "p@ss:w/ö?#%&+ 密"
"""What a password may hold, and what a URL could trip over."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Fronts(Struct, frozen=True):
    """Ports of the same store: in plain text, and over TLS with a good certificate and with two bad ones."""

    plain: int
    tls: int
    misnamed: int
    expired: int
    ca: str
    stranger: str


@pytest.fixture(scope="module")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronts]:
    """A store of its own behind them."""
    folder = tmp_path_factory.mktemp("store-tls")
    ours, stranger = Authority(folder), Authority(folder, "stranger")
    late = ours.sign("expired", LOOPBACK, begins=-2 * DAY, ends=-DAY)
    site = store_site.StoreSite(folder / "store", any_port())
    running = store_site.start(site, os.environ, ends_with_parent=True)
    with (
        tls_front(site.port, ours.sign("good", LOOPBACK), USER, PASSWORD) as tls,
        tls_front(site.port, ours.sign("misnamed", "store.hospital.example"), USER, PASSWORD) as misnamed,
        tls_front(site.port, late, USER, PASSWORD) as expired,
    ):
        yield Fronts(site.port, tls, misnamed, expired, str(ours.file), str(stranger.file))
    processes.stop([running], store_site.STOP_GRACE_S)


def settings(home: Path, port: int, ca: str = "", password: str = PASSWORD) -> Settings:
    """An installation whose store is at that port."""
    return Settings(
        home=home,
        clickhouse=f"https://{LOOPBACK}:{port}/tls",
        clickhouse_user=USER,
        clickhouse_password=SecretStr(password),
        clickhouse_ca=ca,
    )


def test_the_platform_writes_and_reads_over_tls_with_a_login(fronts: Fronts, tmp_path: Path) -> None:
    """Migrations, blocks of records, rebuilt figures and queries; the login stands beside the address, not in it."""
    with Store(store_endpoint(settings(tmp_path, fronts.tls, fronts.ca))) as store:
        migrate.apply(store)
        history = [EVENT.encode(event) for event in trace_truth.history(50)]
        assert Ingest(store, partial(rollup.mark, store)).write(history) == []
        assert rollup.rebuild(store, "test")
        written = store.rows("SELECT count() AS n FROM message_facts FINAL")
        assert written[0]["n"] > 0
    with Store(f"http://{LOOPBACK}:{fronts.plain}/tls") as store:
        assert store.rows("SELECT count() AS n FROM message_facts FINAL") == written


@pytest.mark.parametrize(
    ("front", "ca", "told", "setting"),
    [
        ("tls", "stranger", "no authority in", "MEDPOST_CLICKHOUSE_CA"),
        ("tls", "", "no authority known here", "MEDPOST_CLICKHOUSE_CA"),
        ("misnamed", "ca", "other names than 127.0.0.1", "MEDPOST_CLICKHOUSE"),
        ("expired", "ca", "has expired", "renewed"),
        ("plain", "ca", "does not speak TLS", "http:// in MEDPOST_CLICKHOUSE"),
    ],
)
def test_a_certificate_that_is_wrong_is_refused_in_words(
    fronts: Fronts, tmp_path: Path, front: str, ca: str, told: str, setting: str
) -> None:
    """With the server, what is wrong, and what to set; the doctor says the same."""
    wrong = settings(tmp_path, getattr(fronts, front), getattr(fronts, ca) if ca else "")
    with Store(store_endpoint(wrong)) as store, pytest.raises(UnavailableError) as refused:
        store.rows("SELECT 1")
    assert f"the store at {LOOPBACK}:{getattr(fronts, front)}" in refused.value.detail
    assert told in refused.value.detail
    assert setting in refused.value.remedy
    found = next(one for one in doctor.examine(wrong) if one.what == "store")
    assert (found.is_well, found.code, found.detail, found.remedy) == (
        False,
        1,
        refused.value.detail,
        refused.value.remedy,
    )


def test_a_wrong_password_is_told_without_it(fronts: Fronts, tmp_path: Path) -> None:
    """And names the settings that hold it."""
    wrong = settings(tmp_path, fronts.tls, fronts.ca, "gue&ss:@/?")
    with Store(without_database(store_endpoint(wrong))) as store, pytest.raises(UnavailableError) as refused:
        store.rows("SELECT 1")
    assert "AUTHENTICATION_FAILED" in refused.value.detail
    assert "MEDPOST_CLICKHOUSE_PASSWORD" in refused.value.remedy
    assert "gue" not in f"{refused.value.detail} {refused.value.remedy}"


def test_the_doctor_is_content_with_the_right_authorities(fronts: Fronts, tmp_path: Path) -> None:
    """And reads the clock there over the same connection; plain text to a TLS port is told."""
    found = {one.what: one for one in doctor.examine(settings(tmp_path, fronts.tls, fronts.ca))}
    assert (found["store"].is_well, found["clock"].is_well) == (True, True)
    plain = Settings(home=tmp_path, clickhouse=f"http://{LOOPBACK}:{fronts.tls}/tls")
    (told,) = [one for one in doctor.examine(plain) if one.what == "store"]
    assert (told.is_well, "https://" in told.remedy) == (False, True)
