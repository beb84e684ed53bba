"""All settings of a process, read from the environment once, at the top, and handed down.

Only this file reads the environment. Values are frozen; secrets print as stars. Where a server is not named by
the environment, the embedded one's address is taken from `$MEDPOST_HOME/run/servers.json`.
"""

import json
import os
import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from msgspec import Struct
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.security import BrokerAddress, Security, complaint, store_complaint
from schemas.errors import UnavailableError

HOME_NAME: Final = ".medpost"
CA_OPTION: Final = "ca_cert"
"""What the store's client calls the file of authorities in a URL."""
_NAMESPACE: Final = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


def _default_home() -> Path:
    """The nearest `.medpost` folder upwards from here, as git looks for its own; else the one in the user's home."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / HOME_NAME).is_dir():
            return folder / HOME_NAME
    return Path.home() / HOME_NAME


def _absolute(folder: Path) -> Path:
    """The folder as any process sees it, wherever that one was started."""
    return folder.expanduser().absolute()


def _bootstrap(text: str) -> str:
    if any(
        not host or not port.isdigit() for host, _, port in (one.rpartition(":") for one in text.split(",") if text)
    ):
        raise ValueError("must be host:port, or several of them with commas between")
    return text


def _namespace(text: str) -> str:
    if text and not _NAMESPACE.fullmatch(text):
        raise ValueError("must be lower case letters and digits, with single dots, dashes or underscores between")
    return text


def _url(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return text


class Settings(BaseSettings):
    """What a process may be told from outside; every name is `MEDPOST_<NAME>` in the environment."""

    model_config = SettingsConfigDict(env_prefix="MEDPOST_", frozen=True, extra="ignore", env_ignore_empty=True)

    home: Annotated[Path, AfterValidator(_absolute)] = Field(default_factory=_default_home)
    """Folder for the embedded servers' data, state, logs, keys and pid files."""
    kafka: Annotated[str, AfterValidator(_bootstrap)] = ""
    """Bootstrap servers `host:port,…`; empty: the embedded broker."""
    kafka_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    """How the broker named by `kafka` is spoken to."""
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """How user and password are given (sasl_…)."""
    kafka_user: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_ca: str = ""
    """PEM file of the authorities that sign the broker's certificate (ssl, sasl_ssl); empty: the system's."""
    kafka_certificate: str = ""
    kafka_key: str = ""
    """PEM files of our own certificate and its key, where the broker asks for one."""
    clickhouse: Annotated[str, Field(repr=False), AfterValidator(_url)] = ""
    """`http://user:password@host:port/database`; empty: the embedded store, database `medpost`."""
    clickhouse_user: str = ""
    clickhouse_password: SecretStr = SecretStr("")
    """Instead of standing in the URL, where every list of environments shows them."""
    clickhouse_ca: str = ""
    """PEM file of the authorities that sign the server's certificate (https)."""
    namespace: Annotated[str, AfterValidator(_namespace)] = ""
    """Put before every topic, group and (with `_`) database name, so that installations can share servers."""
    partitions: Annotated[int, Field(ge=1, le=512)] = 4
    """Count of the co-partitioned topics (events, deliveries, delays); fixed at first provisioning."""
    replication: Annotated[int, Field(ge=1, le=7)] = 1
    """Replicas of every topic; production wants 3 (with min.insync.replicas 2)."""
    simulators: Annotated[str, AfterValidator(_url)] = ""
    """Base URL of the simulated providers; empty: where the embedded ones listen."""
    crypto_keys: SecretStr | None = None
    """Keyring as JSON (see `infra.crypto`); None: `$MEDPOST_HOME/keys.json`, made at first use."""
    gateway_host: str = "127.0.0.1"
    """Address that the HTTP gateway listens on; TLS is the business of what stands before it."""
    gateway_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of the HTTP gateway; 0: the first free one from 8790."""
    gateway_rate_per_s: Annotated[float, Field(gt=0)] = 2_000.0
    """Requests a second that the gateway takes from one application; twice as many at once."""
    gateway_messages_per_day: Annotated[int, Field(ge=1)] = 5_000_000
    """Messages that one application may hand to one gateway process within a day (UTC+8)."""
    gateway_connections: Annotated[int, Field(ge=1)] = 1_000
    """Connections that the gateway keeps open at once; one more is told 503."""
    gateway_ack_s: Annotated[float, Field(ge=0.5, le=20)] = 5.0
    """How long the gateway waits for the broker's acknowledgement before it answers 503."""
    gateway_body_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """How long a message's body may take to arrive; a batch's six times as long."""
    gateway_idle_s: Annotated[float, Field(gt=0, le=600)] = 15.0
    """A connection that sends no whole head of a request for so long is closed."""
    bounces_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port on loopback where the receipts role takes bounces of mail over SMTP; 0: none."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious line that is written."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Refuse at the start what would fail at the first connection, and less clearly."""
        password = self.clickhouse_password.get_secret_value()
        wrong = complaint(self.broker_security, has_servers=bool(self.kafka)) or store_complaint(
            self.clickhouse, self.clickhouse_user, password, self.clickhouse_ca
        )
        if wrong:
            raise ValueError(wrong)
        return self

    @property
    def broker_security(self) -> Security:
        """What the broker asks for."""
        return Security(
            self.kafka_security,
            self.kafka_mechanism,
            self.kafka_user,
            self.kafka_password.get_secret_value(),
            self.kafka_ca,
            self.kafka_certificate,
            self.kafka_key,
        )

    def topic(self, name: str) -> str:
        """The name on the broker of a topic called `name` in the design."""
        return f"{self.namespace}.{name}" if self.namespace else name

    def group(self, role: str, lane: str = "") -> str:
        """The consumer group of a role, and lane where the role has one: `medpost.<role>.<lane>`."""
        return self.topic(".".join(part for part in ("medpost", role, lane) if part))

    @property
    def database(self) -> str:
        """The store's database when the DSN names none."""
        return f"{self.namespace.replace('.', '_').replace('-', '_')}_medpost" if self.namespace else "medpost"

    @property
    def run_folder(self) -> Path:
        """Pid files, ports and `servers.json`."""
        return self.home / "run"

    @property
    def state_folder(self) -> Path:
        """RocksDB of settle and of intake's directory."""
        return self.home / "state"


