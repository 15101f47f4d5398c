# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Questions a database must answer as expected: smoke tests and checklists.

Each runs in a read-only transaction of its own, so that a question cannot change its answer and
one that fails does not take the rest with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection


class Question(NamedTuple):
    """A query whose first column of its first row, as text, is the answer.

    :param expected: the answer that counts; None: any row whose answer is not false.
    """

    name: str
    query: str
    expected: str | None


class Answer(NamedTuple):
    name: str
    passed: bool
    answer: str
    expected: str


def ask(conn: Connection, questions: Sequence[Question]) -> list[Answer]:
    """Return the answer to each question, in order. A query that fails is one not passed."""
    conn.read_only = True
    return [judge(question, *_answer(conn, question.query)) for question in questions]


def _answer(conn: Connection, query: str) -> tuple[str | None, str | None]:
    try:
        with conn.transaction():
            row = conn.execute(query.encode()).fetchone()
    except psycopg.OperationalError:
        raise  # no answer is an error, never a "no"
    except psycopg.Error as exc:
        return None, exc.diag.message_primary or str(exc)
    return (None if row is None or row[0] is None else _text(row[0])), None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def judge(question: Question, answer: str | None, error: str | None) -> Answer:
    """Return whether ``answer`` is as expected, with what to show of both."""
    if question.expected is None:
        passed = answer is not None and answer != "false"
    else:
        passed = answer == question.expected
    shown = error or ("no row" if answer is None else answer)
    return Answer(question.name, passed, shown, question.expected or "a row that is not false")
