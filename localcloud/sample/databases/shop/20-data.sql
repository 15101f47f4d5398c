-- Content is arithmetic on the row's number: the same on every load and every major.
SET ROLE shop_owner;

INSERT INTO catalog.categories (parent_id, name)
SELECT CASE WHEN n > 8 THEN 1 + n % 8 END, 'Category ' || n
FROM generate_series(1, 40) AS n;

INSERT INTO catalog.products (category_id, sku, title, price, attributes)
SELECT 1 + n % 40,
       'SKU-' || lpad(n::text, 8, '0'),
       (ARRAY['Linen shirt', 'Steel pan', 'Oak table', 'Wool scarf', 'Desk lamp', 'Garden hose',
              'Paper notebook', 'Ceramic mug'])[1 + n % 8] || ' no. ' || n,
       5 + (n * 7919 % 50000) / 100.0,
       jsonb_build_object('weight_g', 100 + n * 31 % 4000, 'colour',
                          (ARRAY['red', 'green', 'blue', 'black'])[1 + n % 4])
FROM generate_series(1, 2000) AS n;

INSERT INTO sales.customers (email, name, country, created_at, note)
SELECT 'customer' || n || '@example.com',
       (ARRAY['Ada', 'Björn', 'Chloé', 'Dmitri', 'Eşref', 'Fátima', '學明'])[1 + n % 7] || ' '
           || (ARRAY['Okafor', 'Ångström', 'O''Neill', 'Müller', 'Nguyễn'])[1 + n % 5],
       (ARRAY['DE', 'FR', 'SE', 'PL', 'IT', 'IE'])[1 + n % 6],
       timestamptz '2022-01-01 00:00+00' + n * interval '17 minutes',
       CASE WHEN n % 50 = 0 THEN E'called twice\n\tasked for "express" \\ 100 %' END
FROM generate_series(1, 50000) AS n;

INSERT INTO sales.orders (request_id, customer_id, state, placed_at, changed_at, details)
SELECT md5('order ' || n)::uuid,
       1 + n * 7919 % 50000,
       (enum_range(NULL::sales.order_state))[1 + n % 5],
       timestamptz '2024-01-01 00:00+00' + n * interval '5 minutes 13 seconds',
       timestamptz '2024-01-02 00:00+00' + n * interval '5 minutes 13 seconds',
       jsonb_build_object(
           'channel', (ARRAY['web', 'app', 'phone'])[1 + n % 3],
           'shipping', jsonb_build_object('city', 'City ' || n % 500, 'express', n % 7 = 0),
           'tags', jsonb_build_array('t' || n % 40, 'w' || n % 11))
FROM generate_series(1::bigint, 100000) AS n;

INSERT INTO sales.order_lines (order_id, product_id, quantity, unit_price)
SELECT o.order_id, p.product_id, 1 + (o.order_id + line) % 4, p.price
FROM sales.orders AS o
CROSS JOIN generate_series(1, 3) AS line
JOIN catalog.products AS p ON p.product_id = 1 + (o.order_id * 31 + line * 977) % 2000
ORDER BY o.order_id, line;

UPDATE catalog.products SET attributes = attributes || '{"bestseller": true}'
WHERE product_id % 25 = 0;

-- Totals of the rows that exist, by one statement; new rows are kept right by triggers.
CREATE TEMP TABLE totals AS
SELECT order_id, sum(amount) AS total FROM sales.order_lines GROUP BY order_id;
INSERT INTO sales.payments (order_id, paid_at, amount, reference)
SELECT o.order_id, o.placed_at + interval '1 hour', t.total, sha256(o.request_id::text::bytea)
FROM sales.orders AS o
JOIN totals AS t USING (order_id)
WHERE o.state <> 'placed'
ORDER BY o.order_id;
UPDATE sales.orders AS o SET total = t.total FROM totals AS t WHERE t.order_id = o.order_id;
DROP TABLE totals;
UPDATE sales.customers AS c
SET orders_count = o.orders, last_order_at = o.latest
FROM (SELECT customer_id, count(*) AS orders, max(placed_at) AS latest
      FROM sales.orders GROUP BY customer_id) AS o
WHERE o.customer_id = c.customer_id;
