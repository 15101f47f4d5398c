"""A run of the six databases as the callback sees it, in two runs a day apart."""

import hashlib

from ansible_collections.landbridge.migration.plugins.plugin_utils.report.build import build
from ansible_collections.landbridge.migration.plugins.plugin_utils.report.moments import iso
from ansible_collections.landbridge.migration.plugins.plugin_utils.report.record import (
    Record,
    Result,
)

DAY = 86400.0
START = 1_795_000_000.0  # 2026-11-18
STAGES = ["preflight", "postgres", "window", "dataxfer", "verify", "gate", "cutover", "smoke"]
# name: tables with rows, bytes and seconds
DATABASES = {
    "flights": [
        ("public.flights", 336_776, 42_600_000, 1.1),
        ("public.weather", 26_115, 3_300_000, 0.2),
        ("public.planes", 3_322, 410_000, 0.04),
        ("public.airports", 1_458, 190_000, 0.03),
        ("public.airlines", 16, 8_192, 0.01),
    ],
    "identity": [("public.users", 200_000, 61_000_000, 0.9), ("audit.logins", 812_004, 97e6, 1.3)],
    "legacy": [('public."Invoice ""Lines"""', 90_210, 14_200_000, 0.3)],
    "media": [("public.assets", 4_000, 88_000_000, 1.8)],
    "metrics": [(f"public.samples_2026_{n:02}", 150_000, 11_500_000, 0.3) for n in range(1, 13)],
    "shop": [
        ("public.order_lines", 912_345, 121_000_000, 2.2),
        ("public.orders", 250_000, 44_000_000, 0.8),
        ("public.customers", 50_000, 9_000_000, 0.2),
        ("public.products", 12_000, 5_200_000, 0.1),
    ],
}
PACE = {"flights": 1.9, "identity": 2.6, "legacy": 1.1, "media": 2.4, "metrics": 3.9, "shop": 4.3}


