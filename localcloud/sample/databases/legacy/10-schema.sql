-- Twenty years of billing: quoted names, every common type, a sequence of each kind.
CREATE EXTENSION btree_gist;
CREATE EXTENSION hstore;

SET ROLE legacy_owner;

CREATE SCHEMA "Billing";
CREATE SCHEMA "two ""quotes"" & 100%";
COMMENT ON SCHEMA "Billing" IS E'It''s the "old" one;\n100 % in use';

CREATE TYPE "Billing"."Address" AS ("Street" text, "Zip" char(5), "Valid Since" date);
CREATE TYPE "Billing"."Colour" AS ENUM ('red', 'it''s green', 'BLUE "dark"');
CREATE TYPE "Billing"."price range" AS RANGE (subtype = numeric);
CREATE DOMAIN "Billing"."Percent" AS numeric(5, 2) DEFAULT 0 NOT NULL
    CONSTRAINT "0 to 100 %" CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN "Billing"."Tags" AS text[] CHECK (array_position(VALUE, NULL) IS NULL);
COMMENT ON TYPE "Billing"."Address" IS 'As printed';
COMMENT ON COLUMN "Billing"."Address"."Zip" IS 'Padded with blanks';

CREATE SEQUENCE "Billing"."Invoice No" START 20000001 INCREMENT 1 CACHE 10;
CREATE SEQUENCE "Billing"."Countdown" INCREMENT -1 MINVALUE -1000000000 MAXVALUE -1 START -1;
CREATE SEQUENCE "Billing"."Shelf" MINVALUE 1 MAXVALUE 7 CYCLE;
CREATE SEQUENCE "Billing"."Small" AS smallint INCREMENT 5 START 100;
CREATE SEQUENCE "Billing"."Never Called" START 42;
CREATE SEQUENCE "Billing"."Exhausted" AS smallint MAXVALUE 3;
COMMENT ON SEQUENCE "Billing"."Countdown" IS 'Counts down';

CREATE TABLE "Billing"."Customers" (
    "Id" integer GENERATED ALWAYS AS IDENTITY (START 1 INCREMENT 2) PRIMARY KEY,
    "Name" varchar(80) NOT NULL,
    "Address" "Billing"."Address",
    "Former Addresses" "Billing"."Address"[],
    "Discount" "Billing"."Percent",
    "Tags" "Billing"."Tags" DEFAULT '{}'
);

CREATE TABLE "Billing"."Invoices" (
    "Id" bigint DEFAULT nextval('"Billing"."Invoice No"') PRIMARY KEY,
    "Request Id" uuid NOT NULL,
    "Customer" integer NOT NULL,
    "Issued" timestamptz NOT NULL DEFAULT now(),
    "Due In" interval NOT NULL DEFAULT '30 days',
    "Net" money NOT NULL,
    "VAT %" "Billing"."Percent",
    "Period" daterange NOT NULL,
    "Countdown" bigint NOT NULL DEFAULT nextval('"Billing"."Countdown"'),
    "Shelf" bigint NOT NULL DEFAULT nextval('"Billing"."Shelf"'),
    "Paper" xml,
    "Search" tsvector,
    "Colour" "Billing"."Colour" DEFAULT 'red',
    "Label" text GENERATED ALWAYS AS ('#' || "Id" || ' "' || "Customer" || '"') STORED,
    CONSTRAINT "one request" UNIQUE ("Request Id"),
    CONSTRAINT "not % negative" CHECK ("Net" >= 0::money)
);

CREATE TABLE "Billing"."Invoice Items" (
    "Invoice" bigint NOT NULL,
    "Pos" smallint NOT NULL,
    "Text" text NOT NULL,
    "Price" numeric NOT NULL,
    "Count" integer NOT NULL DEFAULT 1,
    "Sum" numeric GENERATED ALWAYS AS ("Price" * "Count") STORED,
    PRIMARY KEY ("Invoice", "Pos")
);

-- Inheritance as it was done before partitions: rows live in the parent and in its children.
CREATE TABLE "Billing"."Ledger" (
    id serial,
    booked date NOT NULL,
    amount numeric(20, 4) NOT NULL,
    CHECK (amount <> 0)
);
CREATE TABLE "Billing"."Ledger 2010" (
    clerk name DEFAULT CURRENT_USER,
    PRIMARY KEY (id)
) INHERITS ("Billing"."Ledger");
CREATE TABLE "Billing"."Ledger Audit" (seen timestamptz) INHERITS ("Billing"."Ledger 2010");

CREATE TABLE "Billing"."Rooms" (
    room integer NOT NULL,
    during tstzrange NOT NULL,
    EXCLUDE USING gist (room WITH =, during WITH &&)
);

CREATE UNLOGGED TABLE "Billing"."Cache" (key text PRIMARY KEY, value hstore);
CREATE TABLE "Billing"."No Columns" ();
CREATE TABLE "Billing"."Dropped Columns" (a integer, b text, c integer DEFAULT 7, d text);
ALTER TABLE "Billing"."Dropped Columns" DROP COLUMN b;
CREATE TABLE "two ""quotes"" & 100%"."semi;colon\back
newline" ("col ""umn" text, "%s" integer, "$1" integer, "sélect" text);
CREATE TABLE "Billing"."a_name_that_takes_all_sixty_three_bytes_which_a_name_may_have_x" (
    "another_name_that_takes_all_sixty_three_bytes_which_it_may_have" integer PRIMARY KEY);
