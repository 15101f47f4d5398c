# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
r"""Copy one table, or a range of its pages: source psql into target psql, one transaction.

When the source's end dies, the target's end sees the end of the data, which is also what a
complete copy looks like. So the commit is a decision of its own that comes through a pipe of its
own: only after the source's psql ended well and both counted the same rows. Rows never share a
channel with commands, and a source can smuggle none in.
"""

from __future__ import annotations

import os
import re
import secrets
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from threading import Event
from typing import IO, NamedTuple

from ... import process
from ...errors import LandbridgeError, NotConvergedError, PostgresError
from ..connection import HINTS, RETRYABLE_SQLSTATES
from ..endpoint import Endpoint
from ..text import literal
from .part import Part
from .queue import Outcome, claim, finish

CONNECTION_LOST = 2  # psql's exit status, see its manual
POLL_S = 0.2
ENDING_S = 10.0
ERROR = re.compile(r"^(?:psql:[^\n]*?: )?(?:[^\s:]+): +([0-9A-Z]{5}): (.*)$", re.MULTILINE)


class Stopped(LandbridgeError):  # noqa: N818 - not the copy's own error
    """Another part failed, so this one was given up."""


class Sides(NamedTuple):
    """What every part of a copy shares."""

    psql: Path
    source: Endpoint
    target: Endpoint
    snapshot: str


def search_path(part: Part) -> list[str]:
    """Return what sets the path that a lenient part wants."""
    path = part.payload.get("path")
    return [] if path is None else [f"SELECT set_config('search_path', {literal(path)}, true)"]


def source_script(part: Part, snapshot: str, word: str, data: int) -> str:
    """Return what the source's psql reads: COPY to descriptor ``data``, then say the count.

    ROW_COUNT stays 0 when COPY goes to psql's own stdout, hence the descriptor.
    """
    digest = part.payload.get("digest")
    return (
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n"
        f"SET TRANSACTION SNAPSHOT '{snapshot}';\n"
        f"{part.payload['read']} \\g /dev/fd/{data}\n"
        f"\\warn {word} :ROW_COUNT\n"
    ) + (f"{digest} \\gset\n\\warn {word} digest :digest\n" if digest else "")


def target_commands(part: Part, word: str, commands: int) -> list[str]:
    """Return the arguments of the target's psql; what comes last reads the decision."""
    path = search_path(part)
    before = "; ".join(["BEGIN", claim(part), *path, *part.payload["before"]])
    count, decision = f"\\echo {word} :ROW_COUNT", f"\\i /dev/fd/{commands}"
    texts = [before, part.payload["write"], count, decision]
    return [arg for text in texts for arg in ("-c", text)]


def commit_script(part: Part, outcome: Outcome, word: str, digest: str | None) -> str:
    """Return the decision to commit, with the part's mark."""
    after = [f"{statement};" for statement in part.payload["after"]]
    if digest is not None:
        after.append(f"DO {literal(_same_digest(part.payload['digest'], digest))};")
    mark = f"{finish(part.id, outcome)};"
    return "\n".join([*after, mark, "COMMIT;", f"\\echo {word} COMMITTED", ""])


def _same_digest(query: str, expected: str) -> str:
    return f"""BEGIN
  IF (SELECT digest FROM ({query}) AS found) IS DISTINCT FROM {literal(expected)} THEN
    RAISE EXCEPTION 'the copy differs from the source' USING ERRCODE = 'data_exception';
  END IF;
END"""  # noqa: S608 - a query of our own


def copy(part: Part, sides: Sides, stop: Event) -> Outcome:
    """Copy a part and commit it. Raise PostgresError or NotConvergedError; then nothing is."""
    started = time.monotonic()
    with ExitStack() as stack:
        pair = _Pair(part, sides, stack)
        rows = pair.transfer(stop)
        tables = {str(part.payload["oid"]): rows} if "oid" in part.payload else {}
        outcome = Outcome(rows, time.monotonic() - started, tables)
        pair.commit(outcome, stop)
    return outcome


