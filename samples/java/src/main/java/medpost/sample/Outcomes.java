package medpost.sample;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * The answers: how messages of all applications ended. Reads the last hour too, so that a message that is published
 * again under its reference finds the outcome that it had. A real system keeps a group and its offsets.
 */
final class Outcomes implements AutoCloseable {
    private final KafkaConsumer<byte[], byte[]> consumer;

    Outcomes(String bootstrap, String topic) {
        consumer = new KafkaConsumer<>(
                Map.of(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
        List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                .map(each -> new TopicPartition(topic, each.partition()))
                .toList();
        consumer.assign(partitions);
        long anHourAgoMs = System.currentTimeMillis() - Duration.ofHours(1).toMillis();
        Map<TopicPartition, Long> wanted =
                partitions.stream().collect(Collectors.toMap(each -> each, each -> anHourAgoMs));
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        consumer.offsetsForTimes(wanted).forEach((partition, found) ->
                consumer.seek(partition, found == null ? ends.get(partition) : found.offset()));
    }

    /** How that message ended; empty when nobody said so in time. */
    Optional<GenericRecord> await(String messageId, Duration atMost) throws IOException {
        long endNs = System.nanoTime() + atMost.toNanos();
        while (System.nanoTime() < endNs) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                GenericRecord outcome = Wire.decodeOutcome(record.value());
                if (outcome.get("message_id").toString().equals(messageId)) {
                    return Optional.of(outcome);
                }
            }
        }
        return Optional.empty();
    }

    @Override
    public void close() {
        consumer.close();
    }
}
