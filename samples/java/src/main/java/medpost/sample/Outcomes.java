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
 * again under its reference finds the outcome that it had. A refused message may be mended and sent again, so an old
 * refusal counts only when nothing newer comes within ten seconds. A real system keeps a group and its offsets.
 */
final class Outcomes implements AutoCloseable {
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final Map<TopicPartition, Long> ends; // where the topic ended when this was opened

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
        ends = consumer.endOffsets(partitions);
        consumer.offsetsForTimes(wanted).forEach((partition, found) ->
                consumer.seek(partition, found == null ? ends.get(partition) : found.offset()));
    }

    /** How that message ended; empty when nobody said so in time. */
    Optional<GenericRecord> await(String messageId, Duration atMost) throws IOException {
        long endNs = System.nanoTime() + atMost.toNanos();
        Optional<GenericRecord> refusedBefore = Optional.empty();
        while (System.nanoTime() < endNs) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                GenericRecord outcome = Wire.decodeOutcome(record.value());
                if (!outcome.get("message_id").toString().equals(messageId)) {
                    continue;
                }
                if (!isOldRefusal(record, outcome)) {
                    return Optional.of(outcome);
                }
                refusedBefore = Optional.of(outcome);
                endNs = System.nanoTime() + Math.min(endNs - System.nanoTime(), Duration.ofSeconds(10).toNanos());
            }
        }
        return refusedBefore;
    }

    private boolean isOldRefusal(ConsumerRecord<byte[], byte[]> record, GenericRecord outcome) {
        boolean old = record.offset() < ends.get(new TopicPartition(record.topic(), record.partition()));
        return old && outcome.get("status").toString().equals("rejected");
    }

    @Override
    public void close() {
        consumer.close();
    }
}
