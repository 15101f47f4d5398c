"""Applications in a process of their own: each writes through the pooler, by its own clock.

Reads what to do as JSON on its input, writes until that ends, and says what became of it as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from typing import Any

import psycopg

WRITE = """
WITH written AS (INSERT INTO ledger (key, worker) VALUES (%s, %s) RETURNING 1)
UPDATE counted SET n = n + 1 WHERE worker = %s"""

# Waits that are told one by one; shorter ones are nobody's worry.
TOLD_S = 0.005


class Writer(threading.Thread):
    """One session, one transaction after the other; a failed one is counted and not made up for."""

    def __init__(
        self, number: int, server: dict[str, Any], every_s: float, over: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.keys: list[str] = []
        self.failed: list[str] = []
        self.waits: list[tuple[float, float]] = []  # when it was begun, how long it took
        self._conn = psycopg.connect(**server, autocommit=True, prepare_threshold=None)
        self._every_s = every_s
        self._over = over

    def run(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self._write()
            due = max(due + self._every_s, time.monotonic())

    def _write(self) -> None:
        key, began = str(uuid.uuid4()), time.monotonic()
        try:
            self._conn.execute(WRITE, [key, self.number, self.number])
            self.keys.append(key)
        except psycopg.Error as exc:
            self.failed.append(str(exc))
            if self._conn.closed:
                self._over.set()
        if (waited := time.monotonic() - began) > TOLD_S:
            self.waits.append((began, waited))


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    over = threading.Event()
    writers = [
        Writer(n + 1, asked["server"], asked["every_s"], over) for n in range(asked["count"])
    ]
    for each in writers:
        each.start()
    print("writing", flush=True)
    sys.stdin.read()
    over.set()
    for each in writers:
        each.join()
    told = {
        "keys": [key for each in writers for key in each.keys],
        "counts": {each.number: len(each.keys) for each in writers},
        "failed": [said for each in writers for said in each.failed],
        "waits": [wait for each in writers for wait in each.waits],
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
