# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of pg_follow as a request, and what came of it as its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import PreconditionError
from ..clone import options as clone_options
from ..clone.progress import Progress
from .address import addresses_spec
from .applied import LSN
from .follow import Followed, follow, remove, stop
from .observed import LinkState
from .request import MB, Request

SHOWN = clone_options.SHOWN
STATES = ["following", "stopped", "absent"]


def argument_spec() -> dict[str, Any]:
    return {
        **clone_options.argument_spec(),
        "addresses": addresses_spec(),
        "state": {"type": "str", "default": "following", "choices": STATES},
        "insert_only": {"type": "list", "elements": "str", "default": []},
        "lag_bytes": {"type": "int", "default": 16 * MB},
        "lag_s": {"type": "float", "default": 1.0},
        "timeout": {"type": "float", "default": 3600.0},
        "skip_lsn": {"type": "str"},
    }


def request(params: Mapping[str, Any], *, check_mode: bool) -> Request:
    """Return what the options ask for. Raise PreconditionError for values of no use."""
    for name in ("lag_bytes", "lag_s", "timeout"):
        if params[name] <= 0:
            raise PreconditionError(f"{name} is {params[name]}; more than 0 is needed")
    if params["skip_lsn"] and not LSN.fullmatch(params["skip_lsn"]):
        raise PreconditionError(
            f"skip_lsn is {params['skip_lsn']}, which is no position such as 0/16B6C50"
        )
    copy = clone_options.request(params, check_mode=check_mode)
    return Request(
        copy.source, copy.target, params["addresses"] or {}, copy.role_map, copy.jobs,
        copy.small_sessions, copy.bin_dir, copy.adopt, frozenset(params["insert_only"]),
        params["lag_bytes"], params["lag_s"], params["timeout"], params["skip_lsn"], check_mode,
    )  # fmt: skip


def converge(asked: Request, state: str, progress: Progress) -> Followed:
    """Bring about a state of STATES."""
    if state == "following":
        return follow(asked, progress)
    return stop(asked) if state == "stopped" else remove(asked)


def result(followed: Followed) -> dict[str, Any]:
    """Return what RETURN documents."""
    copied = followed.copied
    return {
        "changed": followed.changed,
        "state": followed.state,
        "links": [_link(each, followed) for each in followed.found.links[:SHOWN]],
        "links_count": len(followed.found.links),
        "elapsed_s": round(copied.elapsed_s, 3) if copied else 0.0,
        "parts_count": copied.parts_count() if copied else 0,
        "parts_resumed": copied.resumed if copied else 0,
        "tables": copied.tables()[:SHOWN] if copied else [],
        "findings": followed.findings[:SHOWN],
        "findings_count": len(followed.findings),
        "evidence": _evidence(followed),
        "diff": {"before": followed.before, "after": followed.after},
    }


def _link(state: LinkState, followed: Followed) -> dict[str, Any]:
    slot = state.slot
    return {
        "name": state.link.name,
        "epoch": state.link.epoch,
        "tables_count": len(followed.found.whole.get(state.link.epoch, ())),
        "enabled": state.enabled,
        "active": bool(slot and slot.active),
        "lag_bytes": slot.lag_bytes if slot else None,
        "retained_bytes": slot.retained_bytes if slot else None,
    }


def _evidence(followed: Followed) -> dict[str, Any]:
    """Return the proof: what both sides counted when it was copied, and how far behind it is."""
    if followed.copied is None or followed.lag is None:
        return {}
    lag_s = followed.lag.lag_s
    return {
        **followed.copied.evidence,
        "epochs_count": len(followed.found.whole),
        "lag_bytes": followed.lag.lag_bytes,
        "lag_s": None if lag_s is None else round(lag_s, 3),
        "lag_readings": [{"s": round(s, 2), "bytes": size} for s, size in followed.lag.readings],
    }
