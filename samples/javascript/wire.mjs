// Records as bytes: Avro single-object encoding, the Kafka key, ids and tokens. Nothing here knows Kafka.
import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";

const schema = (name) =>
  JSON.parse(readFileSync(new URL(`../../schemas/avsc/${name}.v1.avsc`, import.meta.url), "utf8"));

// The first ten bytes of every record, from docs/schemas.md: C3 01 and the schema's fingerprint.
const HEADS = { message: "c30111c1b8704dcade97", outcome: "c301add68fe519186358" };
const SCHEMAS = { message: schema("message"), outcome: schema("outcome") };

const long = (value) => {
  let left = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n)); // zigzag
  const bytes = [];
  for (; left > 0x7fn; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  bytes.push(Number(left));
  return Buffer.from(bytes);
};

const text = (value) => {
  const raw = Buffer.from(value, "utf8");
  return Buffer.concat([long(raw.length), raw]);
};

// One value by its schema; what is missing has the schema's default.
const write = (type, value) => {
  const kind = type.type ?? type;
  if (Array.isArray(kind)) return value === null ? long(0) : Buffer.concat([long(1), write(kind[1], value)]);
  switch (kind) {
    case "record":
      return Buffer.concat(type.fields.map((field) => write(field.type, value[field.name] ?? field.default)));
    case "map":
      return blocks(Object.entries(value), ([name, item]) => Buffer.concat([text(name), write(type.values, item)]));
    case "array":
      return blocks(value, (item) => write(type.items, item));
    case "string":
      return text(value);
    case "long":
      return long(value);
    default: // a type in a type: {"type": "long", "logicalType": ...}
      return write(kind, value);
  }
};

const blocks = (items, each) =>
  items.length ? Buffer.concat([long(items.length), ...items.map(each), long(0)]) : long(0);

export const encode = (message) => Buffer.concat([Buffer.from(HEADS.message, "hex"), write(SCHEMAS.message, message)]);

// An outcome has texts, numbers and a boolean only.
export const decodeOutcome = (raw) => {
  if (raw.subarray(0, 10).toString("hex") !== HEADS.outcome) throw new Error("not an outcome of version 1");
  let at = 10;
  const number = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = raw[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number((value >> 1n) ^ -(value & 1n));
    }
  };
  const readers = {
    long: number,
    boolean: () => raw[at++] === 1,
    string: () => {
      const size = number();
      at += size;
      return raw.toString("utf8", at - size, at);
    },
  };
  return Object.fromEntries(
    SCHEMAS.outcome.fields.map((field) => [field.name, readers[field.type.type ?? field.type]()]),
  );
};

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

// The Kafka key: 16 bytes that say nothing about anybody.
export const keyOf = (appId, reference) => sha256(appId, "\0", reference).subarray(0, 16);

// The message's id, by which it can be asked for: RFC 9562 version 8, derived from application and reference.
export const messageIdOf = (appId, reference) => {
  const parts = ["reference", appId, reference].flatMap((part) => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(Buffer.byteLength(part));
    return [size, part];
  });
  const id = sha256(...parts).subarray(0, 16);
  id[6] = (id[6] & 0x0f) | 0x80;
  id[8] = (id[8] & 0x3f) | 0x80;
  return id.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
};

// A token (JWT, HS256) for five minutes from `nowS`; made when a record is published, never logged.
export const mint = (appId, keyId, secret, nowS) => {
  const base64 = (raw) => Buffer.from(raw).toString("base64url");
  const signed = [
    { alg: "HS256", kid: keyId, typ: "JWT" },
    { iss: appId, aud: "medpost", iat: nowS, exp: nowS + 300 },
  ]
    .map((part) => base64(JSON.stringify(part)))
    .join(".");
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
};
