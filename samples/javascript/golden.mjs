// Prints what docs/vendors expects of any program: the golden message's bytes, its key and partition, a token.
import { readFileSync } from "node:fs";
import kafkajs from "kafkajs";
import { encode, keyOf, messageIdOf, mint } from "./wire.mjs";

const vendors = (name) => JSON.parse(readFileSync(new URL(`../../docs/vendors/${name}`, import.meta.url), "utf8"));
const golden = vendors("golden.json");
const secret = process.argv[2] ?? vendors("token.json").secret;
const key = keyOf(golden.app_id, golden.reference);
const partitionMetadata = Array.from({ length: 12 }, (_, partitionId) => ({ partitionId, leader: 1 }));
const choose = kafkajs.Partitioners.DefaultPartitioner();

console.log(`value ${encode(golden).toString("hex")}`);
console.log(`key ${key.toString("hex")}`);
console.log(`partition_of_12 ${choose({ topic: "t", partitionMetadata, message: { key } })}`);
console.log(`message_id ${messageIdOf(golden.app_id, golden.reference)}`);
console.log(`token ${mint("his", "his-1", secret, 1_790_000_000)}`);
