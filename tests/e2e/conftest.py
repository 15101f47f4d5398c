"""Whole migrations as a user runs them: ansible-playbook, an inventory of provider `existing`."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.fix_postgres import fresh_database

PROJECT = Path(__file__).parents[2]
APP_PASSWORD = "app/s3cret"
STAGES = ["preflight", "postgres", "window", "dataxfer", "verify", "gate", "cutover", "smoke"]

SHOP = """
CREATE ROLE shop_owner NOLOGIN;
CREATE ROLE shop_app LOGIN PASSWORD 'app/s3cret';
GRANT shop_owner TO {admin};
CREATE DATABASE shop OWNER shop_owner;
"""
SHOP_CONTENT = """
SET ROLE shop_owner;
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (id bigserial PRIMARY KEY, customer int REFERENCES customers, paid money);
CREATE INDEX ON orders (customer);
INSERT INTO customers SELECT n, 'customer ' || n FROM generate_series(1, 100) AS n;
INSERT INTO orders (customer, paid) SELECT n % 100 + 1, n FROM generate_series(1, {rows}) AS n;
GRANT SELECT, INSERT ON customers, orders TO shop_app;
GRANT USAGE ON orders_id_seq TO shop_app;
"""
LEGACY = '''
CREATE DATABASE "Legacy ""Billing""" OWNER {admin};
'''
LEGACY_CONTENT = """
CREATE SCHEMA "Odd ""name";
CREATE TABLE "Odd ""name"."a%b" ("select" text);
INSERT INTO "Odd ""name"."a%b" VALUES (NULL), (''), ('ü');
"""


def connect(server, **changes):
    """A session of the test's own."""
    return psycopg.connect(make_conninfo(**{**server, **changes}), autocommit=True)


class Result:
    """What a run said. `changed` counts over all hosts."""

    def __init__(self, returncode, output):
        self.returncode = returncode
        self.output = output

    @property
    def said(self):
        """The output with white space folded, to look for sentences that were wrapped."""
        return re.sub(r"\s+", " ", self.output)

    @property
    def changed(self):
        return sum(int(count) for count in re.findall(r"changed=(\d+)", self.output))


def says(result, sentence):
    """Assert that a run failed with this sentence, as an answer to a person."""
    assert result.returncode != 0, result.output
    assert sentence in result.said, result.output
    assert "Traceback" not in result.output


class Migration:
    """An inventory in a folder of its own, and the commands a user gives."""

    def __init__(self, folder, source, target):
        self.folder, self.source, self.target = folder, source, target
        self.variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "landbridge_migration": "test",
            "landbridge_mode": "window",
            "landbridge_on_failure": "hold",
            "landbridge_gate_policy": "evidence",
            "landbridge_role_map": {},
            "landbridge_role_passwords": {"shop_app": APP_PASSWORD},
            "landbridge_state_dir": str(folder / "state"),
        }
        sides = {"database_source": "old", "database_target": "new"}
        self.servers = {"old": _host(source), "new": _host(target)}
        self.databases = {
            "shop": dict(sides),
            "legacy": {**sides, "database_name": 'Legacy "Billing"'},
        }

    @property
    def home(self):
        return self.folder / "state" / "test"

    @property
    def report(self):
        return json.loads((self.home / "report.json").read_text())

    def side(self, name, dbname="shop"):
        return {**{"old": self.source, "new": self.target}[name], "dbname": dbname}

    def command(self, *args, playbook="migrate.yml"):
        inventory = {
            "all": {
                "vars": self.variables,
                "children": {
                    "source": {"hosts": {"old": None}},
                    "target": {"hosts": {"new": None}},
                    "postgres_servers": {"hosts": self.servers},
                    "databases": {"hosts": self.databases},
                },
            }
        }
        path = self.folder / "inventory.yml"
        path.write_text(yaml.safe_dump(inventory))
        path.chmod(0o600)
        playbook_path = Path(sys.executable).with_name("ansible-playbook")
        return [str(playbook_path), "-i", str(path), playbook, *args]

    def run(self, *args, playbook="migrate.yml", stdin=subprocess.DEVNULL):
        done = subprocess.run(
            self.command(*args, playbook=playbook),
            cwd=PROJECT, env=environment(), stdin=stdin, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout + done.stderr)

    def start(self, *args, playbook="migrate.yml"):
        """Start a run in a process group of its own, its output in a file."""
        with (self.folder / "output").open("w") as output:
            return subprocess.Popen(
                self.command(*args, playbook=playbook),
                cwd=PROJECT, env=environment(), stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip


def environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return {**kept, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}


def orders(server):
    """Return how many orders the application sees."""
    with connect(server, user="shop_app", password=APP_PASSWORD) as conn:
        return conn.execute("SELECT count(*) FROM orders").fetchone()[0]


def refused(server):
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        connect(server, user="shop_app", password=APP_PASSWORD)


def _host(server):
    variables = {f"postgres_{name}": value for name, value in server.items() if name != "dbname"}
    return {"provider": "existing", **variables}


def fill(source):
    """Make the two databases that are to move."""
    admin = sql.Identifier(source["user"]).as_string()
    with connect(source) as conn:
        for statement in (SHOP + LEGACY).format(admin=admin).strip().split(";")[:-1]:
            conn.execute(statement)
    with connect(source, dbname="shop") as conn:
        conn.execute(SHOP_CONTENT.format(rows=1000))
    with connect(source, dbname='Legacy "Billing"') as conn:
        conn.execute(LEGACY_CONTENT)


@pytest.fixture
def migration(tmp_path, source, target):
    """Two databases on a source server, to move to an empty target server."""
    fill(source)
    return Migration(tmp_path, source, target)


@pytest.fixture(scope="module")
def module_pair(postgres):
    """Source and target of a whole module, the source's two databases filled."""
    on = contextmanager(fresh_database)
    with on(postgres(17, "source")) as source, on(postgres(17, "target")) as target:
        fill(source)
        yield source, target


@pytest.fixture
def untouched(tmp_path, module_pair):
    """As `migration`, of a pair that the whole module shares since nobody may change it."""
    return Migration(tmp_path, *module_pair)


@pytest.fixture(scope="module")
def moved(tmp_path_factory, module_pair):
    """A migration that was run to its end, its output in `first`; its module's tests only look."""
    made = Migration(tmp_path_factory.mktemp("moved"), *module_pair)
    made.first = made.run("-vvv", "--diff")
    assert made.first.returncode == 0, made.first.output[-3000:]
    return made
