# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What endangers a link, or keeps a database from crossing now, each with its remedy. Pure.

A ``blocker`` keeps the gate closed; a ``warning`` is for a person to judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..audit.audit_hazards import several
from ..finding import Finding, Severity
from . import link_guards
from .watched import AGAIN, MB, Watched, blocker

OLD_XIDS = 1_200_000_000


def guards(watched: Watched) -> list[Finding]:
    """Return everything worth telling, what keeps the gate closed first."""
    if not watched.names:
        side, other = watched.sides
        message = f"{other}: nothing follows the {side}"
        return [blocker("not_following", side, message, "Run dataxfer.")]
    found = [
        *link_guards.findings(watched),
        *_lag(watched),
        *_definitions(watched),
        *_not_followed(watched),
        *_transactions(watched),
        *_numbers(watched),
        *_sessions(watched),
    ]
    order = {"blocker": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda each: (order[each.severity], each.code, each.object))


def _lag(watched: Watched) -> Iterator[Finding]:
    found, limits, other = watched.lag, watched.limits, watched.sides[1]
    if found is None:
        return
    old = found.seconds is not None and found.seconds > limits.lag_s and found.bytes > MB
    if found.bytes <= limits.lag_bytes and not old:
        return
    behind = f"{found.bytes / MB:.1f} MB"
    if found.seconds is not None:
        behind += f" and {found.seconds:.1f} s"
    if found.trend == "falling":
        remedy = f"Wait: at this rate about {found.eta_s or 0:.0f} s."
    else:
        remedy = (
            "Give the subscriber more processors or a faster disk, write less, or see what its"
            " worker waits for."
        )
    yield blocker("lag", "lag", f"{other}: is {behind} behind, and that is {found.trend}", remedy)


def _definitions(watched: Watched) -> Iterator[Finding]:
    side, other = watched.sides
    if watched.ddl is None:
        yield Finding(
            "not_fingerprinted",
            "warning",
            side,
            f"{side}: how the database was defined when it was copied is not known",
            "The catalogs' comparison in verify tells what differs.",
        )
    elif watched.ddl:
        yield blocker(
            "ddl",
            several(watched.ddl),
            f"{side}: changed since the snapshot, and not on the {other}: {several(watched.ddl)}",
            f"Make the same change on the {other}, or take it back.",
        )
    if tables := watched.publisher.unpublished:
        yield blocker(
            "not_published",
            several(tables),
            f"{side}: not followed: {several(tables)}",
            f"Make it on the {other}, too, if it is new. " + AGAIN,
        )


def _not_followed(watched: Watched) -> Iterator[Finding]:
    if not watched.touched:
        return
    small = sum(watched.touched.values()) <= watched.limits.carried_bytes
    size = sum(watched.touched.values()) / MB
    remedy = (
        "The crossing copies it again, as it is small."
        if small
        else "Choose landbridge_mode: window for this database, or keep it unchanged and copy again"
        " (pg_follow state: absent, then following)."
    )
    yield Finding(
        "not_followed_changed",
        "warning" if small else "blocker",
        several(watched.touched),
        f"{watched.sides[0]}: written to since the snapshot, and not carried by replication:"
        f" {several(watched.touched)} ({size:.1f} MB)",
        remedy,
    )


TRANSACTIONS: Mapping[str, tuple[Severity, str, str]] = {
    "prepared_here": (
        "blocker",
        "prepared and not ended, so a crossing would leave it behind",
        "Run COMMIT PREPARED or ROLLBACK PREPARED with that name.",
    ),
    "long_transaction": (
        "warning",
        "in a transaction for long, and a pause waits for it",
        "Wait until it has ended, or end it with pg_terminate_backend().",
    ),
    "prepared_elsewhere": (
        "warning",
        "prepared and not ended, which holds back a new slot",
        "Run COMMIT PREPARED or ROLLBACK PREPARED in its database.",
    ),
}


def _transactions(watched: Watched) -> Iterator[Finding]:
    for kind, (severity, message, remedy) in TRANSACTIONS.items():
        if names := [each.object for each in watched.publisher.delaying if each.kind == kind]:
            shown = several(names)
            yield Finding(kind, severity, shown, f"{watched.sides[0]}: {shown}: {message}", remedy)


def _numbers(watched: Watched) -> Iterator[Finding]:
    side, publisher = watched.sides[0], watched.publisher
    if names := publisher.near_end:
        yield Finding(
            "sequence_near_end",
            "warning",
            several(names),
            f"{side}: {several(names)}: nine tenths of the values are given out",
            "Run ALTER SEQUENCE … AS bigint, and its column too, on both sides.",
        )
    if publisher.xid_age > OLD_XIDS:
        yield Finding(
            "xid_age",
            "warning",
            side,
            f"{side}: the oldest row version is {publisher.xid_age} transactions old, and the slot"
            " keeps the catalogs from being cleaned",
            "Cross soon, or run VACUUM FREEZE.",
        )


SESSIONS = {
    "listen": "listens to a channel",
    "advisory_lock": "holds an advisory lock",
    "temporary_table": "is a temporary table",
}


def _sessions(watched: Watched) -> Iterator[Finding]:
    for kind, words in SESSIONS.items():
        if names := {each.object for each in watched.publisher.sessions if each.kind == kind}:
            yield Finding(
                f"session_{kind}",
                "warning",
                several(names),
                f"{watched.sides[0]}: {several(names)} {words}: that stays behind with its session",
                "See that the application makes it again on a new connection.",
            )
