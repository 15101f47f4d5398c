"""No secret comes out of a module or an action, however it ends.

Every one that is found runs from its own example with a canary in each place for a password, as a
user runs it, at -vvv: refused by nobody listening, crashed inside the library that holds the
secret, and turned away by a real server. Output, log, temporary files and the process list are
searched while it runs and after.
"""

import base64
import json
import re
import subprocess
import threading
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import yaml

from tests.contract.conftest import BIN, MODULES, NAMESPACE, ON_JOURNAL, environment, examples

CANARY = "Canary/5ecret+of%the m1ne"
FORMS = [
    CANARY,
    quote(CANARY),
    quote(CANARY, safe=""),
    quote_plus(CANARY),
    base64.b64encode(CANARY.encode()).decode(),
    "5ecret",
]
SECRET = re.compile(r"password|secret|token")
SIDE_BY_SIDE = 3
TYPED = {"code", "retryable", "hint", "sqlstate", "status"}

# Put before the real psycopg and http.client: what connects, raises with all that it was given.
CRASHING = {
    "psycopg/__init__.py": """
import pathlib, sys
sys.path.remove(str(pathlib.Path(__file__).parent.parent))
del sys.modules["psycopg"]
import psycopg as real

def crash(*args, **kwargs):
    raise RuntimeError(f"crashed with {args!r} {kwargs!r}")

real.connect = real.Connection.connect = crash
""",
    "sitecustomize.py": """
import http.client

def crash(self, *args, **kwargs):
    raise RuntimeError(f"crashed with {args!r} {kwargs!r}")

http.client.HTTPConnection.request = crash
""",
}


def sown(value, server, folder, key=""):
    """Return arguments with a canary for each secret, and ``server`` for each server."""
    if isinstance(value, dict):
        if "host" in value and "dbname" in value:
            return server
        return {name: sown(inner, server, folder, name) for name, inner in value.items()} | (
            {"api": str(folder / "api.json")} if "api" in value else {}
        )
    if isinstance(value, list):
        return [sown(inner, server, folder, key) for inner in value]
    return value


def replaced(value, options, server, folder):
    """Return an example's arguments with what only a run can know filled in."""
    filled = {}
    for name, given in value.items():
        option = options.get(name, {})
        inner = option.get("suboptions") or {}
        if "host" in inner and "password" in inner:
            filled[name] = server
        elif isinstance(given, str) and "{{" in given:
            stand_in = {"path": str(folder / name), "dict": {}, "list": [], "int": 1, "bool": False}
            filled[name] = stand_in.get(option.get("type", "str"), "example")
        else:
            filled[name] = sown(given, server, folder, name)
    return filled


def poisoned(value, key=""):
    """Return arguments with the canary under every name of a secret."""
    if isinstance(value, dict):
        below = bool(SECRET.search(key))
        return {n: CANARY if below else poisoned(v, n) for n, v in value.items()}
    if isinstance(value, list):
        return [poisoned(each, key) for each in value]
    return CANARY if SECRET.search(key) and isinstance(value, str) else value


def arguments(name, document, server, folder):
    """Return the arguments for one module: its first example's, with canaries."""
    options = document["doc"]["options"]
    task = next(t for t in examples(document) if f"{NAMESPACE}.{name}" in t)
    args = replaced(task[f"{NAMESPACE}.{name}"] or {}, options, server, folder)
    more = {n: CANARY for n, o in options.items() if SECRET.search(n) and o["type"] == "str"}
    if "timeout" in options:
        more["timeout"] = 2
    return poisoned(args) | more


def write_play(names, documents, server, folder):
    """Write a playbook that runs the modules and keeps their results; return its path."""
    tasks = [
        {
            "name": name,
            f"{NAMESPACE}.{name}": arguments(name, documents[name], server, folder),
            "register": f"result_{name}",
            "ignore_errors": True,
        }
        for name in names
    ]
    results = ", ".join(f"'{name}': result_{name}" for name in names)
    kept = {"content": f"{{{{ {{{results}}} | to_json }}}}", "mode": "0600"}
    kept["dest"] = f"{folder}/{names[0]}.results"
    tasks.append({"name": "Keep the results", "ansible.builtin.copy": kept})
    path = folder / f"{names[0]}.yml"
    path.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    return path


