"""Documentation, argument specs, examples and the action group say the same."""

import importlib

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from tests.contract.conftest import (
    ACTIONS,
    COLLECTION,
    MODULES,
    NAMESPACE,
    ON_JOURNAL,
    examples,
)

# What a task may hold beside its action.
KEYWORDS = {
    "name", "register", "when", "loop", "until", "retries", "delay", "vars", "no_log", "tags",
    "delegate_to", "run_once", "changed_when", "failed_when", "loop_control", "check_mode", "diff",
}  # fmt: skip
COMPARED = ("type", "required", "default", "choices", "elements")


def as_spec(options):
    """Return documented options as an argument spec."""
    spec = {}
    for name, option in (options or {}).items():
        spec[name] = {key: option[key] for key in COMPARED if key in option}
        if inner := option.get("suboptions"):
            spec[name]["options"] = as_spec(inner)
    return spec


def bare(spec):
    """Return an argument spec with only what documentation tells, defaults spelled out."""
    return {
        name: {
            "type": option.get("type", "str"),
            "required": bool(option.get("required", False)),
            "default": option.get("default"),
            "choices": option.get("choices"),
            "elements": option.get("elements"),
            "options": bare(option["options"]) if option.get("options") else None,
        }
        for name, option in spec.items()
    }


def test_the_action_group_names_every_module():
    runtime = yaml.safe_load((COLLECTION / "meta/runtime.yml").read_text())
    assert runtime["action_groups"]["all"] == MODULES


def action(name):
    return importlib.import_module(f"ansible_collections.{NAMESPACE}.plugins.action.{name}")


def test_every_module_has_an_action_and_every_action_a_module_that_documents_it():
    assert ACTIONS == MODULES


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ON_JOURNAL])
def test_an_action_runs_the_module_of_its_name(name):
    wanted = f"ansible_collections.{NAMESPACE}.plugins.modules.{name}"
    assert action(name).ActionModule.module.__name__ == wanted


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_documented_completely(name, documents):
    doc = documents[name]["doc"]
    assert doc["author"] == "Landbridge contributors (@landbridge)"
    assert doc["version_added"]
    assert {"check_mode", "diff_mode"} <= set(doc["attributes"])
    assert not doc["short_description"].endswith(".")
    for key, value in (documents[name]["return"] or {}).items():
        assert value.get("returned"), key
        assert "sample" in value or "contains" in value, f"{key} has no sample"


@pytest.mark.parametrize("name", ON_JOURNAL)
def test_an_action_that_runs_no_module_takes_the_options_documented(name, documents):
    plugin = action(name).ActionModule
    base = importlib.import_module(
        f"ansible_collections.{NAMESPACE}.plugins.plugin_utils.action_base"
    )
    wanted = {**base._common(), **plugin.SPEC}
    assert bare(as_spec(documents[name]["doc"]["options"])) == bare(wanted)


@pytest.mark.parametrize("name", MODULES)
def test_examples_use_the_documented_options(name, documents):
    tasks = examples(documents[name])
    assert tasks, "there is no example"
    seen = set()
    for task in tasks:
        assert task["name"], "an example's task has a name"
        actions = set(task) - KEYWORDS
        assert len(actions) == 1, actions
        called = actions.pop()
        seen.add(called)
        if called.startswith(f"{NAMESPACE}."):
            problems = refused(documents[called.removeprefix(f"{NAMESPACE}.")], task[called])
            assert not problems, f"{task['name']}: {problems}"
    assert f"{NAMESPACE}.{name}" in seen


def refused(document, arguments):
    """Return what an argument spec made of the documentation has against the arguments."""
    validator = ArgumentSpecValidator(as_spec(document["doc"]["options"]))
    return validator.validate(without_templates(arguments or {})).error_messages


def without_templates(value):
    """Return the arguments without what only a run can fill in."""
    if isinstance(value, dict):
        return {k: without_templates(v) for k, v in value.items() if not templated(v)}
    return value


def templated(value):
    return isinstance(value, str) and "{{" in value
