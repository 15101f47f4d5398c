# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal in its database. Every question is one statement: the server may be far away."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import lease
from .fingerprint import Requirement, canonical
from .records import Answer, Checkpoint, Decision, Opening, Place, Run, State, utc
from .snapshot import shown

if TYPE_CHECKING:
    import psycopg

STATE = """
SELECT
  (
    SELECT coalesce(json_agg(c), '[]')
    FROM (
      SELECT stage, host, digest, fingerprint, requires, run_id, started, finished,
        CASE WHEN stage = %(stage)s AND host = %(host)s THEN inputs ELSE '{}' END AS inputs,
        CASE WHEN stage = %(stage)s AND host = %(host)s THEN evidence ELSE '{}' END AS evidence
      FROM landbridge.checkpoint
      WHERE migration = %(migration)s AND superseded IS NULL
    ) c
  ),
  (
    SELECT row_to_json(o)
    FROM (
      SELECT stage, host, inputs, requires, started
      FROM landbridge.timing
      WHERE run_id = %(run_id)s AND stage = %(stage)s AND host = %(host)s AND finished IS NULL
      ORDER BY timing_id DESC
      LIMIT 1
    ) o
  ),
  (
    SELECT row_to_json(h)
    FROM (HOLDER) h (backend_pid, run_id, username, hostname, pid, process_started)
  ),
  EXISTS (SELECT FROM landbridge.run WHERE run_id = %(run_id)s AND finished IS NULL)
""".replace("HOLDER", lease.HOLDER)

