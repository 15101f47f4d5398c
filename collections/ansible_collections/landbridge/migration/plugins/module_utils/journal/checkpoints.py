# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a stage is reached, due, or waits for another: pure, on values.

A checkpoint is stale when one that it was built on has been replaced or taken back since, however
far down. So redoing a stage makes all that follow it due again, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import PreconditionError
from .fingerprint import Requirement
from .records import Checkpoint, Place

# The order in which migrate.yml has them; one that is not here comes after all that are.
STAGES = (
    "preflight",
    "credentials",
    "postgres",
    "ingress",
    "observability",
    "workloads",
    "bridge",
    "window",
    "dataxfer",
    "verify",
    "gate",
    "cutover",
    "smoke",
)
NAMED = 3  # hosts that a sentence names before it counts the rest

Current = Mapping[Place, Checkpoint]


class Problem(NamedTuple):
    """Why a prerequisite does not hold."""

    place: Place
    why: str


class Verdict(NamedTuple):
    reached: bool
    msg: str


def required_places(requires: Iterable[str | Mapping[str, Any]], host: str) -> list[Place]:
    """Return what the option ``requires`` names: a stage alone means on ``host``.

    Raise PreconditionError for an entry without a stage.
    """
    places: dict[Place, None] = {}
    for entry in requires:
        wanted = {"stage": entry} if isinstance(entry, str) else entry
        if not wanted.get("stage"):
            raise PreconditionError(f"requires: an entry names no stage: {dict(wanted)}")
        hosts = wanted.get("hosts", [host])
        for name in [hosts] if isinstance(hosts, str) else hosts:
            places[Place(str(wanted["stage"]), str(name))] = None
    return list(places)


def staleness(place: Place, current: Current) -> str:
    """Return why the checkpoint at ``place`` no longer holds, or an empty text."""
    seen: set[Place] = set()

    def replaced(checkpoint: Checkpoint) -> str:
        for stage, host, digest in checkpoint.requires:
            below = Place(stage, host)
            found = current.get(below)
            if found is None:
                return f"{below} was taken back since"
            if found.digest != digest:
                return f"{below} was done again since"
            if below not in seen:
                seen.add(below)
                if why := replaced(found):
                    return why
        return ""

    return replaced(current[place])


def prerequisites(
    places: Iterable[Place], current: Current
) -> tuple[list[Requirement], list[Problem]]:
    """Return the checkpoints to build on, and the problems with those that do not hold."""
    requirements, problems = [], []
    for place in places:
        if place not in current:
            problems.append(Problem(place, "was not reached"))
        elif why := staleness(place, current):
            problems.append(Problem(place, f"is stale: {why}"))
        else:
            requirements.append(Requirement(*place, current[place].digest))
    return requirements, problems


def complaint(problems: Sequence[Problem]) -> str:
    """Return a clause that names what does not hold, grouped by stage, and the command for it."""
    groups: dict[tuple[str, str], list[str]] = {}
    for (stage, host), why in problems:
        groups.setdefault((stage, why), []).append(host)
    clauses = [f"{stage} on {_names(hosts)} {why}" for (stage, why), hosts in groups.items()]
    tags = ",".join(in_order({problem.place.stage for problem in problems}))
    return f"{'; '.join(clauses)}. Run: ansible-playbook migrate.yml --tags {tags}"


def judge(
    place: Place,
    inputs: Mapping[str, str],
    requirements: Sequence[Requirement],
    current: Current,
    *,
    redo: bool = False,
    run_id: str = "",
) -> Verdict:
    """Return whether the stage at ``place`` is reached with these inputs, and why not.

    :param redo: do it again; what this very run has reached is not done twice.
    """
    stage = place.stage
    if (found := current.get(place)) is None:
        return Verdict(False, f"{stage} was not reached before")
    if redo and found.run_id != run_id:
        return Verdict(False, f"{stage} was reached at {found.finished} and is done again as asked")
    changes = _changed_inputs(found.inputs, inputs) + _changed_bases(found.requires, requirements)
    if changes:
        why = "; ".join(changes)
        return Verdict(False, f"{stage} was reached at {found.finished} and is due again: {why}")
    return Verdict(
        True,
        f"{stage} was reached at {found.finished} with the same inputs;"
        f" -e landbridge_redo={stage} does it again",
    )


def in_order(stages: Iterable[str]) -> list[str]:
    """Return ``stages`` in the order in which they run."""
    return sorted(stages, key=lambda stage: (rank(stage), stage))


def rank(stage: str) -> int:
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def _changed_inputs(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    return [f"other inputs: {', '.join(names)}"] if names else []


def _changed_bases(before: Sequence[Requirement], now: Sequence[Requirement]) -> list[str]:
    earlier = {Place(r.stage, r.host): r.digest for r in before}
    later = {Place(r.stage, r.host): r.digest for r in now}
    names = [str(place) for place in later if earlier.get(place) != later[place]]
    return [f"{_names(names)} done since"] if names else []


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown
