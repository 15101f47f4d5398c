"""The report understands what the modules really give as proof."""

import json

import jsonschema
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

CONTENT = """
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id bigserial PRIMARY KEY, customer int REFERENCES customers);
INSERT INTO customers SELECT n, 'customer ' || n FROM generate_series(1, 100) AS n;
INSERT INTO orders (customer) SELECT n % 100 + 1 FROM generate_series(1, 50000) AS n;
"""


def plays(home, sides):
    """A migration's two stages that move and compare, as its roles have them."""
    common = {"migration": "acme", "home": str(home)}
    mark = "landbridge.migration.checkpoint"
    evidence = "{{ done.evidence | combine({'elapsed_s': done.elapsed_s, 'tables': done.tables}) }}"
    stages = [
        ("dataxfer", "landbridge.migration.pg_clone", evidence),
        ("verify", "landbridge.migration.pg_verify", "{{ done.evidence }}"),
    ]
    run = {"landbridge.migration.run": {"state": "open", **common}}
    return [{"tags": ["always"], "tasks": [run]}] + [
        {
            "tags": [stage],
            "tasks": [
                {mark: {**common, "stage": stage, "state": "open"}},
                {module: sides, "register": "done"},
                {mark: {**common, "stage": stage, "state": "set", "evidence": proof}},
            ],
        }
        for stage, module, proof in stages
    ]


@pytest.fixture
def moved(project, source, target):
    """The reports of a migration of one database: of the run itself, and of one after it."""
    with psycopg.connect(make_conninfo(**source)) as conn:
        conn.execute(CONTENT)
    code, output = project.play(plays(project.home, {"source": source, "target": target}), "shop")
    assert code == 0, output
    first = project.report()
    code, output = project.play(plays(project.home, {})[:1], "shop")
    assert code == 0, output
    return first, project.report()


@pytest.mark.postgres
def test_figures_and_proof_are_found_now_and_later(moved, schema):
    for report in moved:
        jsonschema.validate(report, schema)
        (shop,) = report["databases"]
        assert (shop["host"], shop["rows"], shop["tables_count"]) == ("shop", 50_100, 2)
        assert shop["verified"] is True
        assert shop["bytes"] > 1_000_000
        assert shop["seconds"] > 0
        assert shop["bytes_per_s"] > 0
        assert [table["name"] for table in shop["tables"]] == ["public.orders", "public.customers"]
        assert shop["tables"][0]["rows"] == 50_000
        assert shop["verification"]["tables_compared"] == 2
        del shop["transfer"]  # the run itself says more: how many parts it resumed
    assert moved[0]["databases"] == moved[1]["databases"]
    assert json.dumps(moved).count("password") == 0
