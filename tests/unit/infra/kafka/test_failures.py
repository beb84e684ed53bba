"""Whose fault a refused record is."""

from confluent_kafka import KafkaError

from infra.kafka.failures import failure_of


def test_a_missing_topic_is_not_the_records_fault() -> None:
    """It stops the worker instead of filling the dead letters."""
    assert not failure_of("out", KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)).is_permanent
