-- One row per finished message and replay, kept for years: what became of it, and proof of what was sent where.
-- The highest rank of the status wins, then the largest latency, in any order of arrival. The list of statuses is
-- schemas.statuses.FINAL_RANK (a test compares them); a status outside it has rank 0.
CREATE TABLE IF NOT EXISTS message_facts (
    accepted_day Date CODEC(ZSTD(1)),
    message_id UUID CODEC(ZSTD(1)),
    replay_id UInt64 CODEC(ZSTD(1)),
    rank UInt8 CODEC(ZSTD(1)),
    version UInt64 CODEC(ZSTD(1)),
    status LowCardinality(String) CODEC(ZSTD(1)),
    reason LowCardinality(String) CODEC(ZSTD(1)),
    app_id LowCardinality(String) CODEC(ZSTD(1)),
    type LowCardinality(String) CODEC(ZSTD(1)),
    lane LowCardinality(String) CODEC(ZSTD(1)),
    channel LowCardinality(String) CODEC(ZSTD(1)),
    attempts UInt16 CODEC(ZSTD(1)),
    accepted_at DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    latency_ms UInt64 CODEC(T64, ZSTD(1)),
    lateness_ms UInt64 CODEC(T64, ZSTD(1)),
    possible_duplicate Bool CODEC(ZSTD(1)),
    recipient_key FixedString(16) CODEC(ZSTD(1)),
    template_version UInt32 CODEC(ZSTD(1)),
    config_version UInt32 CODEC(ZSTD(1)),
    text_hash String CODEC(ZSTD(1)),
    address_hash String CODEC(ZSTD(1)),
    INDEX by_message message_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_recipient recipient_key TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(accepted_at, 'Asia/Shanghai')
ORDER BY (accepted_day, message_id, replay_id);

-- version = rank * 10^13 + latency in milliseconds (10^13 ms are 317 years); no shifts, which the engine's
-- expression compiler has got wrong before.
CREATE MATERIALIZED VIEW IF NOT EXISTS message_facts_view TO message_facts AS
SELECT
    toDate(accepted_at, 'Asia/Shanghai') AS accepted_day,
    toUUID(UUIDNumToString(e.message_id)) AS message_id,
    replay_id,
    toUInt8(indexOf([
        'rejected', 'suppressed', 'cancelled', 'failed', 'expired', 'sent', 'delivered', 'read', 'acknowledged'
    ], e.status)) AS rank,
    toUInt64(rank) * 10000000000000 + toUInt64(least(greatest(e.latency_ms, 0), 9999999999999)) AS version,
    status, reason, app_id, type, lane, channel, attempts, accepted_at,
    greatest(e.latency_ms, 0) AS latency_ms,
    greatest(e.lateness_ms, 0) AS lateness_ms,
    possible_duplicate, recipient_key, template_version, config_version, text_hash, address_hash
FROM events_in AS e
WHERE stage = 'completed';
