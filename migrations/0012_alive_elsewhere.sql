-- The last line of another log than the console's that only a running game writes: it may be read before the console's.
ALTER TABLE run_evidence ADD COLUMN alive_elsewhere_at INTEGER;
