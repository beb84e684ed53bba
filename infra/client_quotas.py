"""What Kafka shall allow each application's user: quotas from the registry, and what is to be changed for them.

Called by `registry apply | diff`. Kafka's quotas bind a user, on each broker by itself, and only where the broker knows
who a client is. Pure; the requests are `infra.hub.quotas`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from schemas.configuration import AppConfig

BYTES_PER_MESSAGE: Final = 2_048
"""What one message may take of a producer's byte rate: an ordinary record with its token, alone in its batch, is some
700 bytes, one of 500 characters 2,000. So the rate in messages is a floor, never less than what was granted."""
PRODUCER, CONSUMER, REQUESTS = "producer_byte_rate", "consumer_byte_rate", "request_percentage"
KEYS: Final = (PRODUCER, CONSUMER, REQUESTS)
"""The quotas that the registry speaks of; others of a user are left alone."""
Quotas = dict[str, float]
"""By Kafka's name: bytes a second, or percent of one broker thread's time."""


class QuotaChange(Struct, frozen=True):
    """One quota of a user that is to be another; None: there is none."""

    user: str
    key: str
    before: float | None
    after: float | None


def user_of(app: AppConfig) -> str:
    """The name by which the application logs in to the broker: its own, unless it says another."""
    return app.kafka_user or app.app_id


def quotas_of(app: AppConfig) -> Quotas:
    """What the application's user is allowed; empty: nothing is said."""
    said = {
        PRODUCER: app.messages_per_s * BYTES_PER_MESSAGE,
        CONSUMER: float(app.consumer_bytes_per_s),
        REQUESTS: app.request_percent,
    }
    return {key: value for key, value in said.items() if value}


def by_user(apps: Iterable[AppConfig]) -> dict[str, Quotas]:
    """What the registry says, of those users of whom it says something."""
    return {user_of(app): quotas for app in apps if (quotas := quotas_of(app))}


def changes(before: Mapping[str, Quotas], after: Mapping[str, Quotas], held: Mapping[str, Quotas]) -> list[QuotaChange]:
    """From what the broker holds to what the registry says; `before` is what the registry said until now.

    Of a user of whom nothing is said any more, what was said before is taken away. A user of whom the registry never
    spoke keeps what somebody gave him by other means.
    """
    found = []
    for user in sorted(before.keys() | after.keys()):
        wanted, has = after.get(user, {}), held.get(user, {})
        keys = KEYS if user in after else tuple(before[user])
        found += [
            QuotaChange(user, key, has.get(key), wanted.get(key)) for key in keys if has.get(key) != wanted.get(key)
        ]
    return found


def foreign(after: Mapping[str, Quotas], held: Mapping[str, Quotas], apps: Iterable[AppConfig]) -> list[str]:
    """Users of applications for whom the broker holds quotas although the registry says nothing of them."""
    users = {user_of(app) for app in apps} - after.keys()
    return sorted(user for user in users if any(key in held.get(user, {}) for key in KEYS))
