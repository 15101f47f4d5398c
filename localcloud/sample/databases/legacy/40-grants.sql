-- Rights of every kind: by column, with grant option, to PUBLIC, taken from PUBLIC, by default.
SET ROLE legacy_owner;

GRANT USAGE ON SCHEMA "Billing" TO legacy_app, "Billing Clerks";
GRANT SELECT, INSERT ON "Billing"."Invoices", "Billing"."Invoice Items" TO legacy_app;
GRANT SELECT ON "Billing"."Customers" TO legacy_app WITH GRANT OPTION;
GRANT SELECT, UPDATE, DELETE ON "Billing"."Cache" TO PUBLIC;
GRANT SELECT ("Id", "Net"), UPDATE ("Colour") ON "Billing"."Invoices" TO "Billing Clerks";
GRANT USAGE ON SEQUENCE "Billing"."Invoice No", "Billing"."Countdown", "Billing"."Shelf"
    TO legacy_app;
GRANT USAGE, SELECT, UPDATE ON SEQUENCE "Billing"."Small" TO "Billing Clerks";
REVOKE EXECUTE ON PROCEDURE "Billing"."Forget" FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE "Billing"."Forget" TO "Billing Clerks";
REVOKE USAGE ON TYPE "Billing"."Colour" FROM PUBLIC;
GRANT USAGE ON TYPE "Billing"."Colour", "Billing"."Percent" TO legacy_app;
REVOKE UPDATE ON "Billing"."Ledger" FROM legacy_owner;
ALTER DEFAULT PRIVILEGES IN SCHEMA "Billing" GRANT SELECT ON TABLES TO "Billing Clerks";
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
COMMENT ON COLUMN "Billing"."Invoices"."VAT %" IS E'0 to 100 %;\nsee "Gross"';

-- Settings a copy must not fall for; they belong to the database and move with it.
ALTER DATABASE :database SET TimeZone = 'Europe/Berlin';
ALTER DATABASE :database SET DateStyle = 'SQL, DMY';
ALTER DATABASE :database SET IntervalStyle = 'sql_standard';
ALTER DATABASE :database SET search_path = "Billing", public;
