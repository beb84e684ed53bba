package medpost.sample;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends one message and waits for its outcome.
 *
 * <p>Settings by environment: MEDPOST_KAFKA (host:port), MEDPOST_SECRET, MEDPOST_APP, MEDPOST_KEY_ID, MEDPOST_NAMESPACE.
 * Arguments: the patient's id, and the message's reference (your own id: sending it again is the same message).
 * Ends with 0 when it was sent, 1 when it was not, 3 when nobody said so in time.
 */
public final class SendOne {
    private SendOne() {}

    public static void main(String[] arguments) throws Exception {
        String patient = arguments.length > 0 ? arguments[0] : "P0001";
        String reference = arguments.length > 1 ? arguments[1] : "JAVA-" + System.currentTimeMillis();
        System.exit(new SendOne().send(patient, reference));
    }

    private final String bootstrap = setting("MEDPOST_KAFKA", "127.0.0.1:9092");
    private final String app = setting("MEDPOST_APP", "his");
    private final String namespace = setting("MEDPOST_NAMESPACE", "");
    private final Token token = new Token(
            app,
            setting("MEDPOST_KEY_ID", "his-1"),
            setting("MEDPOST_SECRET", "demo-only-his-0123456789-abcdefghijklmnop")); // the sample hospital's

    private int send(String patient, String reference) throws Exception {
        String id = Wire.messageId(app, reference);
        GenericRecord message = Wire.message(
                app, "registration_confirmed", patient, values(), reference, System.currentTimeMillis());
        try (Outcomes outcomes = new Outcomes(bootstrap, topic("outcomes"))) {
            RecordMetadata at = publish(message, reference);
            System.out.printf("published  %s to %s/%d/%d%n", id, at.topic(), at.partition(), at.offset());
            Optional<GenericRecord> outcome = outcomes.await(id, Duration.ofSeconds(60));
            if (outcome.isEmpty()) {
                System.out.println("no outcome within 60 s: ask with `medpost messages events " + id + "`");
                return 3;
            }
            return tell(outcome.get());
        }
    }

    /** Returns when all in-sync replicas have it; the same reference may be published again without harm. */
    private RecordMetadata publish(GenericRecord message, String reference) throws Exception {
        Map<String, Object> settings = Map.of(
                ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap,
                ProducerConfig.ACKS_CONFIG, "all",
                ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true,
                ProducerConfig.DELIVERY_TIMEOUT_MS_CONFIG, 60_000,
                ProducerConfig.REQUEST_TIMEOUT_MS_CONFIG, 20_000);
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            // no partition is named: Kafka's default partitioner is the rule
            String bearer = "Bearer " + token.mint(System.currentTimeMillis() / 1000);
            List<Header> headers = List.of(new RecordHeader("authorization", bearer.getBytes(StandardCharsets.US_ASCII)));
            byte[] key = Wire.key(app, reference);
            return producer.send(new ProducerRecord<>(topic("messages.normal"), null, key, Wire.encode(message), headers))
                    .get();
        } catch (ExecutionException failure) {
            System.err.println("not acknowledged: try again with the same reference. " + failure.getCause());
            throw failure;
        }
    }

    private static int tell(GenericRecord outcome) {
        String status = outcome.get("status").toString();
        System.out.printf(
                "outcome    %s by %s after %s ms %s%n",
                status, outcome.get("channel"), outcome.get("latency_ms"), outcome.get("reason"));
        return List.of("sent", "delivered", "read", "acknowledged").contains(status) ? 0 : 1;
    }

    private static Map<String, String> values() {
        Map<String, String> values = new LinkedHashMap<>();
        values.put("department", "心内科");
        values.put("doctor", "李明");
        values.put("visit_time", "11月23日 09:30");
        values.put("location", "门诊3楼");
        values.put("number", "12");
        return values;
    }

    private String topic(String name) {
        return namespace.isEmpty() ? name : namespace + "." + name;
    }

    private static String setting(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isBlank() ? otherwise : value;
    }
}
