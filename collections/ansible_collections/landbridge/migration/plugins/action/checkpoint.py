# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opens, sets and takes back the checkpoint of a stage on a host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from ansible.utils.display import Display

from ..module_utils.errors import PreconditionError
from ..module_utils.journal.checkpoints import (
    Problem,
    complaint,
    judge,
    prerequisites,
    required_places,
)
from ..module_utils.journal.fingerprint import Requirement, canonical, input_hashes, without_secrets
from ..module_utils.journal.records import Journal, Opening, Place, State, reach
from ..plugin_utils.action_base import Arguments, JournalAction, now, require_lease

MOST_EVIDENCE = 100_000  # characters; a result of 700,000 is dropped by ansible-runner


class ActionModule(JournalAction):
    SPEC: ClassVar[dict[str, Any]] = {
        "stage": {"type": "str", "required": True},
        "state": {"type": "str", "required": True, "choices": ["open", "set", "clear"]},
        "host": {"type": "str"},
        "requires": {"type": "list", "elements": "raw"},
        "inputs": {"type": "dict"},
        "evidence": {"type": "dict", "default": {}},
        "redo": {"type": "bool", "default": False},
        "not_after": {"type": "str"},
        "reason": {"type": "str", "default": "asked for"},
    }

    def act(self, args: Arguments, task_vars: dict[str, Any]) -> dict[str, Any]:
        host = args["host"] or str(task_vars["inventory_hostname"])
        place = Place(args["stage"], host)
        moment = now()  # once: a repeat after a lost connection is the same record
        acts = {"open": self._open, "set": self._set, "clear": self._clear}
        act = acts[args["state"]]
        result = self.on_journal(args, lambda journal: act(args, journal, place, moment))
        if result.get("reached") or result.get("waits"):
            Display().display(f"{place.host}: {result['msg']}")
        return result

    def _open(self, args: Arguments, journal: Journal, place: Place, moment: str) -> dict[str, Any]:
        state = journal.state(place)
        inputs = input_hashes(args["inputs"] or {})
        requirements, problems = self._prerequisites(args, place, state)
        if problems:
            msg = f"{place.stage} builds on what is not there yet: {complaint(problems)}"
            return {
                "changed": False, "reached": False, "waits": True, "msg": msg, **_ours(place)
            }  # fmt: skip
        run_id = self.this_run(args).run_id
        verdict = judge(
            place, inputs, requirements, state.current, redo=args["redo"], run_id=run_id
        )
        result = {
            "changed": False, "reached": verdict.reached, "waits": False, "msg": verdict.msg
        }  # fmt: skip
        if args["not_after"] and not verdict.reached:
            _refuse_after(args["not_after"], place, state, verdict.msg)
        if verdict.reached:
            shown = state.current[place].shown()
            return {**result, "checkpoint": shown, **_ours(place, shown)}
        if not self.check_mode:
            require_lease(state, args["migration"])
            journal.begin(Opening(*place, inputs, requirements, moment))
        return {**result, **_ours(place)}

    def _set(self, args: Arguments, journal: Journal, place: Place, moment: str) -> dict[str, Any]:
        state = journal.state(place)
        opening = self._opening(args, state, place, moment)
        checkpoint = reach(opening, _evidence(args), self.this_run(args).run_id, moment)
        if not self.check_mode:
            require_lease(state, args["migration"])
            journal.record(checkpoint)
        said = "would be recorded" if self.check_mode else "is recorded"
        took = f" after {checkpoint.elapsed_s:.1f} s" if state.opening else ""
        shown = checkpoint.shown()
        msg = f"{place.stage} {said}{took}"
        ours = {} if self.check_mode else shown
        return {"changed": True, "msg": msg, "checkpoint": shown, **_ours(place, ours)}

    def _clear(
        self, args: Arguments, journal: Journal, place: Place, moment: str
    ) -> dict[str, Any]:
        state = journal.state(place)
        found = state.current.get(place)
        if found is None:
            msg = f"{place.stage} was not reached"
        else:
            msg = f"{place.stage}, reached at {found.finished}, is taken back: {args['reason']}"
        if found is not None and not self.check_mode:
            require_lease(state, args["migration"])
            journal.clear(place, args["reason"])
        return {"changed": found is not None, "msg": msg, **_ours(place)}

    def _opening(self, args: Arguments, state: State, place: Place, moment: str) -> Opening:
        """Return what the stage was done with: as it was begun, unless the task says otherwise."""
        begun = state.opening or Opening(*place, {}, [], moment)
        if args["inputs"] is not None:
            begun = replace(begun, inputs=input_hashes(args["inputs"]))
        if args["requires"] is not None:
            begun = replace(begun, requires=self._prerequisites(args, place, state)[0])
        return begun

    def _prerequisites(
        self, args: Arguments, place: Place, state: State
    ) -> tuple[list[Requirement], list[Problem]]:
        """Return what the stage builds on. What is missing fails the task, save in check mode."""
        places = required_places(args["requires"] or [], place.host)
        requirements, problems = prerequisites(places, state.current)
        if problems and not self.check_mode:
            raise PreconditionError(f"{place} cannot start: {complaint(problems)}")
        return requirements, problems


def _refuse_after(later: str, place: Place, state: State, msg: str) -> None:
    """Raise PreconditionError if the later stage was reached: what led to it is done with."""
    if Place(later, place.host) in state.current:
        raise PreconditionError(
            f"{place} is not done again after {later}: nothing was done. {msg}",
            hint="To do it again, go back first: `ansible-playbook playbooks/rollback.yml`.",
        )


def _evidence(args: Arguments) -> dict[str, Any]:
    evidence: dict[str, Any] = without_secrets(args["evidence"])
    if (size := len(canonical(evidence))) > MOST_EVIDENCE:
        raise PreconditionError(
            f"the evidence of {args['stage']} has {size} characters, more than {MOST_EVIDENCE}",
            hint="Evidence is small: counts, times, and the first few names.",
        )
    return evidence


def _ours(place: Place, checkpoint: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"landbridge": {"checkpoint": checkpoint or place._asdict()}}
