"""Cross there and back while applications write: `python -m bench.crossing --help`."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import toxiproxy
from bench.clone.results import machine
from bench.clone.servers import Site, site
from bench.crossing.platform import Platform, platform
from bench.crossing.results import Crossed, Scenario, longest_wait_ms, table, write

RESULTS = Path(__file__).parent / "results"

IN_STALL = ("pause", "barrier", "take_over", "switch", "resume")


@dataclass(frozen=True, slots=True)
class Case:
    """A number of writers and a distance."""

    title: str
    writers: int
    aim_ms: float
    far: bool = False


CASES = {
    "8": Case("8 writers, no distance", 8, 50),
    "32": Case("32 writers, no distance", 32, 50),
    "8-far": Case("8 writers, round trip of {ms} ms to each server and the pooler", 8, 500, True),
    "32-far": Case(
        "32 writers, round trip of {ms} ms to each server and the pooler", 32, 500, True
    ),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.crossing", description=__doc__)
    parser.add_argument("--crossings", type=int, default=20, help="of each case (20)")
    parser.add_argument("--writes", type=float, default=400, help="a second, of all writers (400)")
    parser.add_argument("--between-s", type=float, default=1.0, help="from one to the next (1)")
    parser.add_argument("--round-trip-ms", type=int, default=50, help="of the distance (50)")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the page is written")
    return parser.parse_args()


def run(here: Site, name: str, options: argparse.Namespace) -> Scenario:
    """Cross there and back while applications write; judge what became of every write.

    ``here`` is new: what follows and is followed cannot be made again in the same place.
    """
    case = CASES[name]
    scenario = Scenario(case.title.format(ms=options.round_trip_ms), case.aim_ms, case.writers)
    with ExitStack() as stack:
        proxies = stack.enter_context(toxiproxy.running()) if case.far else None
        made = stack.enter_context(platform(here, proxies, options.round_trip_ms))
        spans = []
        with made.writing(case.writers, options.writes) as told:
            for n in range(options.crossings):
                time.sleep(options.between_s)
                spans.append(_cross(made, scenario, "back" if n % 2 else "forward"))
                whole_s, stall_ms = spans[-1][1] - spans[-1][0], scenario.crossings[-1].stall_ms
                say(f"{name}, crossing {n + 1}: stall {stall_ms:.0f} ms, in all {whole_s:.1f} s")
            time.sleep(options.between_s)
        for each, span in zip(scenario.crossings, spans, strict=True):
            each.wait_ms = longest_wait_ms(told["waits"], *span)
        serves = "source" if options.crossings % 2 == 0 else "target"
        scenario.lost, scenario.doubled = made.judge(told, serves)
        scenario.acknowledged, scenario.failed = len(told["keys"]), len(told["failed"])
    return scenario


def _cross(made: Platform, scenario: Scenario, direction: str) -> tuple[float, float]:
    began = time.monotonic()
    done = made.cross(direction)
    ended = time.monotonic()
    steps = {each["step"]: each["ms"] for each in done.timings if each["step"] in IN_STALL}
    scenario.crossings.append(Crossed(direction, done.evidence["stall_ms"], 0.0, steps))
    return began, ended


def say(text: str) -> None:
    print(f"bench: {text}", flush=True)


def main() -> int:
    options = arguments()
    command = " ".join(["python -m bench.crossing", *sys.argv[1:]])
    scenarios = []
    for name in options.only:
        with site(0) as here:
            scenarios.append(run(here, name, options))
            (version,) = here.target.one("postgres", "SHOW server_version")
    for scenario in scenarios:
        print(f"\n{table(scenario)}")
    path = write(options.results, scenarios, machine(version), command)
    say(f"all figures are in {path}")
    return 1 if any(each.failed or each.lost or each.doubled for each in scenarios) else 0


if __name__ == "__main__":
    sys.exit(main())
