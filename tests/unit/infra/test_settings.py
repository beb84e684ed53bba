"""Settings come from the environment once, name the variable that is wrong, and keep secrets to themselves."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr, ValidationError

from infra import settings
from infra.settings import Settings, endpoints, environment_for, kafka_endpoint, load
from schemas.errors import UnavailableError
from tests.certificates import Authority

NAMES = (
    "HOME",
    "KAFKA",
    "CLICKHOUSE",
    "NAMESPACE",
    "PARTITIONS",
    "REPLICATION",
    "SIMULATORS",
    "CRYPTO_KEYS",
    "LOG_LEVEL",
)


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test sees only the environment that it makes."""
    for name in NAMES:
        monkeypatch.delenv(f"MEDPOST_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def write_servers(home: Path, text: str) -> Settings:
    """Settings of a home whose embedded servers wrote that text."""
    one = Settings(home=home)
    one.run_folder.mkdir(parents=True)
    settings.servers_file(one).write_text(text, "utf-8")
    return one


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each field is MEDPOST_ and its name."""
    monkeypatch.setenv("MEDPOST_KAFKA", "one:9092,[::1]:9093")
    monkeypatch.setenv("MEDPOST_PARTITIONS", "12")
    assert (load().kafka, load().partitions, load().replication) == ("one:9092,[::1]:9093", 12, 1)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("MEDPOST_PARTITIONS", "0", "greater than or equal to 1"),
        ("MEDPOST_PARTITIONS", "four", "valid integer"),
        ("MEDPOST_REPLICATION", "8", "less than or equal to 7"),
        ("MEDPOST_KAFKA", "localhost", "must be host:port"),
        ("MEDPOST_KAFKA", "one:9092,two", "must be host:port"),
        ("MEDPOST_CLICKHOUSE", "localhost:8123", "must begin with http://"),
        ("MEDPOST_SIMULATORS", "127.0.0.1:8200", "must begin with http://"),
        ("MEDPOST_NAMESPACE", "Hospital North", "must be lower case letters and digits"),
        ("MEDPOST_NAMESPACE", "north.", "must be lower case letters and digits"),
        ("MEDPOST_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str) -> None:
    """The refusal says which variable, what is wrong with it, and what to do."""
    monkeypatch.setenv(name, value)
    with pytest.raises(UnavailableError, match=complaint) as refusal:
        load()
    assert refusal.value.detail.startswith(f"{name}: ")
    assert refusal.value.remedy == f"set {name} to a valid value, or unset it"


def test_a_refusal_does_not_repeat_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set may hold a secret."""
    monkeypatch.setenv("MEDPOST_CLICKHOUSE", "medpost:geheim@store:8123")
    with pytest.raises(UnavailableError) as refusal:
        load()
    assert "geheim" not in f"{refusal.value}{refusal.value.remedy}"


def test_secrets_do_not_print() -> None:
    """Neither keys nor the store's password are in the settings' text."""
    text = repr(Settings(clickhouse="http://medpost:geheim@store:8123", crypto_keys=SecretStr("geheim")))
    assert "geheim" not in text


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """`MEDPOST_PARTITIONS=` means the default, not a refusal, and an empty home is not the current folder."""
    for name in NAMES:
        monkeypatch.setenv(f"MEDPOST_{name}", "")
    one = load()
    assert (one.partitions, one.kafka, one.crypto_keys) == (4, "", None)
    assert one.home != Path.cwd()


def test_the_home_is_found_upwards_and_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The nearest .medpost above the current folder, else the user's own; ~ and relative names are spelled out."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    (tmp_path / "site" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "site" / "deep")
    assert load().home == tmp_path / "user" / ".medpost"
    (tmp_path / "site" / ".medpost").mkdir()
    assert load().home == tmp_path / "site" / ".medpost"
    monkeypatch.setenv("MEDPOST_HOME", "here")
    assert load().home == tmp_path / "site" / "deep" / "here"
    monkeypatch.setenv("MEDPOST_HOME", "~/there")
    assert load().home == tmp_path / "user" / "there"


def test_settings_are_frozen() -> None:
    """Nobody changes a setting behind another's back."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().kafka = "elsewhere:9092"


def test_a_namespace_goes_before_topics_groups_and_database() -> None:
    """Installations share servers without sharing names."""
    north = Settings(namespace="north-1.a")
    assert north.topic("events.urgent") == "north-1.a.events.urgent"
    assert north.group("settle", "urgent") == "north-1.a.medpost.settle.urgent"
    assert north.database == "north_1_a_medpost"
    assert (Settings().topic("dead"), Settings().group("trace"), Settings().database) == (
        "dead",
        "medpost.trace",
        "medpost",
    )


def test_folders_lie_in_the_home(tmp_path: Path) -> None:
    """Pid files and state are under MEDPOST_HOME."""
    one = Settings(home=tmp_path)
    assert (one.run_folder, one.state_folder) == (tmp_path / "run", tmp_path / "state")


def test_configured_servers_go_before_embedded_ones(tmp_path: Path) -> None:
    """Where the environment names a server, the file is not asked for it."""
    write_servers(
        tmp_path, json.dumps({"kafka": "local:1", "clickhouse": "http://local:2", "simulators": "http://local:3"})
    )
    found = endpoints(Settings(home=tmp_path, kafka="far:9092"))
    assert (found.kafka, found.clickhouse, found.simulators) == ("far:9092", "http://local:2/medpost", "http://local:3")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://store:8123", "http://store:8123/medpost"),
        ("http://store:8123/", "http://store:8123/medpost"),
        ("https://user:word@store:8443/own", "https://user:word@store:8443/own"),
        ("http://store:8123?wait=1", "http://store:8123/medpost?wait=1"),
        ("http://store:8123/?path=/a/b", "http://store:8123/medpost?path=/a/b"),
        ("http://store:8123/own?wait=1", "http://store:8123/own?wait=1"),
    ],
)
def test_the_store_s_url_names_a_database(given: str, expected: str) -> None:
    """Ours is added unless the address names one."""
    assert endpoints(Settings(kafka="k:1", clickhouse=given)).clickhouse == expected


@pytest.mark.parametrize("text", ["", "{", "[]", '"kafka"', "{}", '{"kafka": 9092}', '{"kafka": ""}'])
def test_a_server_that_is_not_known_is_a_clear_refusal(tmp_path: Path, text: str) -> None:
    """No file, a torn file or a file without the server: what to start, or which variable to set."""
    with pytest.raises(UnavailableError, match="no kafka server is known here") as refusal:
        kafka_endpoint(write_servers(tmp_path, text))
    assert refusal.value.remedy == "start the embedded ones with `medpost up`, or set MEDPOST_KAFKA"
    with pytest.raises(UnavailableError, match="no clickhouse server is known here"):
        endpoints(Settings(home=tmp_path / "nowhere", kafka="k:1"))


def test_a_child_sees_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment for a child gives back equal settings, whatever this process was started with."""
    monkeypatch.setenv("MEDPOST_NAMESPACE", "from-outside")
    monkeypatch.setenv("MEDPOST_KAFKA", "outside:9092")
    monkeypatch.setenv("UNRELATED", "kept")
    mine = Settings(home=tmp_path, namespace="", kafka="mine:9092", partitions=7, crypto_keys=SecretStr("{}"))
    environment = environment_for(mine)
    assert environment["UNRELATED"] == "kept"
    for name in NAMES:
        monkeypatch.delenv(f"MEDPOST_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert load() == mine


def test_settings_that_do_not_go_together_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, with the variables named; no password is shown."""
    monkeypatch.setenv("MEDPOST_KAFKA", "kafka:9093")
    monkeypatch.setenv("MEDPOST_KAFKA_PASSWORD", "s3cret")
    with pytest.raises(UnavailableError) as refused:
        load()
    assert refused.value.detail.startswith("MEDPOST_KAFKA_USER and _PASSWORD need MEDPOST_KAFKA_SECURITY")
    assert "s3cret" not in str(refused.value)


def test_a_broker_with_login_carries_it_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the address that every client is made with, and into child processes."""
    for name, value in {"": "kafka:9093", "_SECURITY": "sasl_ssl", "_USER": "medpost", "_PASSWORD": "s3cret"}.items():
        monkeypatch.setenv(f"MEDPOST_KAFKA{name}", value)
    one = load()
    assert kafka_endpoint(one) == "kafka:9093"
    assert kafka_endpoint(one).security.password == "s3cret"
    assert "s3cret" not in repr(one)
    passed_on = environment_for(one)
    assert (passed_on["MEDPOST_KAFKA_SECURITY"], passed_on["MEDPOST_KAFKA_PASSWORD"]) == ("sasl_ssl", "s3cret")


def test_the_store_s_login_and_authorities_get_into_its_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Quoted, with the database, and never shown by the settings."""
    Authority(tmp_path)
    monkeypatch.setenv("MEDPOST_CLICKHOUSE", "https://ch:9440")
    monkeypatch.setenv("MEDPOST_CLICKHOUSE_USER", "med post")
    monkeypatch.setenv("MEDPOST_CLICKHOUSE_PASSWORD", "p@ss/word")
    monkeypatch.setenv("MEDPOST_CLICKHOUSE_CA", str(tmp_path / "ca.pem"))
    url = settings.store_endpoint(load())
    assert url.startswith("https://med%20post:p%40ss%2Fword@ch:9440/medpost?ca_cert=")
    assert "p@ss" not in repr(load())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?compress=lz4&wait=", {"compress": ["lz4"], "wait": [""]}),
        ("?verify=false&ca_cert=/old.pem", {"verify": ["false"]}),
    ],
)
def test_the_authorities_join_what_the_store_s_url_asks_for(
    tmp_path: Path, query: str, expected: dict[str, list[str]]
) -> None:
    """One query string, every option once; the file of the settings goes before one in the URL."""
    ca = Authority(tmp_path, "a & b").file
    given = f"https://ch:9440/own{query}"
    url = urlsplit(settings.store_endpoint(Settings(kafka="k:1", clickhouse=given, clickhouse_ca=str(ca))))
    assert (url.netloc, url.path) == ("ch:9440", "/own")
    assert parse_qs(url.query, keep_blank_values=True) == {**expected, "ca_cert": [str(ca)]}
