-- Where a row came from, as a W3C traceparent; NULL where nobody traces. And where its line ends in the log's file.
ALTER TABLE outbox ADD COLUMN trace TEXT;
ALTER TABLE outbox ADD COLUMN line_end INTEGER;

ALTER TABLE inbound ADD COLUMN trace TEXT;
