"""One record, published and acknowledged: for programs that say one thing to the installation and end.

Called by the commands that ask or hold. It makes a producer for the record and lets it go; whoever has many records, or
a loop, has a `Publisher` of its own.
"""

from typing import TYPE_CHECKING

from infra.kafka.publish import Publisher

if TYPE_CHECKING:
    from infra.kafka.failures import PublishFailure


def publish_one(bootstrap: str, topic: str, value: bytes, key: bytes, within_s: float) -> bool:
    """Whether the broker has the record, and said so in time; raises as `Publisher.publish`."""
    reports: list[PublishFailure | None] = []
    publisher = Publisher(bootstrap, log_level=0)
    try:
        publisher.publish(topic, value, key, on_report=reports.append)
    finally:
        publisher.close(within_s)
    return reports == [None]