BEGIN = """
INSERT INTO landbridge.timing (migration, run_id, stage, host, inputs, requires, started)
VALUES (%(migration)s, %(run_id)s, %(stage)s, %(host)s, %(inputs)s, %(requires)s, %(started)s)
"""
# Earlier proof gives way; later proof (a file brought in after it) does not.
SUPERSEDE = """
UPDATE landbridge.checkpoint
SET superseded = now(), superseded_why = %(why)s
WHERE migration = %(migration)s AND stage = %(stage)s AND host = %(host)s
  AND superseded IS NULL AND finished <= %(finished)s AND digest <> %(digest)s
"""
RECORD = """
INSERT INTO landbridge.checkpoint
  (migration, stage, host, digest, fingerprint, inputs, requires, evidence, run_id, started,
   finished, superseded, superseded_why)
SELECT %(migration)s, %(stage)s, %(host)s, %(digest)s, %(fingerprint)s, %(inputs)s, %(requires)s,
  %(evidence)s, %(run_id)s, %(started)s, %(finished)s,
  CASE WHEN later.it THEN now() END, CASE WHEN later.it THEN 'done again' END
FROM (
  SELECT EXISTS (
    SELECT FROM landbridge.checkpoint
    WHERE migration = %(migration)s AND stage = %(stage)s AND host = %(host)s
      AND superseded IS NULL
  ) AS it
) later
ON CONFLICT (digest) DO NOTHING
"""
FINISH = """
UPDATE landbridge.timing
SET finished = %(finished)s
WHERE run_id = %(run_id)s AND stage = %(stage)s AND host = %(host)s AND finished IS NULL
"""
FINISHED = """
INSERT INTO landbridge.timing
  (migration, run_id, stage, host, inputs, requires, started, finished)
SELECT %(migration)s, %(run_id)s, %(stage)s, %(host)s, %(inputs)s, %(requires)s, %(started)s,
  %(finished)s
WHERE NOT EXISTS (
  SELECT FROM landbridge.timing
  WHERE run_id = %(run_id)s AND stage = %(stage)s AND host = %(host)s AND started = %(started)s
)
"""
CLEAR = """
UPDATE landbridge.checkpoint
SET superseded = now(), superseded_why = %(why)s
WHERE migration = %(migration)s AND stage = %(stage)s AND host = %(host)s AND superseded IS NULL
"""
ANSWERS = """
SELECT DISTINCT ON (item) item, answer, how, text, note, evidence, answered_by, answered
FROM landbridge.answer
WHERE migration = %s
ORDER BY item, answer_id DESC
"""
ANSWER = """
INSERT INTO landbridge.answer
  (migration, item, answer, how, text, note, evidence, answered_by, answered, run_id)
VALUES (%(migration)s, %(item)s, %(answer)s, %(how)s, %(text)s, %(note)s, %(evidence)s,
        %(answered_by)s, %(answered)s, %(run_id)s)
"""
DECISIONS = """
SELECT digest, decision, how, parts, decided_by, decided
FROM landbridge.decision
WHERE migration = %s
ORDER BY decision_id DESC
LIMIT 50
"""
DECIDE = """
INSERT INTO landbridge.decision
  (migration, digest, decision, how, parts, decided_by, decided, run_id)
VALUES (%(migration)s, %(digest)s, %(decision)s, %(how)s, %(parts)s, %(decided_by)s,
        %(decided)s, %(run_id)s)
"""
PAST_RUN = """
INSERT INTO landbridge.run (run_id, migration, kind, username, hostname, pid, process_started)
VALUES (%(run_id)s, %(migration)s, %(kind)s, %(username)s, %(hostname)s, %(pid)s,
        %(process_started)s)
ON CONFLICT (run_id) DO NOTHING
"""
CLOSE = """
UPDATE landbridge.run
SET finished = now(), outcome = %(outcome)s
WHERE run_id = %(run_id)s AND finished IS NULL
"""
SNAPSHOT = """
SELECT json_build_object(
  'description', (SELECT description FROM landbridge.migration WHERE name = %(migration)s),
  'checkpoints', (
    SELECT coalesce(json_agg(c), '[]')
    FROM (
      SELECT stage, host, digest, fingerprint, inputs, requires, evidence, run_id, started,
        finished
      FROM landbridge.checkpoint
      WHERE migration = %(migration)s AND superseded IS NULL
      ORDER BY finished, checkpoint_id
    ) c
  ),
  'history', (
    SELECT coalesce(json_agg(c), '[]')
    FROM (
      SELECT stage, host, digest, run_id, started, finished, superseded, superseded_why
      FROM landbridge.checkpoint
      WHERE migration = %(migration)s AND superseded IS NOT NULL
      ORDER BY checkpoint_id DESC
      LIMIT 100
    ) c
  ),
  'runs', (
    SELECT coalesce(json_agg(r), '[]')
    FROM (
      SELECT run_id, kind, username, hostname, pid, process_started, started, finished, outcome
      FROM landbridge.run
      WHERE migration = %(migration)s
      ORDER BY started DESC
      LIMIT 20
    ) r
  ),
  'timings', (
    SELECT coalesce(json_agg(t), '[]')
    FROM (
      SELECT t.stage, t.host, r.kind, t.run_id, t.started, t.finished
      FROM landbridge.timing t
      JOIN landbridge.run r USING (run_id)
      JOIN landbridge.migration m ON m.name = t.migration
      WHERE %(migration)s IN (m.name, m.rehearsal_of) AND t.finished IS NOT NULL
      ORDER BY t.finished DESC
      LIMIT 300
    ) t
  ),
  'holder', (SELECT row_to_json(h) FROM (HOLDER) h (backend_pid, run_id, username, hostname, pid,
    process_started))
)
""".replace("HOLDER", lease.HOLDER)
MIGRATIONS = """
SELECT m.name, m.description, m.rehearsal_of, m.created,
  (SELECT max(started) FROM landbridge.run r WHERE r.migration = m.name) AS last_run
FROM landbridge.migration m
ORDER BY m.name
"""


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
        row = self._conn.execute(STATE, self._values(stage=stage, host=host, **self._key))
        checkpoints, opening, holder, begun = row.fetchone() or ([], None, None, False)
        return State(
            {(c := checkpoint_of(found)).place: c for found in checkpoints},
            opening and _opening_of(opening),
            self._lease(holder, begun),
        )

    def begin(self, opening: Opening) -> None:
        self._conn.execute(BEGIN, self._row(opening))

    def record(self, checkpoint: Checkpoint) -> None:
        self._record([checkpoint], FINISH)

    def bring(self, checkpoints: list[Checkpoint]) -> None:
        """Record what was reached before the journal was there; each once however often."""
        self._record(checkpoints, FINISHED)

    def _record(self, checkpoints: list[Checkpoint], timing: str) -> None:
        """Record checkpoints, oldest first, in one transaction."""
        with self._conn.transaction(), self._conn.pipeline():
            for checkpoint in checkpoints:
                values = {**self._row(checkpoint), "why": "done again"}
                for statement in (SUPERSEDE, RECORD, timing):
                    self._conn.execute(statement, values)

    def bring_runs(self, runs: list[Run]) -> None:
        """Write the rows of runs that were at work before the journal was there."""
        for run in runs:
            self._conn.execute(PAST_RUN, {**lease.row_of(run), "migration": self._migration})

    def clear(self, place: Place, reason: str) -> None:
        self._conn.execute(CLEAR, self._values(**place._asdict(), why=f"taken back: {reason}"))

    def answers(self) -> dict[str, Answer]:
        rows = self._conn.execute(ANSWERS, [self._migration]).fetchall()
        answers = [Answer(*map(_plain, row)) for row in rows]
        return {answer.item: answer for answer in answers}

    def answer(self, answers: list[Answer]) -> None:
        with self._conn.transaction(), self._conn.pipeline():
            for answer in answers:
                self._conn.execute(ANSWER, self._row(answer))

    def decisions(self) -> list[Decision]:
        """Return what was decided, the latest first."""
        rows = self._conn.execute(DECISIONS, [self._migration]).fetchall()
        return [Decision(*map(_plain, row)) for row in rows]

    def decide(self, decision: Decision) -> None:
        self._conn.execute(DECIDE, self._row(decision))

    def close(self, outcome: str) -> bool:
        """End this run and have its lease let go; return whether it was still under way."""
        ended = self._conn.execute(CLOSE, self._values(outcome=outcome)).rowcount
        self._conn.execute("SELECT pg_notify(%s, %s)", [lease.CHANNEL, self._run_id])
        return bool(ended)

    def snapshot(self) -> dict[str, Any]:
        row = self._conn.execute(SNAPSHOT, self._key).fetchone()
        found = row[0] if row else {}
        found["answers"] = list(self.answers().values())
        found["decisions"] = self.decisions()
        found["checkpoints"] = [checkpoint_of(c) for c in found["checkpoints"]]
        return {"journal": "present", **shown(self._migration, self._run_id, found)}

    def migrations(self) -> list[dict[str, Any]]:
        """Return every migration that the journal knows."""
        names = ("name", "description", "rehearsal_of", "created", "last_run")
        rows = self._conn.execute(MIGRATIONS).fetchall()
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

    def _lease(self, holder: dict[str, Any] | None, begun: bool) -> str:
        if holder is None:
            return "lost" if begun else "none"
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
