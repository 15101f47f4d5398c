-- Keys between tables, indexes, and what keeps totals right from now on.
SET ROLE shop_owner;

ALTER TABLE sales.orders ADD CONSTRAINT orders_request_id_key UNIQUE (request_id);
CREATE INDEX orders_details_idx ON sales.orders USING gin (details jsonb_path_ops);
CREATE INDEX orders_customer_placed_idx ON sales.orders (customer_id, placed_at DESC)
    INCLUDE (total);
CREATE INDEX orders_open_idx ON sales.orders (placed_at) WHERE state IN ('placed', 'paid');
CREATE UNIQUE INDEX customers_email_idx ON sales.customers (lower(email));
CREATE INDEX order_lines_order_idx ON sales.order_lines (order_id);
CREATE INDEX products_search_idx ON catalog.products USING gin (search);

ALTER TABLE sales.orders
    ADD FOREIGN KEY (customer_id) REFERENCES sales.customers;
ALTER TABLE sales.order_lines
    ADD FOREIGN KEY (order_id) REFERENCES sales.orders ON DELETE CASCADE,
    ADD FOREIGN KEY (product_id) REFERENCES catalog.products;
ALTER TABLE sales.payments
    ADD FOREIGN KEY (order_id) REFERENCES sales.orders DEFERRABLE INITIALLY DEFERRED;

CREATE FUNCTION sales.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_at := clock_timestamp();
    RETURN NEW;
END $$;

CREATE FUNCTION sales.add_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sales.orders SET total = total + NEW.amount WHERE order_id = NEW.order_id;
    RETURN NULL;
END $$;

CREATE FUNCTION sales.count_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sales.customers
    SET orders_count = orders_count + 1, last_order_at = NEW.placed_at
    WHERE customer_id = NEW.customer_id;
    RETURN NULL;
END $$;

CREATE TRIGGER touch BEFORE UPDATE ON sales.orders
    FOR EACH ROW EXECUTE FUNCTION sales.touch();
CREATE TRIGGER add_line AFTER INSERT ON sales.order_lines
    FOR EACH ROW EXECUTE FUNCTION sales.add_line();
CREATE TRIGGER count_order AFTER INSERT ON sales.orders
    FOR EACH ROW EXECUTE FUNCTION sales.count_order();
CREATE TRIGGER touch_always AFTER UPDATE ON sales.payments
    FOR EACH STATEMENT EXECUTE FUNCTION sales.touch();
ALTER TABLE sales.payments DISABLE TRIGGER touch_always;
