import base64
from pathlib import Path
from typing import Any

import pytest

from console import credentials
from console.credentials import Clients, Credential, read_credentials
from infra.crypto import Keyring, Ring
from infra.registry import Snapshot, key_place
from infra.registry_changes import Current
from infra.settings import Settings
from schemas.configuration import DISABLED, AppConfig, AppKey, MessageType
from schemas.errors import Permanent, Reason, UnavailableError

RING = Ring("registry", {1: bytes(32)})
FOREIGN = Ring("registry", {1: b"x" * 32})


def app_of(name: str, ring: Ring, *keys: tuple[str, str, str]) -> AppConfig:
    """An application with sealed keys of (id, algorithm, status)."""
    return AppConfig(
        app_id=name,
        keys=[
            AppKey(
                key_id,
                algorithm,
                status=status,
                sealed=ring.seal(b"secret-" + key_id.encode(), key_place(name, key_id)),
            )
            for key_id, algorithm, status in keys
        ],
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that point nowhere."""
    return Settings(home=tmp_path, kafka="127.0.0.1:9")


def test_a_key_file_is_read(tmp_path: Path) -> None:
    """An application's id leads to its key; HS256 unless another algorithm is named."""
    path = tmp_path / "keys.json"
    path.write_text(
        '{"lis": {"key_id": "lis-1", "secret": "s"}, "his": {"key_id": "h", "secret": "p", "algorithm": "ES256"}}'
    )
    assert read_credentials(path) == {"lis": Credential("lis-1", "s"), "his": Credential("h", "p", "ES256")}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"lis": {"key_id": "a"}}', '{"lis": {"key_id": "a", "secret": "top", "x": 1}}']
)
def test_a_bad_key_file_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    """The error names the file and the member, never a secret."""
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(Permanent, match=r"keys\.json") as refused:
        read_credentials(path)
    assert "top" not in str(refused.value)
    with pytest.raises(Permanent, match="No such file"):
        read_credentials(tmp_path / "none.json")


def test_registered_keys_are_opened(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first live secret that was sealed for us; public keys, disabled ones and others' are passed over."""
    apps = {
        "lis": app_of(
            "lis", RING, ("old", "HS256", DISABLED), ("pub", "ES256", "enabled"), ("new", "HS256", "enabled")
        ),
        "far": app_of("far", FOREIGN, ("k", "HS256", "enabled")),
    }
    current = Current(Snapshot(version=3, apps=apps, types={"t": MessageType(type="t", lane="urgent")}))
    monkeypatch.setattr(credentials, "read_current", lambda *_: current)
    monkeypatch.setattr(credentials, "load_keyring", lambda _: Keyring({"registry": RING}))
    assert credentials.read_registry(settings) == ({"lis": Credential("new", "secret-new")}, {"t": "urgent"})


def test_an_empty_registry_says_what_to_do(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody publishes under no name."""
    monkeypatch.setattr(credentials, "read_current", lambda *_: Current())
    monkeypatch.setattr(credentials, "load_keyring", lambda _: Keyring({"registry": RING}))
    with pytest.raises(UnavailableError) as missing:
        credentials.clients_for(settings, None)
    assert "registry apply" in missing.value.remedy


def test_a_key_file_works_without_a_registry(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender's machine may see the broker alone."""
    monkeypatch.setattr(credentials, "read_current", lambda *_: Current())
    monkeypatch.setattr(credentials, "load_keyring", lambda _: Keyring({"registry": RING}))
    assert credentials.clients_for(settings, {}).close() == ()


def test_one_client_an_application(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made once, with the application's own key; an application without one is refused by name."""
    made: list[tuple[Any, ...]] = []

    class Client:
        """Remembers what it was made with."""

        def __init__(self, *arguments: Any) -> None:
            made.append(arguments)

        def close(self, _timeout_s: float | None) -> tuple[str, ...]:
            """One message has no answer."""
            return ("left",)

    monkeypatch.setattr(credentials, "MedpostClient", Client)
    clients = Clients(settings, {"lis": Credential("k", base64.b64encode(b"s").decode())}, {"t": "bulk"})
    assert clients.client_of("lis") is clients.client_of("lis")
    assert made[0][1:3] == ("lis", "k")
    assert made[0][4].lanes == {"t": "bulk"}
    with pytest.raises(Permanent) as refused:
        clients.client_of("emr")
    assert refused.value.reason is Reason.APP_UNKNOWN
    assert clients.close() == ("left",)
