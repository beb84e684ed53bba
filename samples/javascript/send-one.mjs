// Sends one message and waits for its outcome.
// Settings by environment: MEDPOST_KAFKA (host:port), MEDPOST_SECRET, MEDPOST_APP, MEDPOST_KEY_ID, MEDPOST_NAMESPACE.
// Arguments: the patient's id, and the message's reference (your own id: sending it again is the same message).
// Ends with 0 when it was sent, 1 when it was not, 3 when nobody said so in time.
import { randomUUID } from "node:crypto";
import kafkajs from "kafkajs";
import { decodeOutcome, encode, keyOf, messageIdOf, mint } from "./wire.mjs";

const { MEDPOST_KAFKA = "127.0.0.1:9092", MEDPOST_APP = "his", MEDPOST_KEY_ID = "his-1" } = process.env;
const { MEDPOST_SECRET = "demo-only-his-0123456789-abcdefghijklmnop", MEDPOST_NAMESPACE = "" } = process.env;
const [patient = "P0001", reference = `JS-${Date.now()}`] = process.argv.slice(2);
const WAIT_MS = 60_000;
const REFUSED_BEFORE_MS = 10_000;

const topic = (name) => (MEDPOST_NAMESPACE ? `${MEDPOST_NAMESPACE}.${name}` : name);
const kafka = new kafkajs.Kafka({
  clientId: "medpost-sample-javascript",
  brokers: MEDPOST_KAFKA.split(","),
  logLevel: kafkajs.logLevel.ERROR,
});

// Resolves with the outcome of that message; `listening` is called once nothing can be missed any more. A refused
// message may be mended and sent again, so an old refusal (before `ends`, by partition) counts only when nothing newer comes.
const outcomeOf = (consumer, messageId, ends, listening) =>
  new Promise((resolve, reject) => {
    consumer.on(consumer.events.GROUP_JOIN, listening);
    consumer
      .run({
        autoCommit: false,
        eachMessage: async ({ partition, message }) => {
          const outcome = decodeOutcome(message.value);
          const isOldRefusal = outcome.status === "rejected" && BigInt(message.offset) < ends.get(partition);
          if (outcome.message_id !== messageId) return;
          if (isOldRefusal) setTimeout(resolve, REFUSED_BEFORE_MS, outcome).unref();
          else resolve(outcome);
        },
      })
      .catch(reject);
    setTimeout(resolve, WAIT_MS).unref();
  });

// Where every partition of a topic ends now.
const endsOf = async (name) => {
  const admin = kafka.admin();
  await admin.connect();
  const offsets = await admin.fetchTopicOffsets(name);
  await admin.disconnect();
  return new Map(offsets.map(({ partition, high }) => [partition, BigInt(high)]));
};

// Resolves when all in-sync replicas have it; the same reference may be published again without harm.
const publish = async (producer) => {
  const message = {
    app_id: MEDPOST_APP,
    type: "registration_confirmed",
    recipient: { id_type: "patient_id", id_value: patient },
    personalisation: {
      department: "心内科",
      doctor: "李明",
      visit_time: "11月23日 09:30",
      location: "门诊3楼",
      number: "12",
    },
    reference,
    created_at: Date.now(),
  };
  const token = mint(MEDPOST_APP, MEDPOST_KEY_ID, MEDPOST_SECRET, Math.floor(Date.now() / 1000));
  const [at] = await producer.send({
    topic: topic("messages.normal"),
    acks: -1,
    messages: [
      { key: keyOf(MEDPOST_APP, reference), value: encode(message), headers: { authorization: `Bearer ${token}` } },
    ],
  });
  return at;
};

const main = async () => {
  const id = messageIdOf(MEDPOST_APP, reference);
  const consumer = kafka.consumer({ groupId: topic(`sample-javascript-${randomUUID()}`) });
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner, // Kafka's own rule, as in Java
  });
  await Promise.all([consumer.connect(), producer.connect()]);
  // From the beginning of the topic: nothing that ends quickly is missed. A real system keeps its group and offsets.
  await consumer.subscribe({ topic: topic("outcomes"), fromBeginning: true });
  const ends = await endsOf(topic("outcomes"));
  let outcome;
  await new Promise((listening) => (outcome = outcomeOf(consumer, id, ends, listening)));
  const at = await publish(producer);
  console.log(`published  ${id} to ${at.topicName}/${at.partition}/${at.baseOffset}`);
  const ended = await outcome;
  await Promise.all([consumer.disconnect(), producer.disconnect()]);
  if (!ended) {
    console.log(`no outcome within 60 s: ask with \`medpost messages events ${id}\``);
    return 3;
  }
  console.log(`outcome    ${ended.status} by ${ended.channel} after ${ended.latency_ms} ms ${ended.reason}`);
  return ["sent", "delivered", "read", "acknowledged"].includes(ended.status) ? 0 : 1;
};

process.exit(await main());
