# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Figures of each database: from its checkpoints' evidence, and in more detail from this run.

Evidence is read by the names its modules use. What is not known by name is handed on as it is.
"""

from __future__ import annotations

from typing import Any

from . import moments, shape
from .checkpoints import dicts, text
from .record import Key, Record

MORE = ("tables", "tables_count", "rows", "bytes", "elapsed_s", "parts_resumed")  # than evidence
Checkpoints = dict[Key, shape.Checkpoint]


def collect(record: Record, checkpoints: list[shape.Checkpoint]) -> list[shape.Database]:
    """Return every host that was copied or compared, by name."""
    by_key = {Key(c["stage"], c["host"]): c for c in checkpoints}
    hosts = {key.host for key in by_key if key.stage in ("dataxfer", "verify")}
    hosts |= {
        key.host for key in record.told if key.stage in ("pg_clone", "pg_follow", "pg_verify")
    }
    return [_database(host, record, by_key) for host in sorted(hosts)]


def _database(host: str, record: Record, checkpoints: Checkpoints) -> shape.Database:
    copier = "pg_follow" if Key("pg_follow", host) in record.told else "pg_clone"
    copy = _known("dataxfer", copier, host, record, checkpoints)
    compared = _known("verify", "pg_verify", host, record, checkpoints)
    tables = [_table(table) for table in dicts(copy.pop("tables", None))][: shape.LISTED]
    lag = [_reading(each) for each in dicts(copy.pop("lag_readings", None))][: shape.LISTED]
    rows, size, took = whole(copy, "rows"), whole(copy, "bytes"), number(copy, "elapsed_s")
    tables_count = whole(copy, "tables_count")
    return {
        "host": host,
        "rows": rows if rows is not None else whole(compared, "rows"),
        "bytes": size,
        "seconds": took,
        "bytes_per_s": _rate(size, took),
        "tables_count": tables_count if tables_count is not None else (len(tables) or None),
        "tables": tables,
        "verified": _verified(host, compared, checkpoints),
        "window_s": _window_s(host, checkpoints),
        "lag": lag,
        "crossing": _crossing(checkpoints.get(Key("cutover", host))),
        "transfer": copy,
        "verification": compared,
    }


def _known(
    stage: str, module: str, host: str, record: Record, checkpoints: Checkpoints
) -> dict[str, Any]:
    """Return the evidence, completed by what this run's module told beside it."""
    checkpoint = checkpoints.get(Key(stage, host))
    evidence = dict(checkpoint["evidence"]) if checkpoint else {}
    told = record.told.get(Key(module, host), {})
    own = told.get("evidence")
    if isinstance(own, dict) and (not checkpoint or _within(own, evidence)):
        again = told.get("changed") is False  # it was all there: no time to copy it
        keys = [key for key in MORE if key in told and not (again and key == "elapsed_s")]
        evidence = {**own, **{key: told[key] for key in keys}, **evidence}
    if checkpoint:
        evidence.setdefault("elapsed_s", checkpoint["elapsed_s"])
    return evidence


def _within(own: dict[str, Any], evidence: dict[str, Any]) -> bool:
    """Tell if the checkpoint was set with what the module told, and perhaps with more."""
    return all(evidence.get(key, ...) == value for key, value in own.items())


def _table(table: dict[str, Any]) -> shape.Table:
    size, took = whole(table, "bytes"), number(table, "seconds")
    return {
        "name": str(table.get("name", "")),
        "rows": whole(table, "rows"),
        "bytes": size,
        "seconds": took,
        "bytes_per_s": _rate(size, took),
    }


def _verified(host: str, compared: dict[str, Any], checkpoints: Checkpoints) -> bool | None:
    """Return whether source and target were found equal; None if nobody compared, or since then
    the data was copied again."""
    if not compared:
        return None
    if compared.get("equal") is False or differences(compared):
        return False
    checkpoint = checkpoints.get(Key("verify", host))
    return True if checkpoint and not checkpoint["stale"] else None


def differences(compared: dict[str, Any]) -> int:
    """Return how many differences a verification's evidence names, whatever they are of."""
    count = 0
    for key, value in compared.items():
        if "differ" in key and isinstance(value, list | dict):
            count += len(value)
        elif "differ" in key and isinstance(value, int):
            count += value
        elif isinstance(value, dict):
            count += differences(value)
    return count


def _reading(reading: dict[str, Any]) -> shape.LagReading:
    return {"s": number(reading, "s") or 0.0, "bytes": whole(reading, "bytes") or 0}


def _crossing(cutover: shape.Checkpoint | None) -> shape.Crossing | None:
    evidence = cutover["evidence"] if cutover else {}
    if (stall_ms := number(evidence, "stall_ms")) is None:
        return None
    steps = [*dicts(evidence.get("timings"))][: shape.LISTED]
    return {
        "stall_ms": stall_ms,
        "steps": [{"step": str(s.get("step", "")), "ms": number(s, "ms") or 0.0} for s in steps],
        "way_back": text(evidence.get("way_back")),
    }


def _window_s(host: str, checkpoints: Checkpoints) -> float | None:
    """Return for how long writers were shut out: from the window's start to the cutover's end.

    In live mode it is the crossing's stall, in which they wait and meet no error.
    """
    window, cutover = (checkpoints.get(Key(stage, host)) for stage in ("window", "cutover"))
    if crossing := _crossing(cutover):
        return crossing["stall_ms"] / 1000
    if not window or not cutover:
        return None
    said = number(cutover["evidence"], "window_s")
    return said if said is not None else moments.span([window["started"]], [cutover["finished"]])


def _rate(size: int | None, took: float | None) -> float | None:
    return round(size / took) if size and took else None


def number(found: dict[str, Any], key: str) -> float | None:
    value = found.get(key)
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if usable and value is not None else None


def whole(found: dict[str, Any], key: str) -> int | None:
    value = number(found, key)
    return None if value is None else int(value)
