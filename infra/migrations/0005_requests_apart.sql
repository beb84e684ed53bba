-- Two requests about one message (cancelled twice, moved to another time and then again) are two things that happened:
-- the id of the request, which stands in `detail`, belongs to their identity. Only a new column may join a sorting key.
ALTER TABLE events ADD COLUMN IF NOT EXISTS request_id String CODEC(ZSTD(1)),
    MODIFY ORDER BY (accepted_day, message_id, stage, channel, attempt, replay_id, status, request_id);

-- Changed in place: rows that are written meanwhile always find a view.
ALTER TABLE events_view MODIFY QUERY
SELECT
    toUUID(UUIDNumToString(e.message_id)) AS message_id,
    stage, channel, attempt, replay_id, status, accepted_at,
    greatest(e.latency_ms, 0) AS latency_ms,
    greatest(e.lateness_ms, 0) AS lateness_ms,
    toUnixTimestamp64Milli(e.at) - toUnixTimestamp64Milli(e.accepted_at) - greatest(e.latency_ms, 0) AS beside_latency_ms,
    app_id, type, lane, reason, provider, provider_code, provider_message_id, possible_duplicate, recipient_key,
    template_version, config_version, worker, detail, until, attempts,
    if(stage IN ('cancel_requested', 'reschedule_requested', 'superseded'), substring(detail, 1, 32), '') AS request_id
FROM events_in AS e;