class Endpoints(Struct, frozen=True):
    """Where the servers are: Kafka bootstrap, ClickHouse URL with database, base URL of the simulated providers."""

    kafka: str
    clickhouse: str
    simulators: str


def load() -> Settings:
    """Settings from the environment; raises UnavailableError naming the variable that is wrong."""
    try:
        return Settings()
    except ValidationError as problem:
        first = problem.errors()[0]
        if not first["loc"]:  # several settings that do not go together, named in the text
            raise UnavailableError(str(first["msg"]).removeprefix("Value error, "), "see docs/operations.md") from None
        name = "MEDPOST_" + "_".join(str(part).upper() for part in first["loc"])
        raise UnavailableError(f"{name}: {first['msg']}", f"set {name} to a valid value, or unset it") from None


def servers_file(settings: Settings) -> Path:
    """Where the supervisor writes the addresses of the embedded servers, as JSON."""
    return settings.run_folder / "servers.json"


def endpoints(settings: Settings) -> Endpoints:
    """Addresses of all servers; raises UnavailableError when one is neither configured nor up."""
    local = _local_servers(settings)
    return Endpoints(
        kafka=kafka_endpoint(settings),
        clickhouse=store_endpoint(settings),
        simulators=settings.simulators or local.get("simulators", ""),
    )


