# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Objects of the source that do not survive, or only in another way: what to say of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..finding import Finding, Severity
from .audit_facts import Facts

NAMED = 5  # objects in one finding


class Text(NamedTuple):
    """A hazard's severity and words. ``{user}`` is the role that Landbridge connects as."""

    severity: Severity
    message: str
    remedy: str


HAZARDS: Mapping[str, Text] = {
    "prepared_transaction": Text(
        "blocker",
        "is prepared and not ended: it holds locks, and its rows are in no snapshot",
        "Run COMMIT PREPARED or ROLLBACK PREPARED with that name.",
    ),
    "unreadable": Text(
        "blocker",
        "may not be read by {user}",
        'Run GRANT SELECT and, for its schema, GRANT USAGE to "{user}"; from Postgres 14 on'
        ' GRANT pg_read_all_data TO "{user}" gives all of it.',
    ),
    "row_security": Text(
        "blocker",
        "has row security that would hide rows from {user}",
        'Run ALTER ROLE "{user}" BYPASSRLS, or make {user} a member of the owner and switch FORCE'
        " ROW LEVEL SECURITY off for the migration.",
    ),
    "unreadable_large_objects": Text(
        "blocker",
        "large objects may not be read by {user}",
        'GRANT their owners to "{user}".',
    ),
    "needs_superuser": Text(
        "blocker",
        "can only be made by a superuser",
        "Replace it, or have it made on the target by an extension of the provider.",
    ),
    "event_trigger": Text(
        "warning",
        "is an event trigger, which needs a superuser or a role of the provider",
        "Make it by hand on the target, or drop it.",
    ),
    "publication": Text("note", "is a publication, which is not copied", "Make it again."),
    "subscription": Text(
        "warning",
        "is a subscription: this database also receives rows from elsewhere",
        "Disable it for the migration and make it again on the target.",
    ),
    "logical_slot": Text(
        "warning",
        "is a logical slot: something reads this database's changes",
        "Have its consumer take a new snapshot and slot on the target.",
    ),
    "user_mapping": Text(
        "warning",
        "is a user mapping, whose password is not copied",
        "Run CREATE USER MAPPING on the target.",
    ),
    "tablespace": Text(
        "note", "lies in a tablespace; on the target it lies in the database's own", ""
    ),
    "security_label": Text("note", "has a security label, which needs its provider's module", ""),
    "reserved_schema": Text(
        "warning",
        "is where Landbridge keeps its own tables: what it holds on the source is not copied",
        "Rename it if it is yours; drop it if an earlier migration left it.",
    ),
    "invalid_index": Text(
        "note", "is an invalid index and is not copied", "Drop it, or run REINDEX."
    ),
    "not_validated": Text("note", "is NOT VALID on the source, and stays so", ""),
    "unlogged": Text("note", "is unlogged: it is copied in the window, never followed", ""),
    "removed_type": Text(
        "blocker",
        "has a type that Postgres 12 no longer has",
        "Run ALTER TABLE … ALTER … TYPE timestamptz or interval.",
    ),
    "with_oids": Text(
        "blocker",
        "was made WITH OIDS, which Postgres 12 no longer has",
        "Run ALTER TABLE … SET WITHOUT OIDS, after making a column if the values matter.",
    ),
    "no_identity": Text(
        "warning",
        "has no primary key: REPLICA IDENTITY FULL will be set, and updates on the target read all"
        " of it",
        "Add a primary key, or choose landbridge_mode: window.",
    ),
    "no_identity_type": Text(
        "blocker",
        "has no primary key, and a column such as json, xml or point whose values cannot be"
        " compared: its updates cannot be followed",
        "Add a primary key, or choose landbridge_mode: window.",
    ),
    "identity_by_index": Text(
        "note", "has no usable primary key: one of its unique indexes will identify its rows", ""
    ),
    "generated_identity": Text(
        "blocker",
        "is identified by a generated column, which is not replicated",
        "Add a unique index on other columns that are NOT NULL, or choose landbridge_mode: window.",
    ),
    "unsent_identity": Text(
        "blocker",
        "would be identified by the whole row, a generated column in it: from Postgres 18 on the"
        " source refuses its updates then",
        "Add a primary key and set REPLICA IDENTITY DEFAULT, or choose landbridge_mode: window.",
    ),
    "not_owned": Text(
        "blocker",
        "may not be published by {user}, who is no member of the owner",
        'GRANT the owners to "{user}".',
    ),
    "unlogged_not_followed": Text(
        "warning",
        "is unlogged and is not followed: what is written to it after the copy stays behind",
        "Nothing, if it can be made anew; else choose landbridge_mode: window.",
    ),
    "large_objects_not_followed": Text(
        "warning",
        "large objects are not followed: what is written to them after the copy stays behind",
        "Choose landbridge_mode: window, unless nothing changes them meanwhile.",
    ),
    "extension_rows": Text(
        "warning",
        "holds rows of an extension's and is not followed: what is written to it after the copy"
        " stays behind",
        "Change nothing there while the database is followed.",
    ),
    "matview_not_followed": Text(
        "note",
        "is a materialized view: it is copied as it is, its later refreshes are not followed",
        "Run REFRESH MATERIALIZED VIEW on the target.",
    ),
    "trigger_fires": Text(
        "warning",
        "is ENABLE ALWAYS or REPLICA: it fires on the target for every row that arrives, beside"
        " what it wrote on the source",
        "Run ALTER TABLE … ENABLE TRIGGER, unless it must fire there.",
    ),
    "prepared_elsewhere": Text(
        "warning",
        "is prepared and not ended: following begins when it has",
        "Run COMMIT PREPARED or ROLLBACK PREPARED in its database.",
    ),
    "long_transaction": Text(
        "warning",
        "has been in a transaction for more than a minute: following begins when it has ended",
        "Wait, or end it with pg_terminate_backend().",
    ),
    "sequence_near_end": Text(
        "warning",
        "has given out nine tenths of its values",
        "Run ALTER SEQUENCE … AS bigint, and its column too.",
    ),
}


def findings(source: Facts) -> Iterator[Finding]:
    """Return a finding for each kind of odd object that the source has."""
    by_code: dict[str, list[str]] = {}
    for code, name in source.hazards:
        by_code.setdefault(code, []).append(name)
    for code, names in by_code.items():
        text = HAZARDS[code]
        user = source.server.user
        message = f"source: {several(names)} {text.message.format(user=user)}"
        yield Finding(code, text.severity, several(names), message, text.remedy.format(user=user))


def several(names: Iterable[str]) -> str:
    """Return the first of ``names`` and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - NAMED} more" if len(ordered) > NAMED else ""
    return ", ".join(ordered[:NAMED]) + more
