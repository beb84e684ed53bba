"""Publishing: how a hospital system's event becomes a record on Kafka."""
