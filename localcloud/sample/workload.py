"""What each service writes: one transaction of its usual shape, and how to find its rows again."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from ..errors import LocalCloudError

Conn = psycopg.Connection[Any]

# Run inside a transaction: writes, and returns how many rows of each table carry the key.
Perform = Callable[[Conn, UUID, random.Random], dict[str, int]]


@dataclass(frozen=True, slots=True)
class Workload:
    """One service's work.

    :param perform: writes one thing under a key.
    :param rows: for each table a query of ``key``, one row for every row that carries a key.
    :param invariants: what must be 0 if every trigger and function ran as often as it should.
    """

    perform: Perform
    rows: Mapping[str, str]
    invariants: Mapping[str, str] = field(default_factory=dict)


def _one(cursor: psycopg.Cursor[Any]) -> tuple[Any, ...]:
    """Return the row of an INSERT … RETURNING."""
    for row in cursor:
        return tuple(row)
    raise LocalCloudError("INSERT … RETURNING returned nothing")


def place_order(conn: Conn, key: UUID, chance: random.Random) -> dict[str, int]:
    """Order one to four products; half of the orders are paid at once."""
    products = chance.sample(range(1, 2001), chance.randint(1, 4))
    row = _one(
        conn.execute(
            "INSERT INTO sales.orders (request_id, customer_id, details)"
            " VALUES (%s, %s, jsonb_build_object('channel', 'app', 'tags', %s::text[]))"
            " RETURNING order_id",
            (key, chance.randint(1, 50000), ["writer"]),
        )
    )
    conn.execute(
        "INSERT INTO sales.order_lines (order_id, product_id, quantity, unit_price)"
        " SELECT %s, product_id, %s, price FROM catalog.products WHERE product_id = ANY(%s)",
        (row[0], chance.randint(1, 3), products),
    )
    if chance.random() < 0.5:
        conn.execute(
            "INSERT INTO sales.payments (order_id, paid_at, amount)"
            " SELECT order_id, now(), total FROM sales.orders WHERE order_id = %s",
            row,
        )
        conn.execute("UPDATE sales.orders SET state = 'paid' WHERE order_id = %s", row)
    return {"orders": 1, "order_lines": len(products)}


SHOP = Workload(
    place_order,
    rows={
        "orders": "SELECT request_id AS key FROM sales.orders",
        "order_lines": "SELECT o.request_id AS key"
        " FROM sales.order_lines AS l JOIN sales.orders AS o USING (order_id)",
    },
    invariants={
        "orders whose total is not that of their lines": "SELECT count(*) FROM sales.orders AS o"
        " LEFT JOIN (SELECT order_id, sum(amount) AS total FROM sales.order_lines"
        " GROUP BY order_id) AS l USING (order_id) WHERE o.total <> coalesce(l.total, 0)",
        "orders not counted with their customer": "SELECT abs("
        "(SELECT count(*) FROM sales.orders) - (SELECT sum(orders_count) FROM sales.customers))",
    },
)


def log_in(conn: Conn, key: UUID, chance: random.Random) -> dict[str, int]:
    """Open a session and do some things in it; one in five users is new."""
    user_id = chance.randint(1, 40000)
    if chance.random() < 0.2:
        row = _one(
            conn.execute(
                "INSERT INTO identity.users (tenant_id, email, display_name, status)"
                " VALUES (%s, %s, 'New user', 'active') RETURNING user_id",
                (chance.randint(1, 200), f"{key}@Example.net"),
            )
        )
        user_id = row[0]
    conn.execute(
        "INSERT INTO identity.sessions (session_id, user_id, token, address, valid)"
        " VALUES (%s, %s, sha256(%s), '203.0.113.7', tstzrange(now(), NULL))",
        (key, user_id, key.bytes),
    )
    entries = chance.randint(1, 3)
    conn.execute(
        "INSERT INTO identity.audit_log (session_id, action, detail)"
        " SELECT %s, 'login', jsonb_build_object('entry', n) FROM generate_series(1, %s) AS n",
        (key, entries),
    )
    conn.execute("SELECT identity.note_login(%s)", (key,))
    return {"sessions": 1, "audit_log": entries}


IDENTITY = Workload(
    log_in,
    rows={
        "sessions": "SELECT session_id AS key FROM identity.sessions",
        "audit_log": "SELECT session_id AS key FROM identity.audit_log",
    },
    invariants={
        "log-ins not counted with their user": "SELECT abs("
        "(SELECT count(*) FROM identity.sessions WHERE address = '203.0.113.7')"
        " - (SELECT sum(logins) FROM identity.users))",
    },
)


def collect(conn: Conn, key: UUID, chance: random.Random) -> dict[str, int]:
    """Store a batch of twenty samples and up to three equal events."""
    series = chance.sample(range(1, 501), 20)
    conn.execute(
        "INSERT INTO metrics.samples (series_id, at, value, batch)"
        " SELECT s, clock_timestamp(), %s, %s FROM unnest(%s::integer[]) AS s",
        (chance.uniform(-1e6, 1e6), key, series),
    )
    events = chance.randint(1, 3)
    conn.execute(
        "INSERT INTO metrics.events (at, source, level, message, batch)"
        " SELECT now(), 'collector', 3, 'batch stored', %s FROM generate_series(1, %s)",
        (key, events),
    )
    return {"samples": len(series), "events": events}


METRICS = Workload(
    collect,
    rows={
        "samples": "SELECT batch AS key FROM metrics.samples"
        " WHERE at >= '2025-01-01 00:00+00' AND batch IS NOT NULL",
        "events": "SELECT batch AS key FROM metrics.events",
    },
)


def write_invoice(conn: Conn, key: UUID, chance: random.Random) -> dict[str, int]:
    """Write an invoice, its number from one sequence, and two more, with up to five items."""
    items = chance.randint(1, 5)
    row = _one(
        conn.execute(
            'INSERT INTO "Billing"."Invoices"'
            ' ("Request Id", "Customer", "Net", "VAT %%", "Period", "Paper")'
            " VALUES (%s, %s, %s::numeric::money, 19, daterange(current_date, NULL),"
            ' xmlelement(name "new")) RETURNING "Id"',
            (key, 1 + 2 * chance.randrange(5000), Decimal(chance.randrange(10**6)) / 100),
        )
    )
    conn.execute(
        'INSERT INTO "Billing"."Invoice Items" ("Invoice", "Pos", "Text", "Price")'
        " SELECT %s, n, 'written', n * 1.10 FROM generate_series(1, %s) AS n",
        (row[0], items),
    )
    return {"Invoices": 1, "Invoice Items": items}


LEGACY = Workload(
    write_invoice,
    rows={
        "Invoices": 'SELECT "Request Id" AS key FROM "Billing"."Invoices"',
        "Invoice Items": 'SELECT i."Request Id" AS key FROM "Billing"."Invoice Items" AS t'
        ' JOIN "Billing"."Invoices" AS i ON i."Id" = t."Invoice"',
    },
)

WORKLOADS = {"shop": SHOP, "identity": IDENTITY, "metrics": METRICS, "legacy": LEGACY}
