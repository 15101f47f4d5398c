SET ROLE legacy_owner;

ALTER TABLE "Billing"."Invoices"
    ADD CONSTRAINT "whose ""invoice""" FOREIGN KEY ("Customer")
        REFERENCES "Billing"."Customers" ON UPDATE CASCADE DEFERRABLE;
ALTER TABLE "Billing"."Invoice Items"
    ADD FOREIGN KEY ("Invoice") REFERENCES "Billing"."Invoices" ON DELETE CASCADE;
ALTER SEQUENCE "Billing"."Invoice No" OWNED BY "Billing"."Invoices"."Id";

CREATE INDEX "Invoices by ""Issued"" (100 %)" ON "Billing"."Invoices" ("Issued" DESC NULLS LAST);
CREATE INDEX ON "Billing"."Invoices" USING gin ("Search");
CREATE INDEX ON "Billing"."Invoices" USING gist ("Period") WITH (fillfactor = 80);
CREATE INDEX ON "Billing"."Invoices" USING hash ("Colour");
CREATE INDEX ON "Billing"."Customers" (lower("Name") COLLATE "C" text_pattern_ops, "Id")
    WHERE "Discount" > 50;
CREATE INDEX ON "Billing"."Ledger" USING brin (booked);
ALTER TABLE "Billing"."Invoices" CLUSTER ON "Invoices by ""Issued"" (100 %)";
ALTER TABLE "Billing"."Rooms" REPLICA IDENTITY FULL;
ALTER TABLE "Billing"."Invoices" ALTER COLUMN "Customer" SET STATISTICS 500;
CREATE STATISTICS "Billing"."VAT by colour" ON "VAT %", "Colour" FROM "Billing"."Invoices";
CREATE STATISTICS "Billing"."Expressions" ON (lower("Name")), ("Id" % 10) FROM "Billing"."Customers";
COMMENT ON STATISTICS "Billing"."VAT by colour" IS 'They go together';
COMMENT ON CONSTRAINT "not % negative" ON "Billing"."Invoices" IS 'Credit notes are "elsewhere"';
COMMENT ON INDEX "Billing"."Invoices by ""Issued"" (100 %)" IS '100 % used';

CREATE FUNCTION "Billing"."Gross"("Net" money, "VAT %" numeric) RETURNS money
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $body$ SELECT $1 * (1 + $2 / 100)::float8 $body$;
CREATE AGGREGATE "Billing"."Sum of Gross" (money) (sfunc = cash_pl, stype = money, initcond = '0');
CREATE PROCEDURE "Billing"."Forget"(key text) LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM "Billing"."Cache" AS c WHERE c.key = "Forget".key;
END $$;
COMMENT ON FUNCTION "Billing"."Gross" IS 'Net and VAT, it''s "simple"';

CREATE VIEW "Billing"."Open ""Invoices""" AS
SELECT i."Id", c."Name", (c."Address")."Zip", "Billing"."Gross"(i."Net", i."VAT %") AS "Gross €"
FROM "Billing"."Invoices" AS i JOIN "Billing"."Customers" AS c ON c."Id" = i."Customer"
WHERE upper_inf(i."Period");
CREATE RULE "no deletes" AS ON DELETE TO "Billing"."Ledger Audit" DO INSTEAD NOTHING;
CREATE MATERIALIZED VIEW "Billing"."Per Year" AS
SELECT extract(year FROM "Issued" AT TIME ZONE 'UTC')::int AS "Year", sum("Net") AS "Net"
FROM "Billing"."Invoices" GROUP BY 1
WITH DATA;
