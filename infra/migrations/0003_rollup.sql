-- Figures per day. Never summed at insert, where a repeated event would count twice: a day that got events is marked
-- dirty after they are visible, and rebuilt as a whole from what is left of them under FINAL.
-- kind 'message': one count per finished message; kind 'delivery': one per outcome or receipt of a channel.
CREATE TABLE IF NOT EXISTS rollup_day (
    accepted_day Date,
    kind LowCardinality(String),
    app_id LowCardinality(String),
    type LowCardinality(String),
    lane LowCardinality(String),
    channel LowCardinality(String),
    status LowCardinality(String),
    reason LowCardinality(String),
    n UInt64,
    latency AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), UInt64)
) ENGINE = MergeTree
PARTITION BY accepted_day
ORDER BY (kind, app_id, type, channel, status, reason, lane);

CREATE TABLE IF NOT EXISTS dirty_days (
    accepted_day Date,
    mark DateTime64(6, 'UTC')
) ENGINE = ReplacingMergeTree(mark)
ORDER BY accepted_day;

-- Who built which day from which mark; by builder, so that two builders at once see each other.
CREATE TABLE IF NOT EXISTS built_days (
    accepted_day Date,
    builder String,
    mark DateTime64(6, 'UTC'),
    built_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
) ENGINE = ReplacingMergeTree(built_at)
ORDER BY (accepted_day, builder);
