#!/usr/bin/env python3
"""Write docs/reference from the modules' documentation, the roles' specs and the error classes.

scripts/docs.py          write the pages
scripts/docs.py --check  fail if a page is not as it would be written
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
COLLECTION = ROOT / "collections/ansible_collections/landbridge/migration"
REFERENCE = ROOT / "docs/reference"
NAMESPACE = "landbridge.migration"

Document = Mapping[str, Any]

GENERATED = "<!-- Written by `make docs`: change the source, not this page. -->\n"

# Ansible's markup: option, value, environment variable, code, return value, module, bold, link …
MARKUP = [
    (re.compile(r"\b(?:O|V|E|C|RV|P)\(((?:[^()\\]|\\.|\([^()]*\))*)\)"), r"`\1`"),
    (re.compile(r"\bM\(landbridge\.migration\.(\w+)\)"), r"[\1](../modules/\1.md)"),
    (re.compile(r"\bM\(([^)]*)\)"), r"`\1`"),
    (re.compile(r"\bB\(([^)]*)\)"), r"**\1**"),
    (re.compile(r"\bI\(([^)]*)\)"), r"*\1*"),
    (re.compile(r"\bL\(([^,)]*), *([^)]*)\)"), r"[\1](\2)"),
    (re.compile(r"\bU\(([^)]*)\)"), r"<\1>"),
]


def marked(text: str) -> str:
    """Return Ansible's markup as Markdown."""
    for pattern, replacement in MARKUP:
        text = pattern.sub(replacement, text)
    return text


def lines_of(description: str | list[str] | None) -> list[str]:
    """Return a description's paragraphs."""
    if isinstance(description, str):
        return [marked(description)]
    return [marked(line) for line in description or []]


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def code(value: Any) -> str:
    """Return a value as YAML would have it, in code."""
    return f"`{json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value}`"


# Modules


def documents() -> dict[str, Document]:
    """Return what ansible-doc reads of every module, by short name. Exit with what it refuses."""
    names = sorted(path.stem for path in (COLLECTION / "plugins/modules").glob("*.py"))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")}
    done = subprocess.run(
        [ansible("doc"), "--json", "-t", "module", *(f"{NAMESPACE}.{name}" for name in names)],
        env=environment,
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"ansible-doc: {done.stderr}")
    found = json.loads(done.stdout)
    return {name: found[f"{NAMESPACE}.{name}"] for name in names}


def ansible(command: str) -> str:
    """Return the path of an ansible command of the running Python's environment."""
    return str(Path(sys.executable).with_name(f"ansible-{command}"))


def module_page(name: str, document: Document) -> str:
    doc = document["doc"]
    parts = [f"# {name}\n", f"{marked(doc['short_description'])}.\n", GENERATED]
    parts += [f"{line}\n" for line in lines_of(doc.get("description"))]
    if requirements := doc.get("requirements"):
        parts.append(f"Needs {', '.join(f'`{r}`' for r in requirements)} on the control node.\n")
    parts += ["## Options\n", option_table(doc.get("options") or {})]
    if attributes := doc.get("attributes"):
        parts += ["## Attributes\n", attribute_table(attributes)]
    if notes := lines_of(doc.get("notes")):
        parts += ["## Notes\n", *(f"- {note}" for note in notes), ""]
    parts += ["## Examples\n", f"```yaml\n{(document.get('examples') or '').strip()}\n```\n"]
    parts += ["## Returns\n", return_table(document.get("return") or {})]
    parts.append(f"Since version {doc['version_added']}.")
    return "\n".join(parts) + "\n"


def option_table(options: Document) -> str:
    rows = ["| option | type | default | what it is |", "|---|---|---|---|"]
    rows += option_rows(options, "")
    return "\n".join(rows) + "\n" if options else "None.\n"


def option_rows(options: Document, prefix: str) -> Iterator[str]:
    for name, option in sorted(options.items()):
        default = "required" if option.get("required") else ""
        if option.get("default") is not None:
            default = code(option["default"])
        text = " ".join(lines_of(option.get("description")))
        if choices := option.get("choices"):
            text += f" One of {', '.join(code(choice) for choice in choices)}."
        kind = option.get("type", "str")
        if elements := option.get("elements"):
            kind += f" of {elements}"
        yield f"| `{prefix}{name}` | {kind} | {cell(default)} | {cell(text)} |"
        inner = option.get("suboptions") or option.get("options") or {}
        yield from option_rows(inner, f"{prefix}{name}.")


def attribute_table(attributes: Document) -> str:
    rows = ["| attribute | support | |", "|---|---|---|"]
    for name, attribute in sorted(attributes.items()):
        text = " ".join(lines_of(attribute.get("description")) + lines_of(attribute.get("details")))
        rows.append(f"| {name} | {attribute.get('support', '')} | {cell(text)} |")
    return "\n".join(rows) + "\n"


