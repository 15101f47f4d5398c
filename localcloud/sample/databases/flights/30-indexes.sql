-- Keys as far as the data have them: four destinations are not among the airports, so that key
-- holds for new rows only, and a sixth of the tail numbers is unknown, so there is none to planes.
SET ROLE flights_owner;

ALTER TABLE weather ADD PRIMARY KEY (origin, time_hour);
ALTER TABLE flights ADD PRIMARY KEY (time_hour, origin, carrier, flight);
ALTER TABLE weather ADD FOREIGN KEY (origin) REFERENCES airports;
ALTER TABLE flights
    ADD FOREIGN KEY (carrier) REFERENCES airlines,
    ADD FOREIGN KEY (origin) REFERENCES airports,
    ADD FOREIGN KEY (dest) REFERENCES airports NOT VALID;

CREATE INDEX flights_tailnum_idx ON flights (tailnum) WHERE tailnum IS NOT NULL;
CREATE INDEX flights_route_idx ON flights (origin, dest) INCLUDE (distance, air_time);
CREATE INDEX flights_delay_idx ON flights (arr_delay DESC NULLS LAST);
CREATE INDEX flights_date_idx ON flights (make_date(year, month, day));
CREATE STATISTICS flights_route_stats (ndistinct, dependencies, mcv)
    ON origin, dest, carrier FROM flights;

CREATE VIEW cancelled AS
SELECT * FROM flights WHERE dep_time IS NULL;
CREATE MATERIALIZED VIEW route_delays AS
SELECT origin, dest, count(*) AS flights, avg(arr_delay) AS mean_delay,
       percentile_cont(0.9) WITHIN GROUP (ORDER BY arr_delay) AS p90_delay
FROM flights GROUP BY origin, dest
WITH DATA;
CREATE UNIQUE INDEX route_delays_idx ON route_delays (origin, dest);

GRANT SELECT ON ALL TABLES IN SCHEMA public TO flights_app;