class ProcessList(threading.Thread):
    """Looks for the canary in every command line until told to stop."""

    def __init__(self):
        super().__init__(daemon=True)
        self.found = set()
        self._stop_asked = threading.Event()

    def run(self):
        while not self._stop_asked.wait(0.02):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = entry.read_bytes().decode(errors="replace")
                except OSError:
                    continue
                if any(form in line for form in FORMS):
                    self.found.add(line.replace("\0", " ").replace(CANARY, "CANARY"))

    def __exit__(self, *_exc):
        self._stop_asked.set()
        self.join()

    def __enter__(self):
        self.start()
        return self


def run(documents, server, tmp_path, python_path=""):
    """Run every module once and return where the canary was seen, and the results."""
    folder, home = tmp_path / "files", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    api = folder / "api.json"
    api.write_text(json.dumps({"url": "http://127.0.0.1:1", "token": CANARY}))
    api.chmod(0o600)
    shares = [MODULES[start::SIDE_BY_SIDE] for start in range(SIDE_BY_SIDE)]
    books = [write_play(names, documents, server, folder) for names in shares]
    with ProcessList() as processes:
        started = [start(book, home, python_path) for book in books]
        outputs = [process.communicate(timeout=300)[0] for process in started]
    kept = sorted(folder.glob("*.results"))
    assert len(kept) == len(books), "\n".join(outputs)[-3000:]
    results = {n: r for path in kept for n, r in json.loads(path.read_text()).items()}
    for path in (api, *books):
        path.unlink()
    return seen(outputs, processes, [home, folder]), results


def start(book, home, python_path):
    return subprocess.Popen(
        [BIN / "ansible-playbook", "-vvv", "-i", "localhost,", "-c", "local", book],
        cwd=home,
        env=environment(
            HOME=str(home),
            TMPDIR=str(home),
            ANSIBLE_LOG_PATH=str(home / "ansible.log"),
            ANSIBLE_PYTHON_INTERPRETER=str(BIN / "python"),
            PYTHONPATH=python_path,
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def seen(outputs, processes, folders):
    """Return each line, file and process that shows the canary, without it."""
    lines = [line for output in outputs for line in output.splitlines()]
    found = [line for line in lines if any(form in line for form in FORMS)]
    found += sorted(processes.found)
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        text = path.read_bytes().decode(errors="replace")
        if any(form in text for form in FORMS):
            found.append(str(path))
    return [line.replace(CANARY, "CANARY")[:500] for line in found]


def server(**more):
    return {
        "host": "127.0.0.1", "port": 1, "dbname": "shop", "user": "canary", "password": CANARY,
        "sslmode": "require", **more,
    }  # fmt: skip


def untyped(results):
    """Return the failures that do not carry an error of ours."""
    return {
        name: result.get("msg")
        for name, result in results.items()
        if result.get("failed") and not set(result.get("error") or {}) >= TYPED
    }


@pytest.mark.slow
def test_nobody_listens_and_no_secret_is_shown(documents, tmp_path):
    found, results = run(documents, server(), tmp_path)
    assert found == []
    assert untyped(results) == {}
    assert {"postgres"} <= {r["error"]["code"] for r in results.values() if r.get("failed")}


@pytest.mark.slow
def test_a_crash_in_a_library_shows_no_secret(documents, tmp_path):
    for path, text in CRASHING.items():
        file = tmp_path / "crashing" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    found, results = run(documents, server(), tmp_path, str(tmp_path / "crashing"))
    assert found == []
    assert untyped(results) == {}
    crashed = {name for name, result in results.items() if "crashed with" in str(result.get("msg"))}
    assert crashed >= set(MODULES) - set(ON_JOURNAL) - {"postgres_server", "postgres_server_info"}


@pytest.mark.slow
@pytest.mark.postgres
def test_a_server_that_knows_the_secret_shows_none_either(documents, postgres, tmp_path):
    real = postgres(17, "source")
    with real.as_superuser() as conn:
        conn.execute("CREATE ROLE canary LOGIN CREATEDB CREATEROLE")
        conn.execute("SELECT set_config('password_encryption', 'scram-sha-256', false)")
        conn.execute(f"ALTER ROLE canary PASSWORD '{CANARY}'")
        conn.execute("CREATE DATABASE shop OWNER canary")
    try:
        given = {**real.admin, "dbname": "shop", "user": "canary", "password": CANARY}
        found, results = run(documents, given, tmp_path)
    finally:
        with real.as_superuser() as conn:
            conn.execute("DROP DATABASE shop WITH (FORCE)")
            conn.execute("DROP OWNED BY canary")
            conn.execute("DROP ROLE canary")
    assert found == []
    assert untyped(results) == {}
    assert any(not result.get("failed") for result in results.values())
