"""The role, run as a user runs it: it leads the pooler elsewhere, and keeps its evidence."""

import json

import pytest
import yaml

from tests.integration.runner import ROOT, play

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture
def playbook(tmp_path):
    tasks = [
        {"name": "Steer", "ansible.builtin.include_role": {"name": str(ROOT / "roles/pooler")}},
        {
            "name": "Show",
            "ansible.builtin.copy": {
                "content": "{{ pooler_evidence | to_json }}",
                "dest": f"{tmp_path}/evidence.json",
                "mode": "0600",
            },
        },
    ]
    path = tmp_path / "play.yml"
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    return path


def test_it_leads_the_pooler_elsewhere_and_keeps_its_evidence(pooled, playbook, tmp_path):
    target = pooled.target._asdict()
    secret = tmp_path / "secret"
    secret.write_text(pooled.console["password"])
    hosts = {
        "shop": {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "pooler_options": {
                **pooled.options,
                "password": f"{{{{ lookup('ansible.builtin.file', '{secret}') }}}}",
            },
            "pooler_state": "resumed",
            "pooler_route": target,
        }
    }
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    played = play(tmp_path / "private", tmp_path, playbook, inventory=inventory)
    assert played.status == "successful", "\n".join(played.lines)
    evidence = json.loads((tmp_path / "evidence.json").read_text())
    assert evidence == {
        "kind": "pgbouncer", "route": {**target, "paused": False}, "findings": []
    }  # fmt: skip
    assert played.holding(pooled.console["password"]) == []
