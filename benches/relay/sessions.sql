-- 100,000 sessions of 2000 players on two servers within 90 days before $1; one in ten is Regular's.
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 99999),
played AS (SELECT n, $1 - 7776000000 + n * 77000 AS begin FROM numbers)
INSERT INTO sessions (server, player, started_at, start, seen_at, ended_at, ended_by, settled)
SELECT iif(n % 2, 'prod', 'other'), iif(n % 10 = 0, 'Regular', 'Player_' || (n * 7919 % 2000)), begin, 'join',
       begin + 60000 + n * 31 % 7200000, begin + 60000 + n * 31 % 7200000, 'leave', 1 FROM played
