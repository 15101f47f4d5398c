# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PgBouncer on its own: its admin console, and its file where this process can reach it.

What each command waits for was read in PgBouncer's source (admin.c, janitor.c, objects.c):

- PAUSE closes idle connections to the server at once and answers in that turn of the event loop
  in which the last transaction ended, not at the next tick of maintenance. But its answer waits
  for every database that is being paused, by whomever. So a second session looks at ours.
- PAUSE also breaks off logins to the server that are under way, and counts them as failed. From
  then until one succeeds, each query that comes is answered with an error ("server login has been
  failing"). So a pause begins in a moment without a login.
- RELOAD reads the whole file and sets TLS up anew; see findings for what makes that slow. With TLS
  to the servers it also renews the connections of every database, each after its transaction, and
  breaks off logins as PAUSE does. So crossings through one PgBouncer take turns, from before PAUSE
  until the clients have connections again.
- RESUME answers at once. Connections to the new server are then made one at a time for each pair
  of database and role, so the first transaction waits for one login.
- A restarted PgBouncer has forgotten every PAUSE and reads the file as it is then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from ..errors import DeadlineError, NotConvergedError, PostgresError, PreconditionError
from ..pg.finding import Finding
from ..waiting import Deadline
from . import ini, observed
from .console import ANSWER_S, Console, command, first_answered
from .findings import of_file, of_settings
from .ini_file import IniFile
from .pooler import Route

DATABASES = "SHOW DATABASES"
POOLS = "SHOW POOLS"

# How soon the second session looks whether our database is quiet while PAUSE has not answered.
LOOK_EVERY_S = 0.02

# How long a login that is not ours to wait for is waited for.
SHORT_WHILE_S = 2.0

# How long a pause waits for its turn, while nobody is held up yet.
TURN_WAIT_S = 60.0

REPORTED = 100


class PgBouncer:
    """One PgBouncer; see pooler.Pooler.

    >>> with opened({"host": "127.0.0.1", "port": 6432, …}, "/etc/pgbouncer/pgbouncer.ini") as it:
    ...     it.pause("shop", 5)
    ...     it.switch("shop", "pg.new.example", 5432, "shop")
    ...     it.resume("shop")

    Sessions stay open, so each verb costs one round trip. One that was lost is an error once, so
    that a restart is noticed, and opened again for the next verb.
    """

    def __init__(
        self, server: Mapping[str, Any], config_file: str | None, turn_wait_s: float = TURN_WAIT_S
    ) -> None:
        self._server = server
        self._turn_wait_s = turn_wait_s
        self._config_file = config_file
        self._first: Console | None = None
        self._second: Console | None = None
        self._files: dict[str, IniFile] = {}

    def open(self) -> None:
        """Open the console now instead of with the first verb."""
        with self._lost_together():
            self._console()

    def close(self) -> None:
        self._close_sessions()
        for file in self._files.values():
            file.forget()
            file.end_turn()

    def _close_sessions(self) -> None:
        for console in (self._first, self._second):
            if console is not None:
                console.close()
        self._first = self._second = None

    @contextmanager
    def _lost_together(self) -> Iterator[None]:
        """Close both sessions if one was lost: the other would tell the same again, later."""
        try:
            yield
        except PostgresError:
            if self._lost:
                self._close_sessions()
            raise

    @property
    def _lost(self) -> bool:
        return any(console and console.closed for console in (self._first, self._second))

    @contextmanager
    def _turn_ended_in_vain(self, dbname: str) -> Iterator[None]:
        """Let the next crossing begin if nothing was paused in time."""
        try:
            yield
        except DeadlineError:
            if dbname in self._files:
                self._files[dbname].end_turn()
            raise

    def read(self, dbname: str) -> Route:
        with self._lost_together():
            return observed.route(self._console().ask(DATABASES), dbname)

    def findings(self, dbname: str, pause_s: float) -> list[Finding]:
        console = self._console()
        row = observed.row(console.ask(DATABASES), dbname)
        settings = {each["key"] or "": each["value"] or "" for each in console.ask("SHOW CONFIG")}
        if row.get("pool_mode"):
            settings["pool_mode"] = row["pool_mode"] or ""
        found = of_settings(dbname, settings, pause_s)
        if self._config_file is not None:
            route = observed.route([row], dbname)
            found += of_file(dbname, route, ini.read(self._file(dbname).read(), dbname))
        return found

    def prepare(self, dbname: str, host: str, port: int, target_dbname: str) -> None:
        target = ini.Target(host, port, target_dbname)
        self._file(dbname).prepare(lambda text: ini.edited(text, dbname, target))
        self._console()
        self._watch()

    def pause(self, dbname: str, timeout_s: float) -> None:
        if self._config_file is not None:
            self._file(dbname).take_turn(Deadline(self._turn_wait_s))
        deadline = Deadline(timeout_s)
        with self._lost_together(), self._turn_ended_in_vain(dbname):
            self._await_logins(dbname, deadline)
            try:
                self._pause(dbname, deadline)
            except PostgresError:
                if self._lost or not self.read(dbname).paused:
                    raise

    def switch(self, dbname: str, host: str, port: int, target_dbname: str) -> None:
        target = ini.Target(host, port, target_dbname)
        self._file(dbname).change(lambda text: ini.edited(text, dbname, target))
        with self._lost_together():
            console, watch = self._console(), self._watch()
            console.send("RELOAD")
            watch.send(DATABASES)  # if it answers before RELOAD is done, it is asked again
            console.answer()
            route = observed.route(watch.answer(), dbname)
        if not route.leads_to(*target):
            route = self.read(dbname)
        if not route.leads_to(*target):
            raise NotConvergedError(
                f"pooler: {dbname} still leads to {route.host}:{route.port} after RELOAD",
                hint=f"Look into PgBouncer's log, and whether it reads {self._config_file}.",
            )

    def resume(self, dbname: str) -> None:
        with self._lost_together():
            try:
                self._console().ask(command("RESUME", dbname))
            except PostgresError:
                if self._lost or self.read(dbname).paused:
                    raise  # else it was not paused, which is what is wanted

    def settle(self, dbname: str) -> None:
        if (file := self._files.get(dbname)) is None:
            return
        file.settle()
        with self._lost_together():
            self._grown(dbname, Deadline(SHORT_WHILE_S))
        file.end_turn()

    def _await_logins(self, dbname: str, deadline: Deadline) -> None:
        """Wait until no connection to a server is being made; nobody is held up by this."""
        console = self._console()
        if observed.row(console.ask(DATABASES), dbname)["paused"] == "1":
            return
        others_s = min(SHORT_WHILE_S, deadline.left_s / 4)  # they may never be quiet
        self._grown(None, deadline.within(others_s))
        if not self._grown(dbname, deadline):
            raise DeadlineError(
                f"pooler: {dbname}: connections to its server were being made for"
                f" {deadline.timeout_s:g} s; nothing was paused",
                retryable=True,
                hint="Choose a moment when no new clients come, or give them a larger pool.",
            )

    def _grown(self, dbname: str | None, deadline: Deadline) -> bool:
        """Wait until nobody logs in to a server (of one database); tell whether that came.

        A round trip is all the pause there is between two looks: what is awaited takes about one.
        """
        console = self._console()
        sizes = {row["name"]: int(row["pool_size"] or 0) for row in console.ask(DATABASES)}
        while any(
            observed.grows(row, sizes.get(row["database"], 0))
            for row in console.ask(POOLS)
            if dbname in (None, row["database"])
        ):
            if deadline.passed:
                return False
        return True

    def _pause(self, dbname: str, deadline: Deadline) -> None:
        console = self._console()
        console.send(command("PAUSE", dbname))
        while not console.answered(min(LOOK_EVERY_S, deadline.left_s)):
            watch = self._watch()
            watch.send(DATABASES)
            if first_answered([console, watch], ANSWER_S) is console:
                break
            if observed.quiet(observed.row(watch.answer(), dbname)):
                self._use_second()  # the first one's answer waits for somebody else's database
                return
            if deadline.passed:
                self._give_up(dbname, deadline.timeout_s)
        console.answer()

    def _give_up(self, dbname: str, timeout_s: float) -> NoReturn:
        """Let everyone go on. Raise DeadlineError, naming what held the pause."""
        self._use_second()
        console = self._console()
        servers = [each for each in console.ask("SHOW SERVERS") if each["database"] == dbname]
        console.ask(command("RESUME", dbname))
        holders = observed.holders(servers, console.ask("SHOW CLIENTS"))
        first = f": first {observed.said(holders[0])}" if holders else ""
        raise DeadlineError(
            f"pooler: {len(holders)} transactions of {dbname} did not end within"
            f" {timeout_s:g} s{first}; it was resumed",
            retryable=True,
            hint="End them, or choose a moment without long transactions, and run again.",
            result={"holders": holders[:REPORTED], "holders_count": len(holders)},
        )

    def _console(self) -> Console:
        if self._first is None or self._first.closed:
            self._first = Console(self._server)
        return self._first

    def _watch(self) -> Console:
        if self._second is None or self._second.closed:
            self._second = Console(self._server)
        return self._second

    def _use_second(self) -> None:
        """Leave a session whose answer may come at any time, to any command."""
        if self._first is not None:
            self._first.close()
        self._first, self._second = self._second, None

    def _file(self, dbname: str) -> IniFile:
        if self._config_file is None:
            raise PreconditionError(
                "pooler: where PgBouncer's file is was not said",
                hint="Set config_file to the file that has the database's line.",
            )
        return self._files.setdefault(dbname, IniFile(self._config_file, dbname))


@contextmanager
def opened(server: Mapping[str, Any], config_file: str | None) -> Iterator[PgBouncer]:
    """Yield a driver that reaches its console, closed when the block ends."""
    pooler = PgBouncer(server, config_file)
    try:
        pooler.open()
        yield pooler
    finally:
        pooler.close()
