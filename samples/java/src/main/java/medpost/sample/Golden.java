package medpost.sample;

import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

/** Prints what docs/vendors expects of any program: the golden message's bytes, its key and partition, a token. */
public final class Golden {
    private Golden() {}

    public static void main(String[] arguments) throws Exception {
        String reference = "HIS-20260921-000123";
        Map<String, String> values = new LinkedHashMap<>();
        values.put("department", "心内科");
        values.put("doctor", "李明");
        values.put("visit_time", "9月22日 09:30");
        values.put("location", "门诊3楼");
        values.put("number", "12");
        GenericRecord message =
                Wire.message("his", "registration_confirmed", "P0001", values, reference, 1_790_000_000_000L);
        Map<String, Object> source = Map.of("system", "HIS", "event", "ADT^A04", "time", 1_789_999_995_000L);
        message.put("source", Wire.record(Wire.MESSAGE.getField("source").schema(), source));
        byte[] key = Wire.key("his", reference);
        HexFormat hex = HexFormat.of();
        System.out.println("value " + hex.formatHex(Wire.encode(message)));
        System.out.println("key " + hex.formatHex(key));
        System.out.println("partition_of_12 " + BuiltInPartitioner.partitionForKey(key, 12));
        System.out.println("message_id " + Wire.messageId("his", reference));
        System.out.println("token " + new Token("his", "his-1", arguments[0]).mint(1_790_000_000L));
    }
}
