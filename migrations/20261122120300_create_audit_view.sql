-- One line per contact update, in words and ISO times.
CREATE VIEW audit AS
SELECT
    outbox.id AS id,
    strftime('%Y-%m-%dT%H:%M:%fZ', webhooks.received_at / 1000.0, 'unixepoch') AS received,
    outbox.source AS source,
    webhooks.topic AS event,
    webhooks.event_id AS event_id,
    outbox.webhook_id AS webhook_id,
    outbox.identifier AS identifier,
    outbox.email AS email,
    outbox.phone_number AS phone_number,
    outbox.account AS account,
    outbox.contact_id AS contact_id,
    outbox.changes AS changes,
    outbox.outcomes AS outcomes,
    outbox.dropped AS dropped,
    outbox.state AS state,
    outbox.reason AS reason,
    (SELECT count(*) FROM attempt_rows WHERE attempt_rows.outbox_id = outbox.id) AS attempts,
    last_attempt.status AS last_status,
    last_attempt.code AS last_error,
    strftime('%Y-%m-%dT%H:%M:%fZ', outbox.settled_at / 1000.0, 'unixepoch') AS settled
FROM outbox
JOIN webhooks ON webhooks.id = outbox.webhook_id
LEFT JOIN attempts AS last_attempt ON last_attempt.id =
    (SELECT max(attempt_rows.attempt_id) FROM attempt_rows WHERE attempt_rows.outbox_id = outbox.id);
