"""Creates the topics of an installation: every channel that has a plugin, every lane.

Called before a role starts and before anything is published or applied; cheap when all is there. Never changes a topic
that exists: a partition count other than the configured one is refused.
"""

from typing import Final

from infra import settings as settings_module
from infra.kafka import TopicSpec, ping, provision
from infra.settings import Settings
from schemas import topics
from sinks.channel import channel_names

PATIENCE_S: Final = 30.0
"""A broker that has just opened its port on a busy machine may take this long to answer."""


def provision_installation(settings: Settings) -> None:
    """Create every topic of this installation that is missing; a mismatch is refused with what to do."""
    specs = [
        TopicSpec(
            topic.named(settings.namespace),
            topic.partitions or settings.partitions,
            settings.replication,
            topic.config,
        )
        for topic in topics.installation(channel_names())
    ]
    bootstrap = settings_module.kafka_endpoint(settings)
    ping(bootstrap, PATIENCE_S)
    provision(bootstrap, specs)
