"""A role's defaults and its argument specs are one and the same list."""

import re

import pytest
import yaml

from tests.contract.conftest import ROLES, ROOT


def read(role, path):
    file = ROOT / "roles" / role / path
    return (yaml.safe_load(file.read_text()) or {}) if file.is_file() else {}


def specs(role):
    return read(role, "meta/argument_specs.yml").get("argument_specs", {})


def options(role):
    """Return the options of all entry points together."""
    return {
        name: option
        for entry in specs(role).values()
        for name, option in (entry.get("options") or {}).items()
    }


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_a_spec_of_its_main_entry_point(role):
    main = specs(role)["main"]
    assert main["short_description"]
    assert main["version_added"]


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_as_the_spec_tells(role):
    defaults = read(role, "defaults/main.yml")
    constant = {name: value for name, value in defaults.items() if "{{" not in str(value)}
    told = {name: o["default"] for name, o in options(role).items() if "default" in o}
    assert constant == {name: value for name, value in told.items() if name in constant}
    assert set(told) <= set(defaults)
    assert set(defaults) <= set(options(role))


@pytest.mark.parametrize("role", ROLES)
def test_a_required_input_has_no_default(role):
    for name, option in options(role).items():
        assert not (option.get("required") and "default" in option), name


@pytest.mark.parametrize("role", ROLES)
def test_inputs_carry_the_roles_name(role):
    assert [name for name in options(role) if not name.startswith(f"{role}_")] == []


@pytest.mark.parametrize("role", ROLES)
def test_every_default_stands_under_a_comment(role):
    file = ROOT / "roles" / role / "defaults/main.yml"
    if not file.is_file():
        return
    paragraphs = re.split(r"\n\n+", file.read_text().removeprefix("---\n"))
    assert [text for text in paragraphs if not text.startswith("#")] == []


@pytest.mark.parametrize("role", ROLES)
def test_facts_never_replace_an_input(role):
    inputs = options(role)
    for file in (ROOT / "roles" / role / "tasks").glob("*.yml"):
        for task in yaml.safe_load(file.read_text()) or []:
            assert not set(task.get("ansible.builtin.set_fact", {})) & set(inputs), file
