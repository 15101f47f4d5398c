# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checkpoints and stages of the whole migration: the journal's, with what this run changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...module_utils.journal.checkpoints import in_order, staleness
from ...module_utils.journal.fingerprint import Requirement
from ...module_utils.journal.records import Checkpoint as Recorded
from ...module_utils.journal.records import Place
from . import moments, shape
from .record import Key, Record

WORST_FIRST = ("failed", "open", "stale", "reached")


def collect(record: Record) -> list[shape.Checkpoint]:
    """Return the checkpoints that stand, in the order of stages and hosts."""
    found: dict[Key, dict[str, Any]] = {}
    for checkpoint in dicts(record.snapshot.get("checkpoints")):
        key = Key(str(checkpoint.get("stage", "")), str(checkpoint.get("host", "")))
        found[key] = checkpoint
    for key, changed in record.checkpoints.items():
        if changed is None:
            found.pop(key, None)
        else:
            found[key] = changed
    current = {Place(*key): _recorded(key, found[key]) for key in found}
    order = in_order({key.stage for key in found})
    keys = sorted(found, key=lambda key: (order.index(key.stage), key.host))
    return [_shown(key, found[key], record, staleness(Place(*key), current)) for key in keys]


def stages(record: Record, checkpoints: list[shape.Checkpoint]) -> list[shape.Stage]:
    """Return the stages that the playbook has or that were ever reached, in their order."""
    hosts: dict[str, dict[str, shape.StageHost]] = {stage: {} for stage in record.stages}
    for checkpoint in checkpoints:
        row = _reached(checkpoint)
        hosts.setdefault(checkpoint["stage"], {})[checkpoint["host"]] = row
    for stage, host in record.opened:
        if record.checkpoints.get(Key(stage, host), ...) is not None:
            hosts.setdefault(stage, {}).setdefault(host, _unreached(host, "open", None, None))
    for failed in record.failures:
        if failed.stage and failed.result.host in record.failed_hosts:
            since, until = moments.iso(failed.since), moments.iso(failed.result.time)
            row = _unreached(failed.result.host, "failed", since, until)
            hosts.setdefault(failed.stage, {})[failed.result.host] = row
    if hosts.get("dataxfer") and not hosts.get("window"):
        hosts.pop("window", None)  # live mode has none
    return [_stage(stage, [*hosts[stage].values()]) for stage in in_order(hosts)]


def dicts(value: Any) -> Iterable[dict[str, Any]]:
    """Yield the dictionaries of a list from outside; nothing if it is none."""
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _recorded(key: Key, checkpoint: dict[str, Any]) -> Recorded:
    """Return what `staleness` looks at."""
    requires = [
        Requirement(str(r.get("stage")), str(r.get("host")), str(r.get("digest")))
        for r in dicts(checkpoint.get("requires"))
    ]
    digest = str(checkpoint.get("digest"))
    return Recorded(key.stage, key.host, digest, "", {}, requires, {}, "", "", "")


def _shown(key: Key, checkpoint: dict[str, Any], record: Record, stale: str) -> shape.Checkpoint:
    started, finished = (moments.normal(checkpoint.get(at)) for at in ("started", "finished"))
    evidence = checkpoint.get("evidence")
    run_id = text(checkpoint.get("run_id"))
    return {
        "stage": key.stage,
        "host": key.host,
        "digest": text(checkpoint.get("digest")),
        "fingerprint": text(checkpoint.get("fingerprint")),
        "run_id": run_id,
        "started": started,
        "finished": finished,
        "elapsed_s": moments.span([started], [finished]),
        "this_run": run_id is not None and run_id == record.run_id,
        "stale": stale,
        "evidence": evidence if isinstance(evidence, dict) else {},
    }


def text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)


def _reached(checkpoint: shape.Checkpoint) -> shape.StageHost:
    return {
        "host": checkpoint["host"],
        "state": "stale" if checkpoint["stale"] else "reached",
        "this_run": checkpoint["this_run"],
        "started": checkpoint["started"],
        "finished": checkpoint["finished"],
        "elapsed_s": checkpoint["elapsed_s"],
        "digest": checkpoint["digest"],
    }


def _unreached(host: str, state: str, started: str | None, finished: str | None) -> shape.StageHost:
    return {
        "host": host,
        "state": state,
        "this_run": True,
        "started": started,
        "finished": finished,
        "elapsed_s": moments.span([started], [finished]),
        "digest": None,
    }


def _stage(stage: str, hosts: list[shape.StageHost]) -> shape.Stage:
    states = {host["state"] for host in hosts}
    started = [host["started"] for host in hosts]
    finished = [host["finished"] for host in hosts]
    return {
        "stage": stage,
        "state": next((state for state in WORST_FIRST if state in states), "pending"),
        "this_run": any(host["this_run"] for host in hosts),
        "started": min(filter(None, started), default=None),
        "finished": max(filter(None, finished), default=None),
        "elapsed_s": moments.span(started, finished),
        "hosts": sorted(hosts, key=lambda host: host["host"]),
    }
