"""Tests of what Kafka shall allow each application's user."""

from infra.client_quotas import BYTES_PER_MESSAGE, QuotaChange, Quotas, by_user, changes, foreign, quotas_of, user_of
from schemas.configuration import AppConfig

HIS = AppConfig("his", messages_per_s=200.0, consumer_bytes_per_s=1_000_000, request_percent=12.5)


def test_a_rate_of_messages_is_a_byte_rate() -> None:
    """At 2 KiB a message; what is not said is no quota."""
    assert quotas_of(HIS) == {
        "producer_byte_rate": 200.0 * BYTES_PER_MESSAGE,
        "consumer_byte_rate": 1_000_000.0,
        "request_percentage": 12.5,
    }
    assert quotas_of(AppConfig("lis")) == {}


def test_an_application_logs_in_under_its_own_name_unless_it_says_another() -> None:
    """And one of whom nothing is said is not spoken of."""
    assert user_of(HIS) == "his"
    named = AppConfig("pacs", kafka_user="CN=pacs", request_percent=5.0)
    assert by_user([HIS, AppConfig("lis"), named]).keys() == {"his", "CN=pacs"}


def test_only_what_differs_is_changed() -> None:
    """Set, changed, and taken away where the registry speaks of the user; the same again is nothing."""
    after = {"his": {"producer_byte_rate": 10.0, "request_percentage": 5.0}}
    held = {"his": {"producer_byte_rate": 8.0, "consumer_byte_rate": 3.0, "controller_mutation_rate": 1.0}}
    assert changes({}, after, held) == [
        QuotaChange("his", "producer_byte_rate", 8.0, 10.0),
        QuotaChange("his", "consumer_byte_rate", 3.0, None),
        QuotaChange("his", "request_percentage", None, 5.0),
    ]
    assert changes(after, after, after) == []


def test_what_the_registry_no_longer_says_is_taken_away() -> None:
    """No more than it had said; and nothing when somebody was quicker."""
    before = {"his": {"producer_byte_rate": 10.0}}
    held = {"his": {"producer_byte_rate": 10.0, "consumer_byte_rate": 3.0}}
    assert changes(before, {}, held) == [QuotaChange("his", "producer_byte_rate", 10.0, None)]
    assert changes(before, {}, {}) == []


def test_quotas_from_elsewhere_are_left_alone_and_named() -> None:
    """Of applications' users only: others are none of ours."""
    held: dict[str, Quotas] = {
        "his": {"producer_byte_rate": 10.0},
        "lis": {"consumer_byte_rate": 1.0},
        "backup": {"consumer_byte_rate": 1.0},
    }
    apps = [HIS, AppConfig("lis"), AppConfig("pacs")]
    after = {"his": {"producer_byte_rate": 10.0}}
    assert changes({}, after, held) == []
    assert foreign(after, held, apps) == ["lis"]
