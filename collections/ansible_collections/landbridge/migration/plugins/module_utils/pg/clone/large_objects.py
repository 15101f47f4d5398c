# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Large objects: their bytes through the same pipe as rows, under their own OIDs, checksummed.

pg_largeobject itself is the superuser's. lo_get() reads what the role may read, and a piece at a
time, so that no object has to fit into memory. Owners and grants are set with everything else's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..text import literal
from .part import COPY, MB, Part, copy_cost_s

if TYPE_CHECKING:
    from psycopg import Connection

PIECE = 262144  # a multiple of the 2 kB a page of pg_largeobject holds
GROUP_BYTES = 64 * MB
GROUP_OBJECTS = 1000

# 262144 is INV_READ. The descriptor is closed row by row: it would last to the transaction's end.
SIZES = """\
SELECT oid, lo_lseek64(fd, 0, 2) AS bytes, lo_close(fd)
  FROM (SELECT oid, lo_open(oid, 262144) AS fd
          FROM pg_largeobject_metadata ORDER BY oid OFFSET 0) AS opened"""

COMMENTS = """\
SELECT objoid, description FROM pg_description WHERE classoid = 'pg_largeobject'::regclass"""


class LargeObject(NamedTuple):
    oid: int
    bytes: int


def read(conn: Connection) -> list[LargeObject]:
    """Return every large object and its size. The connection is in the snapshot's transaction."""
    return [LargeObject(oid, size) for oid, size, _unused in conn.execute(SIZES)]


def comments(conn: Connection) -> list[str]:
    """Return the statements that comment the large objects as this database has them."""
    return [
        f"COMMENT ON LARGE OBJECT {oid} IS {literal(text)}" for oid, text in conn.execute(COMMENTS)
    ]


def parts(objects: Sequence[LargeObject], server_version: int) -> Iterator[Part]:
    """Yield the parts that carry ``objects``; ``server_version`` is the source's."""
    for group in groups(objects):
        size = sum(each.bytes for each in group)
        yield Part(
            f"objects:{group[0].oid}",
            COPY,
            f"{len(group)} large objects, first {group[0].oid}",
            2 * copy_cost_s(size),
            payload=_payload(group, server_version),
            bytes=size,
        )


def _payload(group: Sequence[LargeObject], server_version: int) -> dict[str, object]:
    values = ", ".join(f"({each.oid}::oid, {each.bytes}::bigint)" for each in group)
    pieces = (
        f"(VALUES {values}) AS o (oid, size),"
        f" generate_series(0, greatest(size - 1, 0) / {PIECE}) AS piece"
    )
    data = f"lo_get(oid, piece * {PIECE}, {PIECE})"
    # sha256() came with 11; md5() is refused by builds that follow FIPS, but not by those of 10.
    sha = "sha256" if server_version >= 110000 else "decode(md5"
    shut = "" if server_version >= 110000 else ", 'hex')"
    each = f"{sha}(convert_to(oid || ':' || piece || ':', 'UTF8') || {data}){shut}"
    summed = f"string_agg({each}, ''::bytea ORDER BY oid, piece)"
    chunk = "pg_temp.landbridge_piece"
    return {
        "objects": [each.oid for each in group],
        "undo": [f"SELECT lo_unlink({each.oid})" for each in group],
        "rows_expected": None,
        "read": f"COPY (SELECT oid, piece, {data} FROM {pieces}) TO STDOUT",  # noqa: S608
        "before": [
            f"CREATE TEMP TABLE {chunk} (oid oid, piece bigint, data bytea) ON COMMIT DROP",
            *[f"SELECT lo_create({each.oid})" for each in group],
        ],
        "write": f"COPY {chunk} FROM STDIN",
        "after": [f"SELECT count(lo_put(oid, piece * {PIECE}, data)) FROM {chunk}"],  # noqa: S608
        "digest": f"SELECT encode({sha}({summed}){shut}, 'hex') AS digest FROM {pieces}",  # noqa: S608
    }


def groups(objects: Sequence[LargeObject]) -> Iterator[list[LargeObject]]:
    """Divide objects so that none of the groups but that of one object is large."""
    group: list[LargeObject] = []
    size = 0
    for each in objects:
        if group and (len(group) == GROUP_OBJECTS or size + each.bytes > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(each)
        size += each.bytes
    if group:
        yield group
