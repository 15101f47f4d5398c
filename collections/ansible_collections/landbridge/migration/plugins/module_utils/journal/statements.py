# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal's SQL."""

from __future__ import annotations

from . import lease

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
  (SELECT coalesce(outcome, 'under way') FROM landbridge.run WHERE run_id = %(run_id)s)
""".replace("HOLDER", lease.HOLDER)

BEGIN = """
INSERT INTO landbridge.timing (migration, run_id, stage, host, inputs, requires, started)
SELECT %(migration)s, %(run_id)s, %(stage)s, %(host)s, %(inputs)s, %(requires)s, %(started)s
WHERE NOT EXISTS (
  SELECT FROM landbridge.timing
  WHERE run_id = %(run_id)s AND stage = %(stage)s AND host = %(host)s AND started = %(started)s
)
"""
# Proof given now replaces what there is, whatever the clocks of two control nodes say. Proof that
# is brought in from a file does not replace proof that was given after it.
SUPERSEDE = """
UPDATE landbridge.checkpoint
SET superseded = now(), superseded_why = %(why)s
WHERE migration = %(migration)s AND stage = %(stage)s AND host = %(host)s
  AND superseded IS NULL AND digest <> %(digest)s
  AND (%(now)s OR finished <= %(finished)s)
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
