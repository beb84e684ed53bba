package medpost.sample;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.message.BinaryMessageDecoder;
import org.apache.avro.message.BinaryMessageEncoder;

/** Records as bytes: Avro single-object encoding, and the Kafka key. Nothing here knows Kafka. */
final class Wire {
    static final Schema MESSAGE = schema("message.v1.avsc");
    static final Schema OUTCOME = schema("outcome.v1.avsc");

    /** Writes C3 01, the schema's fingerprint (little-endian) and the body. */
    private static final BinaryMessageEncoder<GenericRecord> ENCODER =
            new BinaryMessageEncoder<>(GenericData.get(), MESSAGE);
    private static final BinaryMessageDecoder<GenericRecord> DECODER =
            new BinaryMessageDecoder<>(GenericData.get(), OUTCOME);

    private Wire() {}

    /** A message to a patient; fields that are not set here keep their defaults. Times are UTC milliseconds. */
    static GenericRecord message(
            String appId, String type, String patientId, Map<String, String> values, String reference, long nowMs) {
        Schema recipient = MESSAGE.getField("recipient").schema().getTypes().get(1);
        return new GenericRecordBuilder(MESSAGE)
                .set("app_id", appId)
                .set("type", type)
                .set("recipient", record(recipient, Map.of("id_type", "patient_id", "id_value", patientId)))
                .set("personalisation", values)
                .set("reference", reference)
                .set("created_at", nowMs)
                .build();
    }

    /** A nested record with these fields, the others at their defaults. */
    static GenericRecord record(Schema schema, Map<String, ?> fields) {
        GenericRecordBuilder builder = new GenericRecordBuilder(schema);
        fields.forEach(builder::set);
        return builder.build();
    }

    static byte[] encode(GenericRecord message) throws IOException {
        ByteBuffer encoded = ENCODER.encode(message);
        byte[] bytes = new byte[encoded.remaining()];
        encoded.get(bytes);
        return bytes;
    }

    static GenericRecord decodeOutcome(byte[] bytes) throws IOException {
        return DECODER.decode(bytes);
    }

    /** The Kafka key: 16 bytes that say nothing about anybody. */
    static byte[] key(String appId, String reference) {
        try {
            MessageDigest sha = MessageDigest.getInstance("SHA-256");
            for (byte[] part : List.of(utf8(appId), new byte[1], utf8(reference))) {
                sha.update(part);
            }
            return Arrays.copyOf(sha.digest(), 16);
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    /** The message's id, by which it can be asked for: RFC 9562 version 8, derived from application and reference. */
    static String messageId(String appId, String reference) {
        try {
            MessageDigest sha = MessageDigest.getInstance("SHA-256");
            for (String part : List.of("reference", appId, reference)) {
                byte[] raw = utf8(part);
                sha.update(ByteBuffer.allocate(4).putInt(raw.length).array());
                sha.update(raw);
            }
            ByteBuffer id = ByteBuffer.wrap(sha.digest());
            long high = (id.getLong() & 0xFFFFFFFFFFFF0FFFL) | 0x8000L;
            long low = (id.getLong() & 0x3FFFFFFFFFFFFFFFL) | 0x8000000000000000L;
            return new java.util.UUID(high, low).toString();
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static Schema schema(String name) {
        try (InputStream file = Wire.class.getResourceAsStream("/" + name)) {
            if (file == null) {
                throw new IllegalStateException(
                        name + " is not on the class path: copy it from medpost's schemas/avsc to src/main/resources");
            }
            return new Schema.Parser().parse(file);
        } catch (IOException problem) {
            throw new IllegalStateException("cannot read " + name, problem);
        }
    }
}
