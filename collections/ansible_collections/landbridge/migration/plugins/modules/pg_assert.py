#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_assert
short_description: Ask a database questions that it must answer as expected
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Smoke tests and checklist items that a query decides. Each query runs in a read-only
    transaction of its own, in a session as an application's, with the role's and the database's
    own settings, such as C(search_path).
extends_documentation_fragment: [landbridge.migration.pg_server]
options:
  questions:
    description: What to ask.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {type: str, required: true, description: What a failure calls the question.}
      query:
        description: A query; the first column of its first row is the answer, as text.
        type: str
        required: true
      expected:
        description:
          - The answer that counts; booleans are V(true) and V(false). Without it any row will do
            whose answer is neither false nor NULL.
        type: str
  strict:
    description: Whether an answer that is not as expected fails the task.
    type: bool
    default: true
attributes:
  check_mode: {support: full, description: Only reads.}
  diff_mode: {support: none, description: Changes nothing.}
"""

EXAMPLES = r"""
- name: The shop has its orders
  landbridge.migration.pg_assert:
    server: {host: pg.new.example, dbname: shop, user: shop_app}
    questions:
      - {name: orders are there, query: SELECT count(*) > 0 FROM orders}
      - {name: schema version, query: SELECT max(version) FROM migrations, expected: "42"}
"""

RETURN = r"""
answers:
  description: Each question's answer.
  returned: always
  type: list
  elements: dict
  sample: [{name: orders are there, passed: true, answer: "true", expected: "true"}]
evidence:
  description: How many were asked and how many answered as expected.
  returned: always
  type: dict
  sample: {asked: 2, passed: 2}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import NotConvergedError, reporting
from ..module_utils.pg.connection import connect, server_spec
from ..module_utils.pg.fence.assertions import Answer, Question, ask

QUESTIONS = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "options": {
        "name": {"type": "str", "required": True},
        "query": {"type": "str", "required": True},
        "expected": {"type": "str"},
    },
}


def result(answers: list[Answer]) -> dict[str, Any]:
    """Return what RETURN documents."""
    passed = sum(answer.passed for answer in answers)
    return {
        "changed": False,
        "answers": [answer._asdict() for answer in answers],
        "evidence": {"asked": len(answers), "passed": passed},
    }


def require(answers: list[Answer]) -> None:
    """Raise NotConvergedError naming the first answer that is not as expected."""
    if failed := [answer for answer in answers if not answer.passed]:
        first = failed[0]
        raise NotConvergedError(
            f"{len(failed)} of {len(answers)} answers are not as expected, first {first.name}: "
            f"{first.answer} instead of {first.expected}"
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "server": server_spec("server"),
            "questions": QUESTIONS,
            "strict": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    with reporting(module):
        questions = [Question(**question) for question in module.params["questions"]]
        with connect("server", module.params["server"], pinned=False) as conn:
            answers = ask(conn, questions)
        if module.params["strict"]:
            require(answers)
        module.exit_json(**result(answers))


if __name__ == "__main__":
    main()
