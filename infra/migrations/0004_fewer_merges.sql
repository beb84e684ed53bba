-- A merge writes whole rows again, and cost more than the insert itself while a backlog is caught up: by default a part
-- is merged with few others, so every row is written again once per factor of about five. Waiting for eight parts and
-- taking more at once saves a quarter of the processor time per event (`bench` store.ingest); a look-up opens a few
-- small parts more.
ALTER TABLE events MODIFY SETTING min_parts_to_merge_at_once = 8, merge_selector_base = 12;
ALTER TABLE message_facts MODIFY SETTING min_parts_to_merge_at_once = 8, merge_selector_base = 12;
