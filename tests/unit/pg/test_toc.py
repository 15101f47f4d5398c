"""The text of a dump is split at pg_dump's own comments and at no others."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone.toc import (
    split,
    statements,
)

HEADER = """\
--
-- TOC entry {number} (class {class_oid} OID {oid})
-- Dependencies: 860
-- Name: {name}; Type: TABLE; Schema: public; Owner: -
--

"""
PROLOGUE = """\
--
-- PostgreSQL database dump
--

\\restrict 9DFv3GFMcRHkTPQZXfYma72y32D3RzYc8An6RSK5DDtxrkUNt4MbEbTt93HQL3A

SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

"""
EPILOGUE = """
-- Completed on 2026-11-22 12:59:31 UTC

--
-- PostgreSQL database dump complete
--

\\unrestrict 9DFv3GFMcRHkTPQZXfYma72y32D3RzYc8An6RSK5DDtxrkUNt4MbEbTt93HQL3A
"""
FAKE = HEADER.format(number=1, class_oid=1259, oid=5, name="fake")


def entry(number, text, name="t"):
    return HEADER.format(number=number, class_oid=1259, oid=number + 10, name=name) + text + "\n\n"


def test_a_dump_is_its_entries_with_their_objects():
    text = PROLOGUE + entry(1, "CREATE TABLE public.a (\n);") + entry(2, "SELECT 1;") + EPILOGUE
    first, second = split(text)
    assert (first.number, first.class_oid, first.oid, first.depends) == (1, 1259, 11, (860,))
    assert first.statements == ("CREATE TABLE public.a (\n)",)
    assert first.title == "t; Type: TABLE; Schema: public; Owner: -"
    assert second.sql == "SELECT 1;\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"COMMENT ON TABLE t IS 'x\n{FAKE}'';\n'", id="string"),
        pytest.param(f"SELECT E'x\\'\n{FAKE}\\\\'", id="escape string"),
        pytest.param(f'CREATE TABLE "a""\n{FAKE}" ()', id="identifier"),
        pytest.param(f"CREATE FUNCTION f() AS $$ '\n{FAKE}$x$ \" $$", id="dollar quote"),
        pytest.param(f"CREATE FUNCTION f() AS $_$ $$;\n{FAKE}$$ ' $_$", id="tagged dollar quote"),
        pytest.param(f"CREATE FUNCTION f$a$(x$b int) AS '\n{FAKE}'", id="dollars in identifiers"),
        pytest.param(f"SELECT U&'d\\0061t\\+000061''\n{FAKE}'", id="unicode string"),
        pytest.param(f"SELECT size'\\', '\n{FAKE}'", id="string after a word that ends in e"),
    ],
)
def test_what_looks_like_a_header_within_quotes_is_none(text):
    found = split(PROLOGUE + entry(1, f"{text};") + entry(2, "SELECT 2;") + EPILOGUE)
    assert [each.statements for each in found] == [(text,), ("SELECT 2",)]


def test_a_table_has_the_access_method_in_force_before_its_header():
    text = (
        "SET default_table_access_method = heap;\n\n"
        + entry(1, "CREATE TABLE a ();\n\n\nSET default_table_access_method = columnar;")
        + entry(2, "CREATE TABLE b ();")
        + entry(3, "CREATE TABLE c ();")
    )
    assert [each.access_method for each in split(text)] == ["heap", "columnar", "columnar"]
    assert split(text)[0].statements == ("CREATE TABLE a ()",)


def test_an_entry_without_a_statement_is_kept_empty():
    text = entry(1, "-- *not* creating schema, since initdb creates it\n") + entry(2, "SELECT 1;")
    assert [each.statements for each in split(text)] == [(), ("SELECT 1",)]


def test_statements_end_at_semicolons_outside_quotes_and_a_body_can_be_put_together_again():
    body = "CREATE FUNCTION f() RETURNS int\n    BEGIN ATOMIC\n SELECT ';';\nEND"
    assert statements(f"{body};\nALTER TABLE a;") == [
        *body.split(";\nE", 1)[:1],
        "END",
        "ALTER TABLE a",
    ]
    assert split(entry(1, f"{body};"))[0].sql == f"{body};\n"


def test_a_name_with_a_type_in_it_changes_nothing():
    name = "x; Type: FUNCTION; Schema: y; Owner: z"
    (found,) = split(entry(1, "SELECT 1;", name=name))
    assert found.title.startswith(name)
