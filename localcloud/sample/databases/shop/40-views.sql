-- Reporting, statistics and the service's rights.
SET ROLE shop_owner;

CREATE VIEW reporting.order_summary WITH (security_barrier) AS
SELECT o.order_id, c.name, c.country, o.placed_at, o.state, o.total,
       o.details #>> '{shipping,city}' AS city
FROM sales.orders AS o JOIN sales.customers AS c USING (customer_id);

CREATE MATERIALIZED VIEW reporting.sales_by_month AS
SELECT date_trunc('month', o.placed_at AT TIME ZONE 'UTC') AS month, p.category_id,
       sum(l.amount) AS amount, count(*) AS lines
FROM sales.order_lines AS l
JOIN sales.orders AS o USING (order_id)
JOIN catalog.products AS p USING (product_id)
GROUP BY 1, 2
WITH DATA;
CREATE UNIQUE INDEX sales_by_month_idx ON reporting.sales_by_month (month, category_id);

CREATE MATERIALIZED VIEW reporting.best_months AS
SELECT month, sum(amount) AS amount FROM reporting.sales_by_month GROUP BY month
ORDER BY amount DESC LIMIT 3
WITH DATA;

CREATE STATISTICS sales.orders_state_currency (dependencies, ndistinct)
    ON state, currency FROM sales.orders;
COMMENT ON TABLE sales.orders IS 'One row an order; totals are kept by triggers on order_lines';

GRANT USAGE ON SCHEMA catalog, sales, reporting TO shop_app;
GRANT SELECT ON ALL TABLES IN SCHEMA catalog, reporting TO shop_app;
GRANT SELECT, INSERT ON sales.orders, sales.order_lines, sales.payments TO shop_app;
GRANT SELECT ON sales.customers TO shop_app;
GRANT UPDATE (state, total, changed_at) ON sales.orders TO shop_app;
GRANT UPDATE (orders_count, last_order_at, note) ON sales.customers TO shop_app;
GRANT USAGE ON SEQUENCE sales.order_lines_line_id_seq TO shop_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA reporting GRANT SELECT ON TABLES TO shop_app;
