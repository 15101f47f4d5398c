SET ROLE legacy_owner;

INSERT INTO "Billing"."Customers" ("Name", "Address", "Former Addresses", "Discount", "Tags")
SELECT 'Customer "' || n || '"',
       ROW('Street ' || n % 300 || ', "rear"', lpad((n % 99999)::text, 5, '0'), NULL)
           ::"Billing"."Address",
       CASE WHEN n % 10 = 0
            THEN ARRAY[ROW('Old, ' || n, '1', DATE '1999-12-31')::"Billing"."Address"] END,
       n % 101,
       CASE WHEN n % 3 = 0 THEN ARRAY['a b', 'c"d', 'e,f'] ELSE '{}' END
FROM generate_series(1, 5000) AS n;

INSERT INTO "Billing"."Invoices"
    ("Request Id", "Customer", "Issued", "Due In", "Net", "VAT %", "Period", "Paper", "Search")
SELECT md5('invoice ' || n)::uuid,
       1 + 2 * (n * 7919 % 5000),
       timestamptz '2005-01-01 00:00+00' + n * interval '2 hours 7 minutes',
       make_interval(months => (n % 3)::int, days => (n % 29)::int),
       (n * 31 % 1000000 / 100.0)::numeric::money,
       CASE WHEN n % 4 = 0 THEN 7 ELSE 19 END,
       daterange(DATE '2005-01-01' + (n % 5000)::int, CASE WHEN n % 40 <> 0 THEN DATE '2030-01-01' END),
       CASE WHEN n % 5 = 0 THEN xmlelement(name invoice, xmlattributes(n AS no), 'ä & <ö>') END,
       to_tsvector('simple', 'invoice ' || n || ' of customer ' || n % 5000)
FROM generate_series(1::bigint, 40000) AS n;

INSERT INTO "Billing"."Invoice Items" ("Invoice", "Pos", "Text", "Price", "Count")
SELECT i."Id", pos, 'Item ' || pos || ' of ' || i."Id", (i."Id" * pos % 10007) / 100.0, 1 + pos % 3
FROM "Billing"."Invoices" AS i CROSS JOIN generate_series(1, 2) AS pos
ORDER BY 1, 2;

INSERT INTO "Billing"."Ledger" (booked, amount)
SELECT DATE '2009-01-01' + n % 365, n / 10000.0 FROM generate_series(1, 1000) AS n;
INSERT INTO "Billing"."Ledger 2010" (booked, amount, clerk)
SELECT DATE '2010-01-01' + n % 365, -n, 'clerk ' || n % 5 FROM generate_series(1, 3000) AS n;
INSERT INTO "Billing"."Ledger Audit" (booked, amount, seen)
VALUES ('2010-05-05', 0.0001, 'infinity'), ('2010-05-06', 9999999999999999.9999, NULL);

INSERT INTO "Billing"."Rooms"
SELECT n % 20, tstzrange(TIMESTAMPTZ '2024-01-01 00:00+00' + n / 20 * interval '1 hour',
                         TIMESTAMPTZ '2024-01-01 00:00+00' + (n / 20 + 1) * interval '1 hour')
FROM generate_series(0, 1999) AS n;

INSERT INTO "Billing"."Cache" SELECT 'key ' || n, hstore('n', n::text) FROM generate_series(1, 500) AS n;
INSERT INTO "Billing"."No Columns" SELECT FROM generate_series(1, 3);
INSERT INTO "Billing"."Dropped Columns" (a, d) SELECT n, 'd' || n FROM generate_series(1, 100) AS n;
ALTER TABLE "Billing"."Dropped Columns" ADD COLUMN "added with a default" text DEFAULT 'x' NOT NULL;
INSERT INTO "two ""quotes"" & 100%"."semi;colon\back
newline" VALUES ('%s', 1, 2, '%(a)s'), (E'\\N', NULL, NULL, NULL), (NULL, NULL, NULL, NULL);
INSERT INTO "Billing"."a_name_that_takes_all_sixty_three_bytes_which_a_name_may_have_x"
SELECT generate_series(-5, 5);

-- Set by hand, called once, called to the end: every state a sequence can be in.
SELECT setval('"Billing"."Small"', 200, false), nextval('"Billing"."Exhausted"'),
       setval('"Billing"."Exhausted"', 3, true);
