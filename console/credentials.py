"""Under whose name the console publishes: keys of applications, from a file or from the registry, and their clients.

Called by `medpost publish` and the sample hospital. Keys stay in memory; they are never printed or written.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from infra import settings as settings_module
from infra.clock import Clock, SystemClock
from infra.crypto import load_keyring
from infra.registry_changes import opened, read_current
from infra.settings import Settings
from producers.publisher import ClientOptions, MedpostClient
from producers.refusals import Refused
from schemas.configuration import ENABLED, AppConfig
from schemas.errors import Permanent, Reason, UnavailableError


class Credential(Struct, frozen=True, forbid_unknown_fields=True):
    """One key: the secret of HS256, or a private key as PEM."""

    key_id: str
    secret: str
    algorithm: str = "HS256"


Credentials = Mapping[str, Credential]


def read_credentials(path: Path) -> Credentials:
    """Keys from JSON `{"lis": {"key_id": …, "secret": …}}`; raises Permanent(param_invalid), never showing a secret."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Credential])
    except OSError as problem:
        raise Permanent(Reason.PARAM_INVALID, f"{path}: {problem.strerror}") from None
    except msgspec.MsgspecError as problem:
        raise Permanent(Reason.PARAM_INVALID, f"{path}: {problem}") from None


def read_registry(settings: Settings) -> tuple[Credentials, dict[str, str]]:
    """The keys that this installation may open, and each type's lane; raises UnavailableError without a registry."""
    keyring = load_keyring(settings)
    snapshot = read_current(settings, keyring).snapshot
    if snapshot.version == 0:
        raise UnavailableError(
            "配置登记处是空的，没有应用的密钥", "运行 `medpost registry apply`，或给出 --credentials FILE"
        )
    credentials = {name: _usable(opened(app, keyring)) for name, app in snapshot.apps.items()}
    lanes = {name: kind.lane for name, kind in snapshot.types.items()}
    return {name: found for name, found in credentials.items() if found is not None}, lanes


def _usable(app: AppConfig) -> Credential | None:
    """The application's first live secret that could be opened here; public keys cannot sign."""
    for key in app.keys:
        if key.status == ENABLED and key.algorithm == "HS256" and key.sealed not in (b"", b"?"):
            return Credential(key.key_id, key.sealed.decode("utf-8", "replace"))
    return None


class Clients:
    """One client an application, made when first needed; `close` says what is not acknowledged."""

    def __init__(
        self, settings: Settings, credentials: Credentials, lanes: Mapping[str, str], clock: Clock | None = None
    ) -> None:
        self._bootstrap = settings_module.kafka_endpoint(settings)
        self._options = ClientOptions(namespace=settings.namespace, lanes=lanes, clock=clock or SystemClock())
        self._credentials = credentials
        self._made: dict[str, MedpostClient] = {}

    def client_of(self, app: str) -> MedpostClient:
        """The application's client; raises MedpostError(app_unknown) when its key is not at hand."""
        if app not in self._made:
            found = self._credentials.get(app)
            if found is None:
                raise Refused(
                    Reason.APP_UNKNOWN,
                    f"no key of application {app or '(none)'} is at hand",
                    "register the application, or give --credentials FILE",
                )
            options = msgspec.structs.replace(self._options, algorithm=found.algorithm)
            self._made[app] = MedpostClient(self._bootstrap, app, found.key_id, found.secret, options)
        return self._made[app]

    def close(self, timeout_s: float | None = None) -> tuple[str, ...]:
        """Close all; the ids that have no answer."""
        return tuple(left for client in self._made.values() for left in client.close(timeout_s))


def clients_for(settings: Settings, credentials: Credentials | None) -> Clients:
    """Clients with keys from the file that was given, else from the registry.

    With a file, a registry that cannot be read only means that every type travels in its default lane. Raises
    UnavailableError without a broker, or with neither file nor registry.
    """
    if credentials is None:
        return Clients(settings, *read_registry(settings))
    try:
        lanes = read_registry(settings)[1]
    except UnavailableError:
        lanes = {}
    return Clients(settings, credentials, lanes)
