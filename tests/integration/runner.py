"""A project's playbook run by ansible-runner, and what every such run must fulfil."""

import json
from dataclasses import dataclass
from pathlib import Path

import ansible_runner

ROOT = Path(__file__).parents[2]
LARGEST_EVENT = 700_000  # above, ansible-runner and AWX keep `{}` in the event's place


@dataclass(frozen=True)
class Played:
    status: str
    rc: int
    events: list
    artifacts: Path

    @property
    def lines(self):
        """What a user of runner or AWX sees, line by line."""
        return [line for event in self.events for line in event["stdout"].splitlines()]

    def results(self, action):
        """Return the results of a module or action, by its full name."""
        data = [event["event_data"] for event in self.events if "event_data" in event]
        return [found["res"] for found in data if _is_result(found, action)]

    def largest_event(self):
        return max(len(json.dumps(event)) for event in self.events)

    def holding(self, secret):
        """Return the artifacts in which a secret can be read."""
        files = [path for path in self.artifacts.rglob("*") if path.is_file()]
        assert files
        return [path.name for path in files if secret in path.read_text(errors="replace")]


def _is_result(event_data, action):
    return event_data.get("resolved_action") == action and "res" in event_data


def play(private, project, playbook, *, inventory, extravars=None, **environment):
    """Run a project's playbook as AWX does: a private folder, events and artifacts in files.

    The environment is kept in the artifacts, so no secret belongs there; nor in extravars, which
    are on the command line. An inventory's look-ups are the place.
    """
    collections = f"{ROOT}/collections:{ROOT}/tests/fixtures/collections"
    Path(private).mkdir(parents=True, exist_ok=True)
    run = ansible_runner.run(
        private_data_dir=str(private),
        project_dir=str(project),
        playbook=str(playbook),
        inventory=str(inventory),
        cmdline=" ".join(f"-e {name}={value}" for name, value in (extravars or {}).items()) or None,
        envvars={"ANSIBLE_COLLECTIONS_PATH": collections, **environment},
        suppress_env_files=True,
        quiet=True,
    )
    return Played(run.status, run.rc, [*run.events], Path(run.config.artifact_dir))
