# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks for go or no-go on exactly the evidence that there is, and records what was said."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from ansible.errors import AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.utils.display import Display

from ..module_utils.errors import PreconditionError
from ..module_utils.journal import gate
from ..module_utils.journal.checkpoints import complaint
from ..module_utils.journal.fingerprint import sha256
from ..module_utils.journal.records import Answer, Decision, Journal
from ..plugin_utils.action_base import Arguments, JournalAction, failure, now, require_lease, user

TRIES = 3
# ansible-runner, and so AWX, gives Ansible a terminal at which nobody sits.
NOBODY_SITS_THERE = "AWX_ISOLATED_DATA_DIR"


@dataclass(frozen=True, slots=True)
class Found:
    """What the gate has before it."""

    parts: dict[str, str]
    problems: list[str]
    answers: dict[str, Answer]
    decisions: list[Decision]

    @property
    def digest(self) -> str:
        return sha256(self.parts)

    def decision(self) -> str:
        """Return what was said of this digest last: go, no-go, asked, or nothing."""
        said = [d.decision for d in self.decisions if d.digest == self.digest]
        return said[0] if said else ""


class ActionModule(JournalAction):
    BYPASS_HOST_LOOP = True
    SPEC: ClassVar[dict[str, Any]] = {
        "stages": {"type": "list", "elements": "str"},
        "before": {"type": "str"},
        "hosts": {"type": "dict", "default": {}},
        "checklist": {"type": "list", "elements": "dict", "default": []},
        "answers": {"type": "dict", "default": {}},
        "policy": {"type": "str", "default": "person", "choices": ["person", "evidence"]},
        "go": {"type": "str", "default": ""},
    }

    def act(self, args: Arguments, task_vars: dict[str, Any]) -> dict[str, Any]:
        items = gate.items_of(args["checklist"])
        given = [
            replace(answer, answered_by=user(), answered=now())
            for answer in gate.persons_answers(args["answers"], items)
        ]
        if args["before"]:
            return self._before(args, items, given)
        found = self.on_journal(args, lambda journal: self._find(args, journal, items, given))
        ours: dict[str, Any] = {"checklist": gate.checklist_shown(items, found.answers)}
        if why := self._refusal(args["go"].strip(), found):
            return {**self._refused(why), "landbridge": ours}
        said, how = self._said(args, found)
        decision = Decision(found.digest, said, how, found.parts, user(), now())
        if said != found.decision() and not self.check_mode:
            self.on_journal(args, lambda journal: self._decide(args, journal, decision))
        ours["decision"] = asdict(decision)
        return {**self._result(found, decision), "landbridge": ours}

    def _before(
        self, args: Arguments, items: list[gate.Item], given: list[Answer]
    ) -> dict[str, Any]:
        """Succeed if what the checklist wants before a stage is answered with yes."""
        answers = self.on_journal(args, lambda journal: self._answers(args, journal, given))
        ours = {"checklist": gate.checklist_shown(items, answers)}
        stage = args["before"]
        if lacking := gate.unanswered(gate.due_before(stage, items), answers):
            why = PreconditionError(f"{stage} waits for the checklist: {'; '.join(lacking)}")
            return {**self._refused(why), "landbridge": ours}
        msg = f"the checklist wants nothing more before {stage}"
        return {"changed": False, "decision": "", "digest": "", "msg": msg, "landbridge": ours}

    def _answers(self, args: Arguments, journal: Journal, given: list[Answer]) -> dict[str, Answer]:
        """Record the answers given and return all there are."""
        answers = journal.answers()
        new = [a for a in given if a.item not in answers or answers[a.item].says() != a.says()]
        if new and not self.check_mode:
            require_lease(journal.state(), args["migration"])
            journal.answer(new)
        return answers | {answer.item: answer for answer in new}

    def _find(
        self, args: Arguments, journal: Journal, items: list[gate.Item], given: list[Answer]
    ) -> Found:
        """Record the answers given and return what go is asked for."""
        state, answers = journal.state(), self._answers(args, journal, given)
        parts, problems = gate.evidence_parts(args["stages"] or [], args["hosts"], state.current)
        lacking = [complaint(problems)] if problems else []
        lacking += gate.unanswered(items, answers)
        parts |= gate.checklist_parts(items, answers)
        return Found(parts, lacking, answers, journal.decisions())

    def _refusal(self, go: str, found: Found) -> PreconditionError | None:
        """Return why go cannot be given; no-go always can."""
        if go.lower() in gate.NO_GO:
            return None
        if found.problems:
            lacking = "; ".join(found.problems)
            return PreconditionError(f"gate: the evidence is not complete: {lacking}")
        if go in ("", found.digest):
            return None
        changed = ", ".join(gate.changes(found.decisions, go, found.parts))
        return PreconditionError(
            f"gate: go was given to {go}, but the evidence now has the digest {found.digest}"
            + (f"; changed since: {changed}" if changed else ""),
            hint=f"Look at it again, then: -e landbridge_go={found.digest}",
        )

    def _refused(self, why: PreconditionError) -> dict[str, Any]:
        """Return the failure; in check mode only its message."""
        result = {"changed": False, "decision": "", "digest": ""}
        return {**result, "msg": str(why)} if self.check_mode else {**result, **failure(why, [])}

    def _said(self, args: Arguments, found: Found) -> tuple[str, str]:
        """Return go, no-go or asked, and how it was said."""
        if go := args["go"].strip():
            return "no-go" if go.lower() in gate.NO_GO else "go", "variable"
        if args["policy"] == "evidence":
            return "go", "policy"
        if found.decision() == "go":
            said = next(d for d in found.decisions if d.digest == found.digest)
            return "go", said.how
        return self._asked(found), "terminal"

    def _asked(self, found: Found) -> str:
        """Ask at the terminal; without one nothing is said, and silence is never go."""
        if self.check_mode or NOBODY_SITS_THERE in os.environ:
            return "asked"
        start = found.digest[: gate.TYPED]
        lines = [f"  {name}  {digest[: gate.TYPED]}" for name, digest in found.parts.items()]
        question = (
            f"\nThe evidence of this migration:\n{chr(10).join(lines)}\nType {start} to go, or no:"
        )
        for _try in range(TRIES):
            try:
                typed = bytes(Display().prompt_until(question)).decode(errors="replace").strip()
            except (AnsiblePromptNoninteractive, AnsiblePromptInterrupt):
                return "asked"
            if typed in (start, found.digest):
                return "go"
            if typed.lower() in gate.NO_GO:
                return "no-go"
            question = f"{typed!r} is neither {start} nor no; type one of them:"
        return "asked"

    def _decide(self, args: Arguments, journal: Journal, decision: Decision) -> None:
        require_lease(journal.state(), args["migration"])
        if decision not in journal.decisions():
            journal.decide(decision)

    def _result(self, found: Found, decision: Decision) -> dict[str, Any]:
        messages = {
            "go": f"go ({decision.how}) to {found.digest}",
            "no-go": f"gate: no-go was said to {found.digest}",
            "asked": "gate: the evidence is complete and nobody has said go to it; say it with:"
            f" -e landbridge_go={found.digest}",
        }
        msg = messages[decision.decision]
        stops = decision.decision != "go" and not self.check_mode
        return {
            **(failure(PreconditionError(msg), []) if stops else {}),
            "changed": decision.decision == "go" and found.decision() != "go",
            "decision": decision.decision,
            "digest": found.digest,
            "msg": msg,
        }
