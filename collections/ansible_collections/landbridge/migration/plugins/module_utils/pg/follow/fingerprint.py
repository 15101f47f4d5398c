# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has changed on the publisher since its snapshot that logical replication does not carry.

DDL leaves no trace that can be read later, so the catalog is remembered as it was: an object and a
digest of its properties. Counters of the server's own statistics tell of large objects and of
unlogged tables, whose contents would be too much to read each time. The memory is kept in the
subscriber, beside the copy that it is true of; the first one stays, also when a later epoch has
another snapshot.

A change that was made on the subscriber as well is none any more: nobody has to say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ..catalog import catalog
from ..catalog.catalog import Catalog, Key
from ..catalog.catalog_diff import Difference

if TYPE_CHECKING:
    from psycopg import Connection

    from .link import Link

# What following itself makes, and what is counted otherwise.
LEFT_OUT = frozenset({"publication", "subscription", "large objects"})
LEFT_OUT_PROPERTIES = frozenset({"replica identity"})

DIGITS = 12

# Rows that were ever inserted, updated or deleted, as far as the statistics go.
TOUCHED = """\
SELECT format('%I.%I', schemaname, s.relname), n_tup_ins + n_tup_upd + n_tup_del,
       pg_table_size(relid)
  FROM pg_stat_all_tables s JOIN pg_class c ON c.oid = relid
 WHERE relid IN ('pg_largeobject'::regclass, 'pg_largeobject_metadata'::regclass)
    OR (relpersistence = 'u' AND relkind = 'r' AND schemaname <> 'landbridge')"""

MEMORY = """\
CREATE SCHEMA IF NOT EXISTS landbridge;
CREATE TABLE IF NOT EXISTS landbridge.fingerprint (
    digest text PRIMARY KEY,
    taken timestamptz NOT NULL DEFAULT clock_timestamp(),
    content jsonb NOT NULL)"""
KEEP = """\
INSERT INTO landbridge.fingerprint (digest, content) VALUES (%s, %s::jsonb)
ON CONFLICT DO NOTHING"""
FORGET = "DELETE FROM landbridge.fingerprint WHERE digest = %s"
KEPT = "SELECT to_regclass('landbridge.fingerprint') IS NOT NULL"
RECALL = "SELECT content FROM landbridge.fingerprint WHERE digest = %s"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A catalog by its digests, and how often what is not followed was written to."""

    objects: Mapping[Key, str] = field(default_factory=dict)
    touched: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        objects = [[key.kind, list(key.names), digest] for key, digest in self.objects.items()]
        return json.dumps({"objects": objects, "touched": dict(self.touched)})


def from_json(content: Mapping[str, Any]) -> Fingerprint:
    objects = {Key(kind, tuple(names)): digest for kind, names, digest in content["objects"]}
    return Fingerprint(objects, content["touched"])


def of(found: Catalog, touched: Mapping[str, int]) -> Fingerprint:
    """Return the fingerprint of a catalog."""
    objects = {
        key: _digest(properties)
        for key, properties in found.objects.items()
        if key.kind not in LEFT_OUT
    }
    return Fingerprint(objects, touched)


def _digest(properties: Mapping[str, Any]) -> str:
    kept = {k: v for k, v in properties.items() if k not in LEFT_OUT_PROPERTIES}
    text = json.dumps(kept, sort_keys=True)
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:DIGITS]


def changed(before: Fingerprint, now: Fingerprint) -> dict[Key, str]:
    """Return the objects that were ``added``, ``dropped`` or ``changed`` since ``before``."""
    found: dict[Key, str] = {}
    for key in {*before.objects, *now.objects}:
        if key not in now.objects:
            found[key] = "dropped"
        elif key not in before.objects:
            found[key] = "added"
        elif before.objects[key] != now.objects[key]:
            found[key] = "changed"
    return found


def remaining(changes: Mapping[Key, str], differences: Iterable[Difference]) -> dict[Key, str]:
    """Return the changes that the other side does not have.

    :param differences: between both sides as they are now.
    """
    differing = {(each.kind, each.object) for each in differences if not each.note}
    return {key: how for key, how in changes.items() if (key.kind, key.name) in differing}


def words(changes: Mapping[Key, str]) -> list[str]:
    """Return changes as a person reads them, without what goes with an object that is named."""
    whole = {key.names: how for key, how in changes.items() if how in ("added", "dropped")}
    named = {key: how for key, how in changes.items() if not _goes_with(key, how, whole)}
    return sorted(f"{key} {how}" for key, how in named.items())


def _goes_with(key: Key, how: str, whole: Mapping[tuple[str, ...], str]) -> bool:
    return any(whole.get(key.names[:n]) == how for n in range(1, len(key.names)))


def touched_since(before: Fingerprint, now: Fingerprint) -> Sequence[str]:
    """Return what is not followed and was written to since ``before``, or may have been.

    Statistics that were reset count as a change: there is no telling.
    """
    return sorted(
        name for name, count in now.touched.items() if before.touched.get(name, 0) != count
    )


def take(publisher: Connection) -> Fingerprint:
    """Return the fingerprint of the connection's database, as its transaction sees it."""
    found = catalog.read(publisher)
    return of(found, {name: count for name, count, _size in read_touched(publisher)})


def read_touched(publisher: Connection) -> list[tuple[str, int, int]]:
    """Return what is not followed: how many of its rows were ever written, and its size."""
    return publisher.execute(TOUCHED.encode()).fetchall()


def keep(
    subscriber: Connection, link: Link, fingerprint: Fingerprint, *, anew: bool = False
) -> None:
    """Remember the publisher as it was at its snapshot, unless that is remembered already.

    :param anew: both sides are level now, such as before a crossing: forget what was before.
    """
    subscriber.execute(MEMORY.encode())
    if anew:
        subscriber.execute(FORGET, [link.digest])
    subscriber.execute(KEEP, [link.digest, fingerprint.to_json()])


def recall(subscriber: Connection, digest: str) -> Fingerprint | None:
    """Return what ``keep`` remembered of a direction, or None."""
    if not _one(subscriber, KEPT):
        return None
    content = _one(subscriber, RECALL, digest)
    return from_json(content) if content else None


def forget(subscriber: Connection, digest: str) -> None:
    """Drop what was remembered: a new copy of everything has a new snapshot."""
    if _one(subscriber, KEPT):
        subscriber.execute(FORGET, [digest])


def _one(conn: Connection, query: str, *values: object) -> Any:
    row = conn.execute(query.encode(), values or None).fetchone()
    return row[0] if row else None
