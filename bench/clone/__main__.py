"""Compare pg_clone with pg_dump and pg_restore: `python -m bench.clone --help`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.clone.contenders import contenders
from bench.clone.measure import CommandError, Measured
from bench.clone.results import OURS, Scenario, machine, table, write
from bench.clone.servers import MAJOR, Server, Site, site
from localcloud.postgres.binaries import binaries

HERE = Path(__file__).parent
RESULTS = HERE / "results"

# Rows and tables at scale 1, which makes about 1.3 GB of the mixed database.
ACCOUNTS, ORDERS, SMALL_TABLES, SMALL_ROWS = 5_000_000, 1_000_000, 1_000, 100

# What a copy must hold: tables, indexes, valid foreign keys, and no table left unanalyzed.
OBJECTS = """
SELECT count(*) FILTER (WHERE relkind = 'r'),
       count(*) FILTER (WHERE relkind = 'i'),
       (SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated),
       count(*) FILTER (WHERE relkind = 'r' AND reltuples < 0),
       string_agg(format('SELECT count(*) FROM %s', oid::regclass), ' UNION ALL ')
         FILTER (WHERE relkind = 'r')
  FROM pg_class
 WHERE relnamespace = 'public'::regnamespace
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A database and a distance."""

    database: str
    title: str
    aim: float
    far: bool = False


CASES = {
    "mixed": Case("mixed", "Mixed database, no distance", 0.9),
    "small": Case("small", "1000 small tables, no distance", 0.5),
    "small-far": Case("small", "1000 small tables, round trip of {ms} ms to each", 0.15, far=True),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.clone", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of rows and tables (1)")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each contender (5)")
    parser.add_argument("--far-pairs", type=int, default=3, help="the same at a distance (3)")
    parser.add_argument("--round-trip-ms", type=int, default=50, help="of the distance (50)")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the page is written")
    return parser.parse_args()


def generate(here: Site, name: str, database: str, scale: float) -> float:
    """Make a source database by a database's SQL file; return its size in MB."""
    here.source.create(name)
    amounts = {
        "accounts": ACCOUNTS * scale,
        "orders": ORDERS * scale,
        "small_tables": SMALL_TABLES * scale,
        "small_rows": SMALL_ROWS,
    }
    given = [f"--set={name}={max(1, round(amount))}" for name, amount in amounts.items()]
    psql = str(binaries(MAJOR) / "psql")
    argv = [psql, "-qX", "--set=ON_ERROR_STOP=1", *given, "-f", str(HERE / f"{database}.sql")]
    environment = here.source.to(name).environment()
    subprocess.run(argv, env=environment, check=True, stdout=subprocess.DEVNULL)
    (size,) = here.source.one(name, "SELECT pg_database_size(current_database())")
    return float(size) / 1024 / 1024


def compare(here: Site, name: str, options: argparse.Namespace) -> Scenario:
    """Run all contenders in turns, the order turned round with every pair."""
    case = CASES[name]
    say(f"{name}: making the source")
    size_mb = generate(here, name, case.database, options.scale)
    title = case.title.format(ms=options.round_trip_ms)
    scenario = Scenario(name, title, case.aim, size_mb)
    scenario.runs = {each: [] for each in contenders()}
    for pair in range(options.far_pairs if case.far else options.pairs):
        order = list(scenario.runs)
        for contender in order if pair % 2 == 0 else reversed(order):
            measured = one_run(here, scenario, contender, far=case.far)
            scenario.runs[contender].append(measured)
            say(f"{name}, pair {pair + 1}: {contender} {measured.elapsed_s:.1f} s")
        say(f"{name}, pair {pair + 1}: ratio {scenario.ratios()[-1]:.2f}")
    return scenario


def one_run(here: Site, scenario: Scenario, contender: str, *, far: bool) -> Measured:
    """Copy into an empty database and see that all of it is there, analyzed."""
    number = sum(len(runs) for runs in scenario.runs.values())
    dbname = f"{scenario.name}-{number}"
    here.target.create(dbname)
    folder = here.folder / dbname
    folder.mkdir()
    measured = contenders()[contender](*here.roads(scenario.name, dbname, far=far), folder)
    wanted = content(here.source, scenario.name)
    found = content(here.target, dbname)
    if found != wanted:
        raise CommandError(f"{contender}: the target holds {found}, the source {wanted}")
    return measured


def content(server: Server, dbname: str) -> tuple[int, ...]:
    """Return how many tables, indexes, valid foreign keys, unanalyzed tables and rows there are."""
    *counts, counting = server.one(dbname, OBJECTS)
    (rows,) = server.one(dbname, f"SELECT sum(count) FROM ({counting}) AS each")
    return (*map(int, counts), int(rows))


def say(text: str) -> None:
    print(f"bench: {text}", flush=True)


def main() -> int:
    options = arguments()
    far = any(CASES[name].far for name in options.only)
    command = " ".join(["python -m bench.clone", *sys.argv[1:]])
    try:
        with site(options.round_trip_ms if far else 0) as here:
            scenarios = [compare(here, name, options) for name in options.only]
            (version,) = here.target.one("postgres", "SHOW server_version")
    except CommandError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    for scenario in scenarios:
        print(f"\n{table(scenario)}")
    path = write(options.results, scenarios, machine(version), command)
    ours = max(run.peak_memory_mb for each in scenarios for run in each.runs[OURS])
    say(f"{OURS} held at most {ours:.0f} MB; all figures are in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
