-- A second request under the id of a message that is there (sent again, or with other content) is accepted a second
-- time, and its acceptance took the place of the first. When the request was appended belongs to the identity of an
-- acceptance; appended again, or answered again after a crash, it is the same. No new column, hence no new key.
-- Changed in place: rows that are written meanwhile always find a view. What was stored before stays as it is.
ALTER TABLE events_view MODIFY QUERY
SELECT
    toUUID(UUIDNumToString(e.message_id)) AS message_id,
    stage, channel, attempt, replay_id, status, accepted_at,
    greatest(e.latency_ms, 0) AS latency_ms,
    greatest(e.lateness_ms, 0) AS lateness_ms,
    toUnixTimestamp64Milli(e.at) - toUnixTimestamp64Milli(e.accepted_at) - greatest(e.latency_ms, 0) AS beside_latency_ms,
    app_id, type, lane, reason, provider, provider_code, provider_message_id, possible_duplicate, recipient_key,
    template_version, config_version, worker, detail, until, attempts,
    multiIf(
        stage IN ('cancel_requested', 'reschedule_requested', 'superseded'), substring(detail, 1, 32),
        stage = 'accepted', toString(toUnixTimestamp64Milli(e.accepted_at)),
        ''
    ) AS request_id
FROM events_in AS e;