class _Pair:
    """The two psqls of one part."""

    def __init__(self, part: Part, sides: Sides, stack: ExitStack) -> None:
        self.part = part
        self.word = secrets.token_hex(8)  # neither server can know it, so neither can forge it
        data_out, data_in = os.pipe()
        orders_out, orders_in = os.pipe()
        self.orders = stack.enter_context(os.fdopen(orders_in, "wb", buffering=0))
        try:
            options = ["-qXAt", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]
            self.target = process.spawn(
                [sides.psql, *options, *target_commands(part, self.word, orders_out),
                 "-d", sides.target.conninfo],
                env=sides.target.env, stdin=data_out, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, pass_fds=[orders_out],
            )  # fmt: skip
            stack.callback(_dispose, self.target)
            self.source = process.spawn(
                [sides.psql, *options, "-f", "-", "-d", sides.source.conninfo],
                env=sides.source.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                pass_fds=[data_in],
            )  # fmt: skip
            stack.callback(_dispose, self.source)
        finally:
            for fd in (data_out, data_in, orders_out):
                os.close(fd)
        script = source_script(part, sides.snapshot, self.word, data_in)
        with suppress(BrokenPipeError), _stream(self.source.stdin) as stdin:
            stdin.write(script.encode(errors="surrogateescape"))
        self.said = stack.enter_context(closing(_Said(self.source, self.target)))

    def transfer(self, stop: Event) -> int:
        """Wait for both ends of the rows. Return how many there were."""
        counted = re.compile(rf"^{self.word} (\d+)$", re.MULTILINE)

        def over() -> bool:
            source_over = self.said.closed("source_err")
            if self.said.closed("target_out") or (source_over and self.source.wait() != 0):
                return True
            return source_over and counted.search(self.said.target_out) is not None

        self.said.listen(over, stop)
        if self.said.closed("source_err") and (status := self.source.wait()) != 0:
            # Nobody took its rows any more: what ended the target's end is the reason.
            raise self._error("target" if status == -signal.SIGPIPE else "source")
        if not (received := counted.search(self.said.target_out)):
            raise self._error("target")
        sent = counted.search(self.said.source_err)
        if sent is None or sent[1] != received[1]:
            raise NotConvergedError(
                f"{self.part.label}: the source sent {sent[1] if sent else 'an unknown number of'}"
                f" rows, the target took {received[1]}",
                hint="Run it again; nothing of this table was kept.",
            )
        return int(received[1])

    def commit(self, outcome: Outcome, stop: Event) -> None:
        digest = re.search(rf"^{self.word} digest (.*)$", self.said.source_err, re.MULTILINE)
        script = commit_script(self.part, outcome, self.word, digest[1] if digest else None)
        with suppress(BrokenPipeError):
            self.orders.write(script.encode(errors="surrogateescape"))
        self.orders.close()
        self.said.listen(lambda: self.said.closed("target_out"), stop)
        if self.target.wait() != 0 or f"{self.word} COMMITTED" not in self.said.target_out:
            raise self._error("target")

    def _error(self, side: str) -> PostgresError:
        of_target = side == "target"
        child, name = (self.target, "target_err") if of_target else (self.source, "source_err")
        self.said.drain(name)
        # Its streams are closed a moment before it can be waited for.
        status = child.wait() if self.said.closed(name) else None
        said = self.said.target_err if of_target else self.said.source_err
        return complaint(side, self.part.label, status, said)


def complaint(side: str, label: str, status: int | None, said: str) -> PostgresError:
    """Return psql's first error in our terms; details may hold rows, so they are left out."""
    found = ERROR.search(said)
    sqlstate = found[1] if found else None
    lines = [line for line in said.splitlines() if line.strip()]
    message = found[2] if found else (lines or [f"psql ended with status {status}"])[0]
    return PostgresError(
        f"{side}: {label}: {message}",
        retryable=sqlstate in RETRYABLE_SQLSTATES or (not found and status == CONNECTION_LOST),
        hint=HINTS.get(sqlstate or "", ""),
        sqlstate=sqlstate,
    )


class _Said:
    """What the children write beside the rows, read as it comes so that none of them blocks."""

    def __init__(self, source: subprocess.Popen[bytes], target: subprocess.Popen[bytes]) -> None:
        self._texts: dict[str, bytearray] = {}
        self._selector = selectors.DefaultSelector()
        streams = {
            "source_err": source.stderr, "target_out": target.stdout, "target_err": target.stderr,
        }  # fmt: skip
        for name, stream in streams.items():
            self._texts[name] = bytearray()
            self._selector.register(_stream(stream), selectors.EVENT_READ, name)

    @property
    def source_err(self) -> str:
        return self._texts["source_err"].decode(errors="replace")

    @property
    def target_out(self) -> str:
        return self._texts["target_out"].decode(errors="replace")

    @property
    def target_err(self) -> str:
        return self._texts["target_err"].decode(errors="replace")

    def closed(self, name: str) -> bool:
        return all(key.data != name for key in self._selector.get_map().values())

    def close(self) -> None:
        self._selector.close()

    def listen(self, over: Callable[[], bool], stop: Event) -> None:
        """Read until ``over``. Raise Stopped if the whole copy is given up."""
        while not over():
            if stop.is_set():
                raise Stopped("given up")
            self._read(POLL_S)

    def drain(self, name: str) -> None:
        """Read what a child that is ending still has to say."""
        deadline = time.monotonic() + ENDING_S
        while not self.closed(name) and time.monotonic() < deadline:
            self._read(POLL_S)

    def _read(self, timeout_s: float) -> None:
        for key, _unused in self._selector.select(timeout_s):
            if chunk := os.read(key.fd, 65536):
                self._texts[key.data] += chunk
            else:
                self._selector.unregister(key.fileobj)


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise LandbridgeError("a child was started without its pipes")
    return stream


def _dispose(child: subprocess.Popen[bytes]) -> None:
    process.end(child)
    streams: Sequence[IO[bytes] | None] = (child.stdin, child.stdout, child.stderr)
    for stream in filter(None, streams):
        stream.close()
