SET ROLE metrics_owner;
SET TimeZone = 'UTC';

INSERT INTO metrics.regions VALUES ('eu-1', 'Frankfurt'), ('eu-2', 'Stockholm'), ('us-1', 'Ohio');

INSERT INTO metrics.series (name, labels)
SELECT (ARRAY['cpu_seconds_total', 'http_requests_total', 'queue_depth', 'disk_free_bytes'])[1 + n % 4],
       jsonb_build_object('instance', 'node-' || n / 4,
                          'region', (ARRAY['eu-1', 'eu-2', 'us-1'])[1 + n % 3])
FROM generate_series(1, 500) AS n;

-- 5,000 samples a series over 2024, in the order of time as collectors send them.
INSERT INTO metrics.samples (series_id, at, value)
SELECT series_id, timestamptz '2024-01-01 00:00+00' + tick * interval '105 minutes',
       CASE WHEN (tick + series_id) % 50021 = 0 THEN 'NaN'::float8
            ELSE (tick * 7919 + series_id * 31) % 100000 / 97.0::float8 END
FROM generate_series(1, 5000) AS tick
CROSS JOIN generate_series(1, 500) AS series_id;
INSERT INTO metrics.samples (series_id, at, value)
SELECT n, timestamptz '2019-06-01 00:00+00', NULL FROM generate_series(1, 100) AS n;

-- No key: equal rows are meant to be there, as often as they are.
INSERT INTO metrics.events (at, source, level, message)
SELECT timestamptz '2024-11-01 00:00+00' + n / 3 * interval '41 seconds',
       'node-' || n / 3 % 97,
       CASE WHEN n / 3 % 10 <> 0 THEN n / 3 % 6 END,
       CASE WHEN n / 3 % 20 = 0 THEN ''
            WHEN n / 3 % 21 <> 0 THEN 'disk sd' || n / 3 % 26 || ' is ' || n / 3 % 101 || ' % full' END
FROM generate_series(0, 299999) AS n;
