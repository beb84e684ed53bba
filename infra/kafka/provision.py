"""Topics on the broker: create what is missing, refuse what differs, and ask whether a broker is there at all.

Called by `medpost up`, `doctor` and the tests. Never deletes a topic and never changes one that exists.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public names that its stubs do not re-export
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
    TopicMetadata,
)
from msgspec import Struct, field

from infra.kafka.reach import trouble
from infra.security import librdkafka_properties
from schemas.errors import UnavailableError

REQUEST_S: Final = 15.0
LEADERS_S: Final = 60.0
"""A new topic has its leaders within 0.1 s; on a starved machine it took 20 s."""
LOOK_AGAIN_S: Final = 0.05


class TopicSpec(Struct, frozen=True):
    """A topic as it shall be: name on the broker, partitions, replicas, settings by the broker's names."""

    name: str
    partitions: int
    replication: int = 1
    config: Mapping[str, str] = field(default_factory=dict)


class Provisioned(Struct, frozen=True):
    """What `provision` did: names created, names found as wanted, settings that differ (a warning, not a refusal)."""

    created: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({**librdkafka_properties(bootstrap), "log_level": 0})


def _partitions(admin: AdminClient, bootstrap: str, timeout_s: float) -> dict[str, int]:
    try:
        listed = admin.list_topics(timeout=timeout_s)
    except KafkaException as problem:
        name = problem.args[0].name()
        raise trouble(bootstrap, may_speak_tls=True) or UnavailableError(
            f"no Kafka broker answers at {bootstrap} ({name})", "start it with `medpost up`, or set MEDPOST_KAFKA"
        ) from None
    return {name: len(topic.partitions) for name, topic in listed.topics.items()}


def ping(bootstrap: str, timeout_s: float) -> None:
    """Return when a broker answers; raises UnavailableError with what to do when none does in `timeout_s`."""
    _partitions(_admin(bootstrap), bootstrap, timeout_s)


def provision(bootstrap: str, specs: Sequence[TopicSpec]) -> Provisioned:
    """Create the topics that are missing and check the others.

    Returns when every partition has a leader, so that what follows need not wait for the broker's metadata. Raises
    UnavailableError when the broker is not there or refuses, or when a topic has another number of partitions than
    wanted: records would be looked for in the wrong place.
    """
    admin = _admin(bootstrap)
    found = _partitions(admin, bootstrap, REQUEST_S)
    wrong = [spec for spec in specs if spec.name in found and found[spec.name] != spec.partitions]
    if wrong:
        raise UnavailableError(_complaint(wrong, found), "set MEDPOST_PARTITIONS to the count of the existing topics")
    existing = [spec for spec in specs if spec.name in found]
    created = _create(admin, [spec for spec in specs if spec.name not in found])
    _await_leaders(admin, bootstrap, specs)
    return Provisioned(created, tuple(spec.name for spec in existing), _differing(admin, existing))


def _complaint(wrong: Sequence[TopicSpec], found: Mapping[str, int]) -> str:
    listed = ", ".join(f"{spec.name} has {found[spec.name]} partitions, not {spec.partitions}" for spec in wrong[:5])
    return f"{listed}; the count is fixed at first provisioning"


def _create(admin: AdminClient, missing: Sequence[TopicSpec]) -> tuple[str, ...]:
    if not missing:
        return ()
    wanted = [NewTopic(spec.name, spec.partitions, spec.replication, config=dict(spec.config)) for spec in missing]
    for name, done in admin.create_topics(wanted, request_timeout=REQUEST_S).items():
        try:
            done.result()
        except KafkaException as problem:
            error = problem.args[0]
            if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another process was quicker
                raise UnavailableError(f"creating topic {name}: {error.str()}", "see the broker's log") from None
    return tuple(spec.name for spec in missing)


def _await_leaders(admin: AdminClient, bootstrap: str, specs: Sequence[TopicSpec]) -> None:
    """Look until the broker's own metadata has every partition with a leader; a creation is answered before that."""
    until = time.monotonic() + LEADERS_S
    while True:
        try:
            listed = admin.list_topics(timeout=REQUEST_S).topics
        except KafkaException as problem:
            raise UnavailableError(f"asking for topics: {problem.args[0].name()}", "see the broker's log") from None
        late = [spec.name for spec in specs if spec.name not in listed or not _is_led(listed[spec.name], spec)]
        if not late:
            return
        if time.monotonic() > until:
            raise UnavailableError(f"{late[0]} at {bootstrap} has no leader yet", "see the broker's log")
        time.sleep(LOOK_AGAIN_S)


def _is_led(topic: TopicMetadata, spec: TopicSpec) -> bool:
    return len(topic.partitions) == spec.partitions and all(one.leader >= 0 for one in topic.partitions.values())


def _settings_of(answer: Future[Any]) -> dict[str, str]:
    """A topic's settings; raises UnavailableError when the broker went away before it answered."""
    try:
        return {name: entry.value for name, entry in answer.result().items()}
    except KafkaException as problem:
        what = f"asking for the settings of topics: {problem.args[0].name()}"
        raise UnavailableError(what, "is the broker reachable?") from None


def _differing(admin: AdminClient, existing: Sequence[TopicSpec]) -> tuple[str, ...]:
    """Settings that the broker has otherwise than wanted, as `topic: setting is X, not Y`."""
    wanted = {spec.name: spec.config for spec in existing if spec.config}
    if not wanted:
        return ()
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in wanted]
    complaints: list[str] = []
    for resource, answer in admin.describe_configs(resources, request_timeout=REQUEST_S).items():
        actual = _settings_of(answer)
        complaints += [
            f"{resource.name}: {setting} is {actual.get(setting)}, not {value}"
            for setting, value in wanted[resource.name].items()
            if actual.get(setting) != value
        ]
    return tuple(complaints)
