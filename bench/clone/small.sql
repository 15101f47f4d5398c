-- Many small tables, each with a primary key and a second index; every tenth refers to the one
-- before it. psql variables: small_tables, small_rows. The statements are made here and run by
-- \gexec, each one a table's.

SELECT format(
         'CREATE TABLE small_%1$s (id integer PRIMARY KEY, name text NOT NULL, at timestamptz, parent integer);'
         ' INSERT INTO small_%1$s SELECT i, md5((i * %2$s)::text), timestamptz ''2026-01-01 00:00+00'' + i * interval ''1 hour'', i'
         ' FROM generate_series(1, %3$s) AS i;'
         ' CREATE INDEX small_%1$s_name ON small_%1$s (name)',
         to_char(t, 'FM0000'), t, :small_rows)
  FROM generate_series(1, :small_tables) AS t
\gexec

SELECT format(
         'ALTER TABLE small_%s ADD FOREIGN KEY (parent) REFERENCES small_%s (id)',
         to_char(t, 'FM0000'), to_char(t - 1, 'FM0000'))
  FROM generate_series(10, :small_tables, 10) AS t
\gexec

-- The catalogs of the whole server are not ours to vacuum: Postgres says so of each.
SET client_min_messages = error;
VACUUM ANALYZE;
