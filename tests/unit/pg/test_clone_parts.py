"""What a part is done with: commands, statements and decisions, from plain values."""

from dataclasses import replace
from pathlib import Path
from threading import Barrier, Event

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import (
    PostgresError,
    PreconditionError,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg import binaries, endpoint
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone import (
    activity,
    batch,
    copy,
    grants,
    large_objects,
    meter,
    queue,
    resume,
    schema,
    sessions,
    settings,
    statements,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone.ownership import (
    Key,
    Right,
    State,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone.part import (
    BARRIER,
    BATCH,
    COPY,
    SQL,
    Part,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone.queue import Outcome
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone.workers import Workers

ROWS = Part(
    "copy:1", COPY, "public.t", 1.0,
    payload={
        "oid": 1, "target": '"public"."t"', "read": 'COPY "public"."t" TO STDOUT',
        "before": ['TRUNCATE ONLY "public"."t"'], "write": 'COPY "public"."t" FROM STDIN',
        "after": ['ANALYZE "public"."t"'], "undo": ['TRUNCATE ONLY "public"."t"'],
    },
)  # fmt: skip


class TestPipe:
    def test_the_source_sends_to_a_descriptor_and_says_the_count_elsewhere(self):
        script = copy.source_script(ROWS, "00000003-1", "word", 7).splitlines()
        assert script[-2:] == [
            'COPY "public"."t" TO STDOUT \\g /dev/fd/7',
            "\\warn word :ROW_COUNT",
        ]
        assert "SET TRANSACTION SNAPSHOT '00000003-1';" in script

    def test_the_target_reads_its_decision_from_a_channel_of_its_own(self):
        commands = copy.target_commands(ROWS, "word", 9)
        assert commands[::2] == ["-c"] * 4
        assert commands[1].startswith("BEGIN; DO ")
        assert commands[1].endswith('; TRUNCATE ONLY "public"."t"')
        assert commands[5:] == ["\\echo word :ROW_COUNT", "-c", "\\i /dev/fd/9"]

    def test_the_decision_marks_the_part_before_it_commits(self):
        script = copy.commit_script(ROWS, Outcome(3, 1.5), "word", None).splitlines()
        assert script[0] == 'ANALYZE "public"."t";'
        assert script[1].startswith("UPDATE landbridge.part SET finished")
        assert script[2:] == ["COMMIT;", "\\echo word COMMITTED"]

    def test_a_digest_is_compared_before_the_commit(self):
        part = Part("objects:1", COPY, "", 1, payload={**ROWS.payload, "digest": "SELECT 1 AS d"})
        script = copy.commit_script(part, Outcome(3), "word", "it's")
        assert script.index("IS DISTINCT FROM ''it''''s''") < script.index("COMMIT;")

    @pytest.mark.parametrize(
        "said, status, message, sqlstate, retryable",
        [
            pytest.param(
                "psql:<stdin>:3: FATAL:  57P01: terminating connection\nLOCATION:  x", 2,
                "terminating connection", "57P01", True, id="terminated",
            ),
            pytest.param(
                'ERROR:  23514: new row violates check "c"\nDETAIL:  Failing row (secret).', 1,
                'new row violates check "c"', "23514", False, id="refused row",
            ),
            pytest.param(
                'psql: error: connection to server at "h" failed: Connection refused', 2,
                'psql: error: connection to server at "h" failed: Connection refused', None, True,
                id="no connection",
            ),
            pytest.param("", -9, "psql ended with status -9", None, False, id="killed"),
        ],
    )  # fmt: skip
    def test_psqls_words_become_an_error(self, said, status, message, sqlstate, retryable):
        error = copy.complaint("source", "t", status, said)
        assert str(error) == f"source: t: {message}"
        assert (error.sqlstate, error.retryable) == (sqlstate, retryable)


# A psql whose connection is lost. As the target's, it has closed its streams a while before it is
# over, as any process has on a busy machine.
LOST = """#!/bin/sh
case "$*" in *"-f -"*) exec sleep 10;; esac
echo 'SSL SYSCALL error: EOF detected' >&2
exec >&- 2>&-
sleep 0.3
exit 2
"""


def test_how_a_child_ended_is_waited_for_when_it_has_said_all(tmp_path):
    psql = tmp_path / "psql"
    psql.write_text(LOST)
    psql.chmod(0o755)
    here = endpoint.Endpoint("either", "", {"PATH": "/usr/bin:/bin"}, 170000)
    with pytest.raises(PostgresError, match="SSL SYSCALL error") as caught:
        copy.copy(ROWS, copy.Sides(psql, here, here, "1"), Event())
    assert caught.value.retryable is True


class TestBatch:
    part = Part("batch:0", BATCH, "", 1, payload={"tables": [
        {"oid": 1, "name": "a", "target": '"a"', "columns": ["x"], "create": ["CREATE TABLE a"],
         "copy": True, "after": ["CREATE INDEX"]},
        {"oid": 2, "name": "b", "target": '"b"', "columns": [], "create": None, "copy": True,
         "after": []},
        {"oid": 3, "name": "c", "target": '"c"', "columns": [], "create": None, "copy": False,
         "after": []},
    ]})  # fmt: skip

    def test_it_is_one_query_on_each_side(self):
        assert batch.source_query(self.part.payload["tables"]) == (
            'COPY "a" (x) TO STDOUT;COPY "b" TO STDOUT;'
        )
        text = batch.target_query(self.part)
        assert text.startswith("BEGIN;\nDO ")
        assert text.split(";\n")[-6:] == [
            "CREATE TABLE a", 'COPY "a" (x) FROM STDIN', "CREATE INDEX",
            'TRUNCATE ONLY "b"', 'COPY "b" FROM STDIN', 'ANALYZE "a", "b", "c";',
        ]  # fmt: skip
        assert "COMMIT" not in batch.target_query(self.part)

    def test_taking_it_back_drops_what_it_made_and_forgets_it(self):
        text = resume.undo_text([self.part, ROWS], {"1": (1, 0, 0, 5)})
        assert 'DROP TABLE "a"' in text
        assert '"b"' not in text
        assert 'TRUNCATE ONLY "public"."t"' in text
        assert "ARRAY['batch:0', 'copy:1']" in text


class TestStatements:
    def test_all_or_none_is_one_transaction_with_its_settings(self):
        part = Part("index:1", SQL, "", 1, payload={
            "statements": ["CREATE INDEX"], "settings": {"maintenance_work_mem": "64MB"},
        })  # fmt: skip
        text = statements.query(part)
        assert text.startswith("BEGIN;\nDO ")
        assert text.endswith("SET LOCAL maintenance_work_mem = '64MB';\nCREATE INDEX;")

    def test_each_for_itself_is_quoted_as_often_as_it_is_nested(self):
        assert "'it''''s'" in statements.try_each(["it's"])

    def test_a_claim_fails_when_another_has_the_part(self):
        assert "FOR UPDATE SKIP LOCKED" in queue.claim(ROWS)
        assert queue.TAKEN in queue.claim(ROWS)

    def test_a_part_of_an_epoch_is_claimed_by_that_epoch_only(self):
        assert "landbridge.epoch" not in queue.claim(ROWS)
        assert "WHERE part = id AND number = 2)" in queue.claim(replace(ROWS, epoch=2))


def rights(owner, *more, default=("SELECT", "INSERT")):
    found = {Right(owner, owner, privilege): False for privilege in default}
    return found | {Right(*right[:3]): right[3] if len(right) > 3 else False for right in more}


def state(owner, *more, default=("SELECT", "INSERT")):
    """A table's state: its owner's rights, and more."""
    return State(owner, False, "public", rights(owner, *more, default=default), rights(owner))


class TestGrants:
    roles = grants.Roles(
        {"old_owner": "owner", "nobody": None}, frozenset({"owner", "app", "admin", "giver"})
    )
    key = Key("TABLE", "public.t")

    def changes(self, wanted, now):
        return grants.plan_grants({self.key: wanted}, {self.key: now}, self.roles)

    def test_only_what_differs_from_the_default_is_carried(self):
        wanted = state("old_owner", ("old_owner", "app", "SELECT"))
        default = rights("owner", default=("SELECT", "INSERT", "MAINTAIN"))
        now = State("owner", False, "public", default, default)
        assert self.changes(wanted, now) == ['GRANT SELECT ON TABLE public.t TO "app"']
        assert self.changes(wanted, State(
            "owner", False, "public", {**default, Right("owner", "app", "SELECT"): False}, default
        )) == []  # fmt: skip

    def test_a_right_that_the_owner_gave_up_is_revoked(self):
        wanted = state("old_owner", default=("SELECT",))
        now = state("owner")
        assert self.changes(wanted, now) == ['REVOKE INSERT ON TABLE public.t FROM "owner"']

    def test_rights_of_roles_that_do_not_come_are_left_out(self):
        wanted = state(
            "old_owner", ("old_owner", "nobody", "SELECT"), ("old_owner", "gone", "SELECT")
        )
        now = state("owner")
        assert self.changes(wanted, now) == []
        findings = list(grants._missing_roles({self.key: wanted}, self.roles))
        assert [finding.object for finding in findings] == ["gone"]

    def test_what_is_passed_on_is_granted_by_who_passed_it_on_and_later(self):
        wanted = state(
            "old_owner", ("giver", "app", "SELECT"), ("old_owner", "giver", "SELECT", True)
        )
        now = state("owner")
        assert self.changes(wanted, now) == [
            'GRANT SELECT ON TABLE public.t TO "giver" WITH GRANT OPTION',
            'SET LOCAL ROLE "giver"; GRANT SELECT ON TABLE public.t TO "app"; RESET ROLE',
        ]

    def test_columns_and_default_privileges_have_their_own_words(self):
        column = Key("TABLE", "public.t", "a")
        default = Key("DEFAULT", "r", "shop", "old_owner")
        right = {Right("old_owner", "app", "SELECT"): False}
        wanted = {
            column: State("old_owner", False, "public", right, {}),
            default: State("old_owner", True, "", right, {}),
        }
        found = {self.key: State("owner", False, "public", rights("owner"), rights("owner"))}
        assert grants.plan_grants(wanted, found, self.roles) == [
            'GRANT SELECT (a) ON TABLE public.t TO "app"',
            'ALTER DEFAULT PRIVILEGES FOR ROLE "owner" IN SCHEMA shop'
            ' GRANT SELECT ON TABLES TO "app"',
        ]

    def test_schemas_get_their_owners_first_and_fixed_things_none(self):
        state = State("old_owner", False, "", {}, {})
        now = State("admin", False, "", {}, {})
        wanted = {
            self.key: state,
            Key("SCHEMA", "shop"): state,
            Key("SEQUENCE", "s"): State("old_owner", True, "", {}, {}),
        }
        assert grants.plan_owners(wanted, dict.fromkeys(wanted, now), self.roles) == [
            'ALTER SCHEMA shop OWNER TO "owner"', 'ALTER TABLE public.t OWNER TO "owner"',
        ]  # fmt: skip


class TestPolicies:
    @pytest.mark.parametrize(
        "statement, mapped",
        [
            pytest.param(
                'CREATE POLICY "a TO b" ON s.t FOR ALL TO old, "o""x" USING ((x = \' TO y\'))',
                'CREATE POLICY "a TO b" ON s.t FOR ALL TO "new", "o""x" USING ((x = \' TO y\'))',
                id="renamed",
            ),
            pytest.param("CREATE POLICY p ON s.t TO nobody", None, id="nobody"),
            pytest.param("CREATE POLICY p ON s.t", "CREATE POLICY p ON s.t", id="public"),
        ],
    )
    def test_roles_are_mapped_and_nothing_else(self, statement, mapped):
        assert schema.map_policy(statement, {"old": "new", "nobody": None}) == mapped


class TestSettings:
    def test_lists_stay_as_they_are_quoted_and_others_are_quoted(self):
        wanted = {("", "search_path"): '"$user", public', ("app", "work_mem"): "7MB"}
        assert settings.plan(wanted, {}, 'a"b', {"app": "new"}) == [
            'ALTER DATABASE "a""b" SET "search_path" TO "$user", public',
            'ALTER ROLE "new" IN DATABASE "a""b" SET "work_mem" TO \'7MB\'',
        ]

    def test_what_is_there_or_closed_the_source_is_not_set(self):
        wanted = {("", "work_mem"): "7MB", ("", settings.CLOSED): "on", ("gone", "x"): "1"}
        assert settings.plan(wanted, {("", "work_mem"): "7MB"}, "d", {"gone": None}) == []


class TestActivity:
    @pytest.mark.parametrize(
        "before, now, changed",
        [
            pytest.param((1, 1, 1, 5), (1, 1, 1, 5), [], id="quiet"),
            pytest.param((1, 1, 1, 5), (2, 1, 1, 5), ["9"], id="written"),
            pytest.param((1, 1, 1, 5), (1, 1, 1, 6), ["9"], id="truncated"),
            pytest.param((9, 9, 9, 5), (0, 0, 0, 5), [], id="counters reset"),
        ],
    )
    def test_a_table_was_written_to_if_its_counters_say_so(self, before, now, changed):
        assert activity.changed({"9": before}, {"9": now}) == changed

    def test_tables_made_and_dropped_count(self):
        assert activity.changed({"1": (0, 0, 0, 1)}, {"2": (0, 0, 0, 2)}) == ["1", "2"]


class TestPrograms:
    @staticmethod
    def tool(major, minor=0):
        return binaries.Tool(Path(f"/{major}.{minor}/pg_dump"), binaries.Version(major, minor))

    def test_the_newest_that_the_target_understands_is_tried_first(self):
        tools = [self.tool(n) for n in (14, 15, 16, 17, 18)] + [self.tool(16, 2)]
        found = [str(tool.version) for tool in binaries.rank(tools, 15, 17)]
        assert found == ["17.0", "16.2", "16.0", "15.0", "18.0"]

    @pytest.mark.parametrize(
        "text, version",
        [
            pytest.param("pg_dump (PostgreSQL) 17.10", (17, 10), id="release"),
            pytest.param("psql (PostgreSQL) 18beta1 (Debian 18~1)", (18, 0), id="beta"),
            pytest.param("what?", None, id="something else"),
        ],
    )
    def test_a_version_is_read(self, text, version):
        assert binaries.parse_version(text) == version


class TestEndpoint:
    def test_a_password_is_escaped_as_its_file_wants_it(self):
        assert endpoint.password_line("a:b\\c") == "*:*:*:*:a\\:b\\\\c\n"

    def test_a_password_that_no_file_can_hold_is_refused(self):
        with pytest.raises(PreconditionError):
            endpoint.password_line("a\nb")


@pytest.mark.parametrize("rtt_ms, count", [(0.1, 2), (2, 3), (4, 4), (50, 16), (500, 16)], ids=str)
def test_sessions_for_small_tables_grow_with_the_distance(rtt_ms, count):
    assert sessions.small_sessions(2, rtt_ms) == count


def test_large_objects_are_grouped_and_a_large_one_goes_alone():
    objects = [large_objects.LargeObject(n, size) for n, size in enumerate((1, 1, 10**9, 1))]
    assert [len(group) for group in large_objects.groups(objects)] == [2, 1, 1]


class Recording:
    """A worker that notes what it was given."""

    def __init__(self, log, fail=None):
        self.log = log
        self.fail = fail

    def do(self, part):
        if self.fail:
            self.fail(part)
        self.log.append(part.id)
        return Outcome(1)

    def recover(self):
        self.log.append("recovered")

    def cancel(self):
        self.log.append("cancelled")


class TestWorkers:
    parts = (
        Part("small", BATCH, "", 0.1),
        Part("big", COPY, "", 5.0),
        Part("slow index's table", COPY, "", 1.0),
        Part("index", SQL, "", 9.0, ("slow index's table",)),
        Part("all", BARRIER, "", 0.0, ("small", "big", "slow index's table", "index")),
        Part("last", SQL, "", 1.0, ("all",)),
    )

    def run(self, fail=None, done=(), heavy=1, light=0):
        log = []
        workers = Workers(
            self.parts, dict.fromkeys(done, Outcome()), lambda stop, stack: Recording(log, fail)
        )
        return log, workers.run(heavy, light)

    def test_the_longest_chain_goes_first_and_all_is_done(self):
        log, done = self.run()
        assert log == ["slow index's table", "index", "big", "small", "last"]
        assert set(done) == {part.id for part in self.parts}

    def test_what_is_done_is_not_done_again(self):
        log, _ = self.run(done=["big", "slow index's table"])
        assert log == ["index", "small", "last"]

    def test_an_error_ends_all_and_cancels_what_runs(self):
        def fail(part):
            if part.id == "big":
                raise PostgresError("target: no")

        log = []
        workers = Workers(self.parts, {}, lambda stop, stack: Recording(log, fail))
        with pytest.raises(PostgresError, match="target: no"):
            workers.run(1, 0)
        assert log == ["slow index's table", "index", "cancelled"]

    def test_a_deadlock_is_tried_again_with_new_sessions(self):
        seen = []

        def fail(part):
            if part.id == "big" and len(seen) < 2:
                seen.append(part.id)
                raise PostgresError("target: deadlock", sqlstate="40P01")

        log, _ = self.run(fail)
        assert log.count("recovered") == 2
        assert "big" in log

    def test_a_light_worker_that_gets_no_session_leaves_its_part_to_others(self):
        first = Event()

        def fail(part):
            if part.kind == BATCH and not first.is_set():
                first.set()
                raise PostgresError("target: too many", sqlstate="53300")
            first.wait(10)

        log, done = self.run(fail, heavy=1, light=1)
        assert log.count("small") == 1
        assert "last" in done

    def test_parts_are_done_side_by_side(self):
        both = Barrier(2, timeout=10)

        def fail(part):
            if part.kind == COPY:
                both.wait()

        log, _ = self.run(fail, heavy=2)
        assert {"big", "slow index's table"} <= set(log)


def test_a_phase_is_the_earliest_kind_under_way():
    running = [Part("a", SQL, "", 1, phase="index"), Part("b", COPY, "", 1)]
    assert meter._phase(running) == "copy"
    assert meter._phase([]) == "finish"
