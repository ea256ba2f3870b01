-- The offset of the log's time stamps from UTC, in seconds, where it was measured and differs from the configured time zone.
ALTER TABLE checkpoints ADD COLUMN utc_offset INTEGER;
