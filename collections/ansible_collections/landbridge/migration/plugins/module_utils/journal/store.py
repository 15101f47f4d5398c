# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal in its database. Every question is one statement: the server may be far away."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import lease
from . import statements as sql
from .fingerprint import Requirement, canonical
from .records import Answer, Checkpoint, Decision, Opening, Place, Run, State, utc
from .snapshot import shown

if TYPE_CHECKING:
    import psycopg


class Store:
    """The journal of one migration, as one run sees it.

    store = Store(conn, "acme", run_id)
    store.state(Place("dataxfer", "shop")).current
    """

    present = True

    def __init__(self, conn: psycopg.Connection, migration: str, run_id: str) -> None:
        self._conn = conn
        self._migration = migration
        self._run_id = run_id

    def state(self, place: Place | None = None) -> State:
        stage, host = place or Place("", "")
        row = self._conn.execute(sql.STATE, self._values(stage=stage, host=host, **self._key))
        checkpoints, opening, holder, outcome = row.fetchone() or ([], None, None, None)
        return State(
            {(c := checkpoint_of(found)).place: c for found in checkpoints},
            opening and _opening_of(opening),
            self._lease(holder, outcome),
        )

    def begin(self, opening: Opening) -> None:
        self._conn.execute(sql.BEGIN, self._row(opening))

    def record(self, checkpoint: Checkpoint) -> None:
        self._record([checkpoint], sql.FINISH, now=True)

    def bring(self, checkpoints: list[Checkpoint]) -> None:
        """Record what was reached before the journal was there; each once however often."""
        self._record(checkpoints, sql.FINISHED, now=False)

    def _record(self, checkpoints: list[Checkpoint], timing: str, *, now: bool) -> None:
        """Record checkpoints, oldest first, in one transaction."""
        with self._conn.transaction(), self._conn.pipeline():
            for checkpoint in checkpoints:
                values = {**self._row(checkpoint), "why": "done again", "now": now}
                for statement in (sql.SUPERSEDE, sql.RECORD, timing):
                    self._conn.execute(statement, values)

    def bring_runs(self, runs: list[Run]) -> None:
        """Write the rows of runs that were at work before the journal was there."""
        for run in runs:
            self._conn.execute(sql.PAST_RUN, {**lease.row_of(run), "migration": self._migration})

    def clear(self, place: Place, reason: str) -> None:
        self._conn.execute(sql.CLEAR, self._values(**place._asdict(), why=f"taken back: {reason}"))

    def answers(self) -> dict[str, Answer]:
        rows = self._conn.execute(sql.ANSWERS, [self._migration]).fetchall()
        answers = [Answer(*map(_plain, row)) for row in rows]
        return {answer.item: answer for answer in answers}

    def answer(self, answers: list[Answer]) -> None:
        with self._conn.transaction(), self._conn.pipeline():
            for answer in answers:
                self._conn.execute(sql.ANSWER, self._row(answer))

    def decisions(self) -> list[Decision]:
        """Return what was decided, the latest first."""
        rows = self._conn.execute(sql.DECISIONS, [self._migration]).fetchall()
        return [Decision(*map(_plain, row)) for row in rows]

    def decide(self, decision: Decision) -> None:
        self._conn.execute(sql.DECIDE, self._row(decision))

    def close(self, outcome: str) -> bool:
        """End this run and have its lease let go; return whether it was still under way."""
        ended = self._conn.execute(sql.CLOSE, self._values(outcome=outcome)).rowcount
        self._conn.execute("SELECT pg_notify(%s, %s)", [lease.CHANNEL, self._run_id])
        return bool(ended)

    def snapshot(self) -> dict[str, Any]:
        row = self._conn.execute(sql.SNAPSHOT, self._key).fetchone()
        found = row[0] if row else {}
        found["answers"] = list(self.answers().values())
        found["decisions"] = self.decisions()
        found["checkpoints"] = [checkpoint_of(c) for c in found["checkpoints"]]
        return {"journal": "present", **shown(self._migration, self._run_id, found)}

    def migrations(self) -> list[dict[str, Any]]:
        """Return every migration that the journal knows."""
        names = ("name", "description", "rehearsal_of", "created", "last_run")
        rows = self._conn.execute(sql.MIGRATIONS).fetchall()
        return [dict(zip(names, map(_plain, row), strict=True)) for row in rows]

    @property
    def _key(self) -> dict[str, Any]:
        return {"migration": self._migration, "key": lease.lock_key(self._migration)}

    def _values(self, **more: Any) -> dict[str, Any]:
        return {"migration": self._migration, "run_id": self._run_id, **more}

    def _row(self, record: Checkpoint | Opening | Answer | Decision) -> dict[str, Any]:
        values = {name: getattr(record, name) for name in record.__dataclass_fields__}
        for name in ("inputs", "requires", "evidence", "parts"):
            if name in values:
                values[name] = canonical(values[name])
        return self._values(**values) if "run_id" not in values else self._values() | values

    def _lease(self, holder: dict[str, Any] | None, outcome: str | None) -> str:
        if holder is None:
            return {"under way": "lost", "lost": lease.OVERTAKEN}.get(outcome or "", "none")
        if holder["run_id"] == self._run_id:
            return "mine"
        started = holder["process_started"]
        who = lease.Holder(**{**holder, "process_started": started and time_of(started)})
        return lease.refusal(self._migration, who)


def checkpoint_of(row: dict[str, Any]) -> Checkpoint:
    """Return a checkpoint from its JSON."""
    return Checkpoint(
        row["stage"],
        row["host"],
        row["digest"],
        row["fingerprint"],
        row["inputs"],
        [Requirement(*requirement) for requirement in row["requires"]],
        row["evidence"],
        row["run_id"],
        time_of(row["started"]),
        time_of(row["finished"]),
    )


def time_of(text: str) -> str:
    """Return a time as Postgres puts it into JSON in our form."""
    return utc(datetime.fromisoformat(text))


def _opening_of(row: dict[str, Any]) -> Opening:
    requires = [Requirement(*requirement) for requirement in row["requires"]]
    return Opening(row["stage"], row["host"], row["inputs"], requires, time_of(row["started"]))


def _plain(value: Any) -> Any:
    return utc(value) if isinstance(value, datetime) else value
