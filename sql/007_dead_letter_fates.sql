-- What became of dead letters: each step that an operator took, in order; the letters stay.

-- Step 1, 2, ... of the letter at (topic_id, "partition", "offset") of topic dead-letters. A replay
-- is 'replaying' before its bytes are sent, 'replayed' once the broker has them, 'failed' when it
-- refused them. One that stays 'replaying' was cut short: its bytes may be on their topic or not.
CREATE TABLE IF NOT EXISTS dead_letter_fates (
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    step integer NOT NULL,
    fate text NOT NULL CHECK (fate IN ('replaying', 'replayed', 'failed', 'dropped')),
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    reason text NOT NULL,
    settled_at timestamptz,
    to_partition integer,
    to_offset bigint,
    error text,
    CHECK ((fate = 'replayed') = (to_partition IS NOT NULL AND to_offset IS NOT NULL)),
    PRIMARY KEY (topic_id, "partition", "offset", step)
);
CREATE INDEX IF NOT EXISTS dead_letter_fates_to ON dead_letter_fates (to_partition, to_offset);

CREATE INDEX IF NOT EXISTS dead_letters_place ON dead_letters ("partition", "offset");
CREATE INDEX IF NOT EXISTS dead_letters_source
    ON dead_letters (source_partition, source_offset, source_topic);

-- Every letter with its name, PARTITION:OFFSET, and its fate: open, replaying, replayed, dropped.
-- Where topic dead-letters was made anew, letters of the one before are named PARTITION:OFFSET@ID.
CREATE OR REPLACE VIEW letters AS
SELECT
    d."partition" || ':' || d."offset"
        || CASE WHEN d.topic_id <> present.topic_id THEN '@' || d.topic_id ELSE '' END AS name,
    coalesce(f.fate, 'open') AS fate,
    d.kafka_ts, d.role, d.source_topic, d.source_partition, d.source_offset, d.source_kafka_ts,
    d.reason, d.key, d.payload, d.n_bytes, d.topic_id, d."partition", d."offset"
FROM dead_letters d
LEFT JOIN (
    SELECT topic_id FROM positions WHERE topic = 'dead-letters'
    ORDER BY updated_at DESC, topic_id LIMIT 1
) present ON true
LEFT JOIN LATERAL (
    SELECT fate FROM dead_letter_fates f
    WHERE f.topic_id = d.topic_id AND f."partition" = d."partition" AND f."offset" = d."offset"
        AND f.fate <> 'failed'
    ORDER BY step DESC LIMIT 1
) f ON true;
