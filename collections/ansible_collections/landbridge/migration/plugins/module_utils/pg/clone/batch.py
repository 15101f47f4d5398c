# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copy many small tables in one transaction: one query on each side, whatever their number.

Each COPY still costs one round trip, because libpq sends rows only after the server has asked
for them; sessions side by side hide that. Rows pass through here in the wire's form, a few
kilobytes at a time. psycopg's own waits (get_result and get_copy_data that block) hold every
other thread back, so this waits by itself.
"""

from __future__ import annotations

import json
import re
import select
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Any

from ...errors import NotConvergedError, PostgresError
from ..connection import HINTS, RETRYABLE_SQLSTATES
from .copy import POLL_S, Stopped, search_path
from .part import Part
from .queue import Outcome, claim, finish
from .statements import READ_PROBLEMS, try_each

try:
    from psycopg.pq import DiagnosticField, ExecStatus
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.pq.abc import PGconn, PGresult

CHUNK = 65536


def source_query(tables: Sequence[Mapping[str, Any]]) -> str:
    """Return the query that sends every table that has rows, one after the other."""
    return "".join(f"COPY {_target(table)} TO STDOUT;" for table in tables if table["copy"])


def target_query(part: Part) -> str:
    """Return the query that makes, fills and finishes every table, all but the commit."""
    tables = part.payload["tables"]
    pieces = ["BEGIN", claim(part), *search_path(part)]
    tolerant = part.payload.get("tolerant", False)
    for table in tables:
        pieces += _filled(table)
        pieces += [] if tolerant else table["after"]
    if tolerant:
        after = [statement for table in tables for statement in table["after"]]
        pieces.append(try_each(after, ("", part.payload["path"])))
    analyzed = ", ".join(table["target"] for table in tables)
    return ";\n".join([*pieces, f"ANALYZE {analyzed};"])


def _filled(table: Mapping[str, Any]) -> list[str]:
    """Return what makes and fills a table. No FREEZE: its visibility map is one file more."""
    create = table["create"]
    pieces = list(create) if create is not None else []
    if table["copy"]:
        if create is None:  # when it is done again, its rows are still there
            pieces.append(f"TRUNCATE ONLY {table['target']}")
        pieces.append(f"COPY {_target(table)} FROM STDIN")
    return pieces


def _target(table: Mapping[str, Any]) -> str:
    columns = ", ".join(table["columns"])
    return f"{table['target']} ({columns})" if columns else str(table["target"])


def copy(part: Part, source: Connection, target: Connection, stop: Event) -> Outcome:
    """Copy a batch and commit it. Raise PostgresError or NotConvergedError; then nothing is.

    After an error both connections are of no more use.
    """
    started = time.monotonic()
    tables = [table for table in part.payload["tables"] if table["copy"]]
    sending = _Side("source", part, source.pgconn, stop)
    taking = _Side("target", part, target.pgconn, stop)
    if tables:
        sending.send(source_query(tables))
    taking.send(target_query(part))
    sent, taken = _stream(sending, taking, bool(tables))
    if len(taken) != len(tables) or sent != taken:
        raise NotConvergedError(f"{part.label}: the source sent other rows than the target took")
    rows = {str(table["oid"]): count for table, count in zip(tables, taken, strict=True)}
    rows = {str(table["oid"]): rows.get(str(table["oid"]), 0) for table in part.payload["tables"]}
    outcome = Outcome(sum(taken), time.monotonic() - started, rows)
    problems = READ_PROBLEMS if part.payload.get("tolerant") else "'[]'::jsonb"
    mark = finish(part.id, outcome, problems=problems)
    taking.send(f"SELECT {problems}; {mark}; COMMIT;")
    found: list[Mapping[str, str]] = []
    while (result := taking.result()) is not None:
        if result.ntuples:
            found = json.loads(result.get_value(0, 0) or b"[]")
    return replace(outcome, problems=found)


def _stream(sending: _Side, taking: _Side, has_rows: bool) -> tuple[list[int], list[int]]:
    """Carry rows until the target has answered everything. Return both sides' counts."""
    sent: list[int] = []
    taken: list[int] = []
    while (result := taking.result()) is not None:
        if result.status == ExecStatus.COPY_IN:
            _carry(sending, taking)
            sent.append(_count(sending.result()))
        elif (count := _count(result)) >= 0:
            taken.append(count)
    while has_rows and sending.result() is not None:
        pass
    return sent, taken


def _carry(sending: _Side, taking: _Side) -> None:
    """Carry one table's rows."""
    sending.expect_copy()
    chunk = bytearray()
    while (row := sending.row()) is not None:
        chunk += row
        if len(chunk) >= CHUNK:
            taking.put(bytes(chunk))
            chunk.clear()
    if chunk:
        taking.put(bytes(chunk))
    taking.put_end()


def _count(result: PGresult | None) -> int:
    """Return the rows of a finished COPY, -1 for anything else."""
    found = re.match(rb"COPY (\d+)", (result and result.command_status) or b"")
    return int(found[1]) if found else -1


class _Side:
    """One connection, waited for without holding other threads back."""

    def __init__(self, side: str, part: Part, pgconn: PGconn, stop: Event) -> None:
        self.side = side
        self._part = part
        self._pgconn = pgconn
        self._stop = stop
        self._poll = select.poll()
        pgconn.nonblocking = 1

    def send(self, query: str) -> None:
        self._pgconn.send_query(query.encode(errors="surrogateescape"))
        self._flush()

    def result(self) -> PGresult | None:
        """Return the next result; None when the query is over. Raise PostgresError on errors."""
        while self._pgconn.is_busy():
            self._wait(select.POLLIN)
        result = self._pgconn.get_result()
        if result is not None and result.status == ExecStatus.FATAL_ERROR:
            raise self._error(result)
        return result

    def expect_copy(self) -> None:
        result = self.result()
        if result is None or result.status != ExecStatus.COPY_OUT:
            raise NotConvergedError(f"{self.side}: {self._part.label}: no rows came")

    def row(self) -> memoryview | bytes | None:
        """Return the next row of a COPY; None after the last."""
        while True:
            size, data = self._pgconn.get_copy_data(1)
            if size > 0:
                return data
            if size < 0:
                return None
            self._wait(select.POLLIN)

    def put(self, chunk: bytes) -> None:
        self._pgconn.put_copy_data(chunk)
        self._flush()

    def put_end(self) -> None:
        self._pgconn.put_copy_end()
        self._flush()

    def _flush(self) -> None:
        # libpq, section 32.4: while it cannot send all, read too, or both ends wait for ever.
        while self._pgconn.flush():
            self._wait(select.POLLIN | select.POLLOUT)

    def _wait(self, events: int) -> None:
        self._poll.register(self._pgconn.socket, events)
        while not (ready := self._poll.poll(POLL_S * 1000)):
            if self._stop.is_set():
                raise Stopped("given up")
        if any(event & ~select.POLLOUT for _unused, event in ready):
            self._pgconn.consume_input()

    def _error(self, result: PGresult) -> PostgresError:
        def field(name: DiagnosticField) -> str:
            return (result.error_field(name) or b"").decode(errors="replace")

        sqlstate = field(DiagnosticField.SQLSTATE) or None
        message = field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message.decode(
            errors="replace"
        )
        table = field(DiagnosticField.TABLE_NAME)
        where = f"{self._part.label}{f', {table}' if table else ''}"
        return PostgresError(
            f"{self.side}: {where}: {message.strip()}",
            retryable=sqlstate is None or sqlstate in RETRYABLE_SQLSTATES,
            hint=HINTS.get(sqlstate or "", ""),
            sqlstate=sqlstate,
        )
