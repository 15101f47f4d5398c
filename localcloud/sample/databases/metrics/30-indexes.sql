SET ROLE metrics_owner;

ALTER TABLE metrics.samples ADD PRIMARY KEY (series_id, at);
ALTER TABLE metrics.samples ADD FOREIGN KEY (series_id) REFERENCES metrics.series;
CREATE INDEX samples_at_idx ON metrics.samples USING brin (at);
CREATE INDEX samples_live_batch_idx ON metrics.samples_live (batch) WHERE batch IS NOT NULL;
CREATE INDEX events_at_idx ON metrics.events (at);
CREATE INDEX events_batch_idx ON metrics.events USING hash (batch);
CREATE INDEX series_labels_idx ON metrics.series USING gin (labels);

CREATE VIEW metrics.latest AS
SELECT s.series_id, s.name, l.at, l.value
FROM metrics.series AS s
CROSS JOIN LATERAL (SELECT at, value FROM metrics.samples AS p
                    WHERE p.series_id = s.series_id ORDER BY at DESC LIMIT 1) AS l;
CREATE MATERIALIZED VIEW metrics.empty_until_refreshed AS
SELECT series_id, avg(value) AS mean FROM metrics.samples GROUP BY series_id
WITH NO DATA;

GRANT USAGE ON SCHEMA metrics, archive TO metrics_app;
GRANT SELECT ON ALL TABLES IN SCHEMA metrics, archive TO metrics_app;
GRANT INSERT ON metrics.samples, metrics.events TO metrics_app;
