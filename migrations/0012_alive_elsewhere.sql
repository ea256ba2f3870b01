-- The last line that only a running game writes and that may be read out of order with its starts, as of another log.
ALTER TABLE run_evidence ADD COLUMN alive_elsewhere_at INTEGER;