def digest(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def copied(host):
    tables = [
        {"name": name, "rows": rows, "bytes": int(size), "seconds": seconds}
        for name, rows, size, seconds in DATABASES[host]
    ]
    return {
        "tables_count": len(tables),
        "rows": sum(table["rows"] for table in tables),
        "bytes": sum(table["bytes"] for table in tables),
        "elapsed_s": PACE[host],
        "parts_count": len(tables) + 6,
        "parts_resumed": 4 if host == "shop" else 0,
        "large_objects": 120 if host == "media" else 0,
        "tables": tables,
    }


def compared(host, differing=()):
    found = copied(host)
    return {
        "equal": not differing,
        "algorithm": "sha256",
        "source_version": 150020,
        "target_version": 170010,
        "tables_compared": len(DATABASES[host]),
        "rows": found["rows"],
        "bytes": found["bytes"],
        "chunks": 3 * len(DATABASES[host]),
        "differing": list(differing),
        "differing_count": len(differing),
        "catalog": {
            "objects": {"table": 24, "constraint": 18, "function": 3, "index": 41},
            "differences": [],
            "differences_count": 0,
            "notes": ["extension pg_stat_statements is 1.10 on the source and 1.11 on the target"],
            "notes_count": 1,
        },
        "sequences": {"compared": 6, "differing": [], "differing_count": 0},
        "large_objects": {"compared": 0, "differing": [], "differing_count": 0},
        "elapsed_s": round(PACE[host] / 2, 2),
        "bytes_per_s": round(found["bytes"] / PACE[host] * 2),
    }


EVIDENCE = {
    "preflight": lambda host: {
        "findings": FINDINGS.get(host, []),
        "sizes": {"bytes": copied(host)["bytes"], "tables": len(DATABASES[host])},
        "plan": {"predicted_s": PACE[host]},
    },
    "postgres": lambda host: {"server_version": "17.10", "encoding": "UTF8", "roles": 4},
    "window": lambda host: {
        "fenced": True,
        "may_connect": ["migrator"],
        "superusers": ["postgres"],
        "sessions_terminated": 8,
        "barrier_lsn": "0/1A2B3C40",
    },
    "dataxfer": copied,
    "verify": compared,
    "gate": lambda host: {"decision": "go"},
    "cutover": lambda host: {"target": {"fenced": False, "privileges": 5}},
    "smoke": lambda host: {"assertions": 4, "failed": 0},
}
LIVE = {
    **EVIDENCE,
    "dataxfer": lambda host: {
        **copied(host),
        "epochs_count": 1,
        "lag_bytes": 8_192,
        "lag_s": 0.012,
        "lag_readings": [{"s": n / 2, "bytes": 64_000_000 // (n + 1) ** 2} for n in range(12)],
    },
    "cutover": lambda host: {
        "serves": "target",
        "fenced": "source",
        "way_back": "following",
        "route": "127.0.0.3:5432/shop",
        "stall_ms": 10 * PACE[host],
        "sequences_set": 4,
        "timings": [
            {"step": step, "ms": part * PACE[host]}
            for step, part in [("pause", 1.2), ("barrier", 5), ("take_over", 2), ("resume", 0.4)]
        ],
    },
}
FINDINGS = {
    "legacy": [
        {
            "code": "superuser_owner",
            "severity": "warning",
            "object": 'schema "Old Books"',
            "message": "It belongs to a superuser, whom no fence holds.",
            "remedy": "Give it to another role: ALTER SCHEMA … OWNER TO legacy_owner.",
        }
    ],
    "metrics": [
        {
            "code": "unlogged_table",
            "severity": "note",
            "object": "public.scratch",
            "message": "Unlogged: it is empty after a crash of the target, too.",
            "remedy": "",
        }
    ],
}
ANSWERED = {"answered_by": "ops", "answered": iso(START + DAY - 60), "note": "", "answer": "yes"}
ITEMS = [
    {
        "id": "backup",
        "text": "A backup of the source is younger than a day",
        "how": "sql",
        "before": "window",
        "contingency": "Take one: the window can wait.",
        "counts_at_gate": True,
        **ANSWERED,
    },
    {
        "id": "support",
        "text": "The support team knows of the window",
        "how": "person",
        "before": "window",
        "contingency": "Call +00 000 0000.",
        "counts_at_gate": True,
        **ANSWERED,
        "note": "told by mail on Monday",
    },
    {
        "id": "dashboards",
        "text": "The dashboards show the target",
        "how": "person",
        "after": "cutover",
        "contingency": "",
        "counts_at_gate": False,
        "answer": "",
        "answered_by": "",
        "answered": "",
        "note": "",
    },
]
ANSWERS = [
    {
        "item": item["id"],
        "text": item["text"],
        "how": item["how"],
        "evidence": {},
        **ANSWERED,
    }
    for item in ITEMS[:2]
]


def checkpoint(stage, host, run_id, started, took, told=EVIDENCE):
    return {
        "stage": stage,
        "host": host,
        "digest": digest(stage, host, run_id),
        "fingerprint": digest(stage, host),
        "run_id": run_id,
        "inputs": {},
        "requires": [],
        "started": iso(started),
        "finished": iso(started + took),
        "elapsed_s": took,
        "evidence": told[stage](host),
    }


def hosts_of(stage):
    return ["migration"] if stage == "gate" else [*DATABASES]


def took(stage, host):
    pace = PACE.get(host, 0.3)
    return round({"dataxfer": pace, "verify": pace / 2}.get(stage, 0.4 + pace / 8), 3)


def snapshot(run_id="run-1", stages=("preflight", "postgres")):
    """What the journal knew when the run began: two stages of the day before."""
    checkpoints = []
    begun = START
    for stage in stages:
        checkpoints += [
            checkpoint(stage, host, run_id, begun, took(stage, host)) for host in DATABASES
        ]
        begun += 4.0
    return {
        "run_id": "run-2",
        "journal": "present",
        "checkpoints": checkpoints,
        "decisions": [],
        "answers": ANSWERS,
        "runs": [
            {
                "run_id": "run-1",
                "username": "ops",
                "hostname": "control",
                "pid": 4711,
                "kind": "migration",
            }
        ],
        "timings": [],
        "history": [],
        "lease": {"state": "mine"},
        "migration": "acme",
        "description": "Shop platform to the new cloud",
    }


def result(time, host, action, data, *, status="ok", changed=True, args=None, task=None):
    action = action if "." in action else f"landbridge.migration.{action}"
    name = task or action.rpartition(".")[2]
    return Result(time, host, name, action, status, changed, args or {}, data)


def record(home="/srv/landbridge/.landbridge/acme", told=EVIDENCE):
    """The second run, from the window to the end."""
    seen = Record("migrate.yml", [], None, START + DAY, stages=list(STAGES))
    now = START + DAY
    seen.play_started(now, "begin | The run is well asked for and holds the lease", None)
    seen.task_started(now, "Hold the migration's lease", "landbridge.migration.run")
    ours = {"snapshot": snapshot(), "home": home, "migration": "acme"}
    seen.take(result(now + 0.4, "flights", "run", {"landbridge": ours}))
    for stage in STAGES[2:]:
        now = play(seen, stage, now + 0.8, told)
    return seen


def play(seen, stage, now, told=EVIDENCE):
    """Add a stage's play; return when it ended."""
    seen.play_started(now, f"{stage} | The stage's proof is given", stage)
    if stage == "window" and told is LIVE:
        return now
    hosts = hosts_of(stage)
    if stage in ("dataxfer", "verify"):
        module = {"dataxfer": "pg_follow" if told is LIVE else "pg_clone", "verify": "pg_verify"}[
            stage
        ]
        seen.task_started(now, f"Do the work of {stage}", f"landbridge.migration.{module}")
        for host in hosts:
            evidence = told[stage](host)
            seen.take(result(now + took(stage, host), host, module, {"evidence": evidence}))
    if stage == "gate":
        seen.task_started(now, "Decide", "landbridge.migration.gate")
        seen.take(result(now + 0.2, "flights", "gate", {"landbridge": decision(now + 0.2)}))
    end = now + max(took(stage, host) for host in hosts)
    seen.task_started(end, "Set the checkpoint", "landbridge.migration.checkpoint")
    for host in hosts:
        made = checkpoint(stage, host, "run-2", now, took(stage, host), told)
        args = {"state": "set", "stage": stage, "host": host}
        seen.take(
            result(end + 0.1, host, "checkpoint", {"landbridge": {"checkpoint": made}}, args=args)
        )
    return end + 0.1


def decision(moment):
    parts = {
        f"{stage} on {host}": digest(stage, host) for stage in STAGES[:5] for host in DATABASES
    }
    made = {
        "digest": digest("gate"),
        "decision": "go",
        "how": "terminal",
        "parts": parts,
        "decided_by": "ops",
        "decided": iso(moment),
    }
    return {"decision": made, "checklist": ITEMS}


def whole():
    """The report of a migration that went well."""
    seen = record()
    seen.ended(START + DAY + 24.0, frozenset())
    return build(seen, START + DAY + 24.1)


def live():
    """The report of a migration whose databases were followed, and crossed."""
    seen = record(told=LIVE)
    seen.ended(START + DAY + 24.0, frozenset())
    return build(seen, START + DAY + 24.1)


def stopped():
    """The report of a run that found a difference in the verification."""
    seen = Record("migrate.yml", ["dataxfer", "verify"], "shop", START, stages=list(STAGES))
    first = snapshot("run-1", ("preflight", "postgres", "window"))
    ours = {"snapshot": first, "home": "/x", "migration": "acme"}
    seen.play_started(START, "begin", None)
    seen.task_started(START, "Hold the migration's lease", "landbridge.migration.run")
    seen.take(result(START, "shop", "run", {"landbridge": ours}))
    now = play(seen, "dataxfer", START + 20)
    seen.play_started(now, "verify | Source and target are equal", "verify")
    seen.task_started(now, "Compare every row and every object", "landbridge.migration.pg_verify")
    rows = [
        "(id)=(4711): total differs",
        "(id)=(4712): is missing on the target",
    ]
    differing = [
        {
            "table": "public.orders",
            "source_rows": 250_000,
            "target_rows": 249_999,
            "rows": rows,
            "rows_count": 2,
            "rows_complete": True,
        }
    ]
    failure = {
        "msg": "2 rows of public.orders differ, first (4711)",
        "error": {
            "code": "not_converged",
            "retryable": False,
            "hint": "See what writes to the source past the fence, then copy the table again.",
        },
        "evidence": compared("shop", differing),
    }
    seen.take(result(now + 2, "shop", "pg_verify", failure, status="failed"))
    state = {
        "msg": "shop: stage verify failed. The source is fenced and unchanged, its writers wait, "
        "the target is not yet open. Mend the cause and run `ansible-playbook migrate.yml` again, "
        "or let the source serve again by `ansible-playbook playbooks/rollback.yml`."
    }
    seen.take(result(now + 2.1, "shop", "ansible.builtin.fail", state, status="failed"))
    seen.ended(now + 3, frozenset({"shop"}))
    return build(seen, now + 3)


HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\"'&"
)


def hostile(value=None):
    """The same report, with markup in every text that comes from outside."""
    value = whole() if value is None else value
    if isinstance(value, dict):
        kept = ("outcome", "state", "severity", "decision")
        return {k: v if k in kept else _hostile_text(k, v) for k, v in value.items()}
    return value


def _hostile_text(key, value):
    if isinstance(value, str):
        timed = key in ("started", "finished", "generated", "time")
        return value if timed else f"{value}{HOSTILE}"
    if isinstance(value, list):
        return [_hostile_text("", item) for item in value]
    return hostile(value) if isinstance(value, dict) else value
