"""PgBouncer's file: one line is changed as PgBouncer reads it, the rest is kept to the byte."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PreconditionError
from ansible_collections.landbridge.migration.plugins.module_utils.pooler.ini import (
    Target,
    edited,
    read,
)

NEW = Target("pg.new.example", 6000, "shop")

FILE = '''\
;; shop = host=commented.example
[databases]
shop = host=pg.old.example port=5432 dbname=shop pool_size=8   \t
shop_ro = host=pg.old.example dbname=shop
"Odd ""name""" = host = '/var/run/my pg' dbname='it''s'
* = host=fallback.example

[pgbouncer]
shop = host=no.database
listen_port = 6432
'''


def test_only_the_one_line_changes_and_in_it_only_where_it_leads():
    changed = edited(FILE, "shop", NEW).splitlines()
    lines = FILE.splitlines()
    different = [pair for pair in zip(lines, changed, strict=True) if pair[0] != pair[1]]
    assert different == [
        (
            "shop = host=pg.old.example port=5432 dbname=shop pool_size=8   \t",
            "shop = host=pg.new.example port=6000 dbname=shop pool_size=8   \t",
        )
    ]


def test_a_change_is_read_back_and_doing_it_again_changes_nothing():
    once = edited(FILE, "shop", NEW)
    assert read(once, "shop") == NEW
    assert edited(once, "shop", NEW) == once
    assert edited(once, "shop", Target("pg.old.example", 5432, "shop")) == FILE


@pytest.mark.parametrize(
    "name, target",
    [
        pytest.param("shop", Target("pg.old.example", 5432, "shop"), id="plain"),
        pytest.param("shop_ro", Target("pg.old.example", 5432, "shop"), id="port by default"),
        pytest.param('Odd "name"', Target("/var/run/my pg", 5432, "it's"), id="quoted"),
        pytest.param("*", Target("fallback.example", 5432, "*"), id="fallback"),
        pytest.param("listen_port", None, id="another section"),
        pytest.param("none", None, id="absent"),
    ],
)
def test_a_line_is_read_as_pgbouncer_reads_it(name, target):
    assert read(FILE, name) == target


def test_what_a_line_does_not_say_is_added_and_quoted_where_it_must_be():
    line = "[databases]\nshop = host=a dbname=shop\n"
    changed = edited(line, "shop", Target("b", 1, 'the "old" one\'s'))
    assert changed == "[databases]\nshop = host=b dbname='the \"old\" one''s' port=1\n"
    assert read(changed, "shop") == Target("b", 1, 'the "old" one\'s')
    assert edited("[databases]\nshop =\n", "shop", NEW) == (
        "[databases]\nshop =host=pg.new.example port=6000 dbname=shop\n"
    )


def test_the_last_line_of_a_name_counts():
    twice = "[databases]\nshop = host=first\nshop = host=last\n"
    assert read(twice, "shop").host == "last"
    assert edited(twice, "shop", NEW).splitlines()[1] == "shop = host=first"


def test_an_included_file_needs_no_section_and_keeps_its_line_ends():
    text = "shop = host=a\r\nother = host=b\r\n"
    assert edited(text, "shop", NEW) == (
        "shop = host=pg.new.example port=6000 dbname=shop\r\nother = host=b\r\n"
    )


def test_a_name_without_a_line_is_refused_with_the_remedy():
    with pytest.raises(PreconditionError, match="no line for database nowhere") as raised:
        edited(FILE, "nowhere", NEW)
    assert "Name the file" in raised.value.hint