def return_table(values: Document) -> str:
    rows = ["| key | type | returned | what it is | sample |", "|---|---|---|---|---|"]
    rows += return_rows(values, "")
    return "\n".join(rows) + "\n" if values else "Nothing of its own.\n"


def return_rows(values: Document, prefix: str) -> Iterator[str]:
    for name, value in sorted(values.items()):
        sample = code(value["sample"]) if value.get("sample") is not None else ""
        text = " ".join(lines_of(value.get("description")))
        kind, returned = value.get("type", ""), value.get("returned", "")
        yield f"| `{prefix}{name}` | {kind} | {returned} | {cell(text)} | {cell(sample)} |"
        yield from return_rows(value.get("contains") or {}, f"{prefix}{name}.")


def module_index(found: Mapping[str, Document]) -> str:
    rows = ["# Modules\n", GENERATED, "| module | what it does |", "|---|---|"]
    for name, document in found.items():
        rows.append(
            f"| [{name}](modules/{name}.md) | {marked(document['doc']['short_description'])} |"
        )
    rows.append(
        f"\nThe action group `{NAMESPACE}.all` names all of them: `module_defaults` with"
        f" `group/{NAMESPACE}.all` sets options of every one at once."
    )
    return "\n".join(rows) + "\n"


# Roles


def role_page(roles: Mapping[str, Document]) -> str:
    parts = ["# Roles\n", GENERATED]
    parts.append("Inputs as `meta/argument_specs.yml` of each role checks them.\n")
    for name, specs in roles.items():
        for entry, spec in specs["argument_specs"].items():
            title = name if entry == "main" else f"{name}, entry point {entry}"
            parts += [f"## {title}\n", f"{marked(spec['short_description'])}.\n"]
            parts += [f"{line}\n" for line in lines_of(spec.get("description"))]
            parts.append(option_table(spec.get("options") or {}))
    return "\n".join(parts).replace("(../modules/", "(modules/").rstrip() + "\n"


def roles() -> dict[str, Document]:
    """Return every role's argument specs, by role name."""
    files = sorted((ROOT / "roles").glob("*/meta/argument_specs.yml"))
    return {path.parent.parent.name: yaml.safe_load(path.read_text()) for path in files}


# Errors


def error_classes() -> list[tuple[str, str, str]]:
    """Return code, class and meaning of each error, as errors.py writes them."""
    tree = ast.parse((COLLECTION / "plugins/module_utils/errors.py").read_text())
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and (word := class_code(node)):
            found.append((word, node.name, (ast.get_docstring(node) or "").split("\n\n")[0]))
    return found


def class_code(node: ast.ClassDef) -> str | None:
    for statement in node.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "code":
            return str(ast.literal_eval(statement.value))
    return None


def error_page(classes: list[tuple[str, str, str]]) -> str:
    rows = ["# Errors\n", GENERATED]
    rows.append(
        "A failed task of ours says what happened in `msg` and carries `error`: `code` (below),"
        " `retryable` (the same call may succeed later with nothing changed), `hint` (the next"
        " step), `sqlstate` and `status`. Secrets are masked in all of them.\n"
    )
    rows += ["| code | class | meaning |", "|---|---|---|"]
    rows += [f"| `{word}` | {name} | {cell(meaning)} |" for word, name, meaning in classes]
    return "\n".join(rows) + "\n"


def pages() -> dict[Path, str]:
    """Return every generated page's text by its path."""
    found = documents()
    written = {
        REFERENCE / "modules.md": module_index(found),
        REFERENCE / "roles.md": role_page(roles()),
        REFERENCE / "errors.md": error_page(error_classes()),
    }
    for name, document in found.items():
        written[REFERENCE / "modules" / f"{name}.md"] = module_page(name, document)
    return written


def stale(wanted: Mapping[Path, str]) -> list[Path]:
    """Return the pages that differ from ``wanted``, are missing or are left over."""
    left = set((REFERENCE / "modules").glob("*.md")) - set(wanted)
    differ = {
        path for path, text in wanted.items() if not path.is_file() or path.read_text() != text
    }
    return sorted(left | differ)


def main(arguments: list[str]) -> int:
    wanted = pages()
    due = stale(wanted)
    if "--check" in arguments:
        for path in due:
            print(f"{path.relative_to(ROOT)} is not up to date: make docs", file=sys.stderr)
        return int(bool(due))
    (REFERENCE / "modules").mkdir(parents=True, exist_ok=True)
    for path in due:
        if path in wanted:
            path.write_text(wanted[path])
        else:
            path.unlink()
        print(f"docs: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