def store_endpoint(settings: Settings) -> str:
    """The store's URL with its database alone, for what needs no broker."""
    url = settings.clickhouse or _required(_local_servers(settings), "clickhouse", "MEDPOST_CLICKHOUSE")
    return _with_login(_with_database(url, settings.database), settings)


def kafka_endpoint(settings: Settings) -> BrokerAddress:
    """Bootstrap servers and their security, for what needs no store."""
    servers = settings.kafka or _required(_local_servers(settings), "kafka", "MEDPOST_KAFKA")
    return BrokerAddress(servers, settings.broker_security)


def simulators_endpoint(settings: Settings) -> str:
    """Base URL of the simulated providers, empty while none is known: they may come up later, on another port."""
    return settings.simulators or _local_servers(settings).get("simulators", "")


def gateway_endpoint(settings: Settings) -> str:
    """Base URL of this home's HTTP gateway; raises UnavailableError while none is known."""
    return _required(_local_servers(settings), "gateway", "MEDPOST_GATEWAY_PORT")


def _local_servers(settings: Settings) -> dict[str, str]:
    try:
        found = json.loads(servers_file(settings).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}


def _required(local: dict[str, str], key: str, variable: str) -> str:
    if local.get(key):
        return local[key]
    raise UnavailableError(
        f"no {key} server is known here", f"start the embedded ones with `medpost up`, or set {variable}"
    )


def _with_database(url: str, database: str) -> str:
    """The URL with a database: its own, or else that one."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{parts.path.strip('/') or database}"))


def _with_login(url: str, settings: Settings) -> str:
    """The URL with the user and the authorities that stand beside it in the settings; these go before its own."""
    parts = urlsplit(url)
    if settings.clickhouse_user:
        password = settings.clickhouse_password.get_secret_value()
        login = f"{quote(settings.clickhouse_user, safe='')}:{quote(password, safe='')}"
        parts = parts._replace(netloc=f"{login}@{parts.netloc}")
    if settings.clickhouse_ca:
        asked = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != CA_OPTION]
        parts = parts._replace(query=urlencode([*asked, (CA_OPTION, settings.clickhouse_ca)]))
    return urlunsplit(parts)


def environment_for(settings: Settings) -> dict[str, str]:
    """The environment for a child process that shall see the same settings."""
    named = {
        "MEDPOST_HOME": str(settings.home),
        "MEDPOST_KAFKA": settings.kafka,
        "MEDPOST_CLICKHOUSE": settings.clickhouse,
        "MEDPOST_KAFKA_SECURITY": settings.kafka_security if settings.kafka else "",
        "MEDPOST_KAFKA_MECHANISM": settings.kafka_mechanism if settings.broker_security.has_login else "",
        "MEDPOST_KAFKA_USER": settings.kafka_user,
        "MEDPOST_KAFKA_PASSWORD": settings.kafka_password.get_secret_value(),
        "MEDPOST_KAFKA_CA": settings.kafka_ca,
        "MEDPOST_KAFKA_CERTIFICATE": settings.kafka_certificate,
        "MEDPOST_KAFKA_KEY": settings.kafka_key,
        "MEDPOST_CLICKHOUSE_USER": settings.clickhouse_user,
        "MEDPOST_CLICKHOUSE_PASSWORD": settings.clickhouse_password.get_secret_value(),
        "MEDPOST_CLICKHOUSE_CA": settings.clickhouse_ca,
        "MEDPOST_NAMESPACE": settings.namespace,
        "MEDPOST_PARTITIONS": str(settings.partitions),
        "MEDPOST_REPLICATION": str(settings.replication),
        "MEDPOST_SIMULATORS": settings.simulators,
        "MEDPOST_LOG_LEVEL": settings.log_level,
        "MEDPOST_CRYPTO_KEYS": settings.crypto_keys.get_secret_value() if settings.crypto_keys else "",
    }
    others = {key: value for key, value in os.environ.items() if key.upper() not in named}
    return others | {key: value for key, value in named.items() if value}
