-- The trace: every event of the log, once. Figures in these files were measured on the embedded engine, one core.
--
-- A writer puts Avro blocks into events_in, which keeps nothing: views copy the rows on. Reading Avro straight into
-- LowCardinality columns would be three times slower than a cast of whole columns in a view.
-- `head` is the ten bytes before every record's body; a block that lost its alignment fails the check as a whole.
CREATE TABLE IF NOT EXISTS events_in (
    head FixedString(10),
    message_id FixedString(16),
    stage String,
    channel String,
    attempt Int32,
    replay_id Int64,
    status String,
    at DateTime64(3, 'UTC'),
    accepted_at DateTime64(3, 'UTC'),
    app_id String,
    type String,
    lane String,
    reason String,
    provider String,
    provider_code String,
    provider_message_id String,
    possible_duplicate Bool,
    latency_ms Int64,
    lateness_ms Int64,
    recipient_key FixedString(16),
    template_version Int32,
    config_version Int32,
    worker String,
    detail String,
    until DateTime64(3, 'UTC'),
    attempts Int32,
    text_hash String,
    address_hash String,
    CONSTRAINT aligned CHECK startsWith(head, unhex('C301'))
) ENGINE = Null;

-- One row per identity (message_id, stage, channel, attempt, replay_id, status), however often it is appended:
-- the largest latency wins, in any order. Events of a message share accepted_at, hence the day and the month.
-- `at` is accepted_at + latency_ms nearly always, so only what is left over is kept: three bytes an event less.
CREATE TABLE IF NOT EXISTS events (
    message_id UUID CODEC(ZSTD(1)),
    stage LowCardinality(String) CODEC(ZSTD(1)),
    channel LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    replay_id UInt64 CODEC(ZSTD(1)),
    status LowCardinality(String) CODEC(ZSTD(1)),
    accepted_at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    accepted_day Date DEFAULT toDate(accepted_at, 'Asia/Shanghai') CODEC(ZSTD(1)),
    latency_ms UInt64 CODEC(T64, ZSTD(1)),
    lateness_ms UInt64 CODEC(T64, ZSTD(1)),
    beside_latency_ms Int64 CODEC(T64, ZSTD(1)),
    at DateTime64(3, 'UTC') ALIAS accepted_at + toIntervalMillisecond(toInt64(latency_ms) + beside_latency_ms),
    app_id LowCardinality(String) CODEC(ZSTD(1)),
    type LowCardinality(String) CODEC(ZSTD(1)),
    lane LowCardinality(String) CODEC(ZSTD(1)),
    reason LowCardinality(String) CODEC(ZSTD(1)),
    provider LowCardinality(String) CODEC(ZSTD(1)),
    provider_code LowCardinality(String) CODEC(ZSTD(1)),
    provider_message_id String CODEC(ZSTD(1)),
    possible_duplicate Bool CODEC(ZSTD(1)),
    recipient_key FixedString(16) CODEC(ZSTD(1)),
    template_version UInt32 CODEC(ZSTD(1)),
    config_version UInt32 CODEC(ZSTD(1)),
    worker LowCardinality(String) CODEC(ZSTD(1)),
    detail String CODEC(ZSTD(1)),
    until DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    attempts UInt16 CODEC(ZSTD(1)),
    INDEX by_message message_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_provider_message provider_message_id TYPE bloom_filter(0.01) GRANULARITY 4
) ENGINE = ReplacingMergeTree(latency_ms)
PARTITION BY toYYYYMM(accepted_at, 'Asia/Shanghai')
ORDER BY (accepted_day, message_id, stage, channel, attempt, replay_id, status);

CREATE MATERIALIZED VIEW IF NOT EXISTS events_view TO events AS
SELECT
    toUUID(UUIDNumToString(e.message_id)) AS message_id,
    stage, channel, attempt, replay_id, status, accepted_at,
    greatest(e.latency_ms, 0) AS latency_ms,
    greatest(e.lateness_ms, 0) AS lateness_ms,
    toUnixTimestamp64Milli(e.at) - toUnixTimestamp64Milli(e.accepted_at) - greatest(e.latency_ms, 0) AS beside_latency_ms,
    app_id, type, lane, reason, provider, provider_code, provider_message_id, possible_duplicate, recipient_key,
    template_version, config_version, worker, detail, until, attempts
FROM events_in AS e;
