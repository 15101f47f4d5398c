"""pg_follow_info against real servers: what endangers a link is seen, and which row stopped it."""

from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import (
    address,
    applied,
    canary,
    conflict,
    fingerprint,
    link,
    replication_role,
)
from ansible_collections.landbridge.migration.plugins.module_utils.waiting import Deadline
from ansible_collections.landbridge.migration.plugins.modules import pg_follow, pg_follow_info

pytestmark = pytest.mark.postgres

TABLES = [
    "CREATE TABLE public.t (id int PRIMARY KEY, word text, doc json)",
    "CREATE TABLE public.log (at int)",
    "ALTER TABLE public.log REPLICA IDENTITY FULL",
    "CREATE UNLOGGED TABLE public.fast (id int)",
]
NAMES = [("public", "t"), ("public", "log")]


class Followed:
    """Two databases, one of which follows the other, and how they are asked about it."""

    def __init__(self, source, target, publisher, subscriber, run_module):
        self.servers = {"source": source, "target": target}
        self.publisher, self.subscriber = publisher, subscriber
        self.run_module = run_module
        self.link = link.between(link.identify(publisher), link.identify(subscriber))

    def info(self, **params):
        result = self.run_module(pg_follow_info, **self.servers, watch_s=0, **params)
        assert "guards" in result, result
        return result

    def guards(self, **params):
        return {each["code"]: each for each in self.info(**params)["guards"]}

    def arrived(self):
        canary.wait_arrived(
            self.subscriber, self.link, canary.beat(self.publisher, self.link), Deadline(30)
        )


@pytest.fixture
def followed(source, target, run_module):
    with following(source, target, run_module) as made:
        yield made


@contextmanager
def following(source, target, run_module):
    with connect("source", source) as publisher, connect("target", target) as subscriber:
        for conn in (publisher, subscriber):
            for statement in TABLES:
                conn.execute(statement)
        made = Followed(source, target, publisher, subscriber, run_module)
        link.publish(publisher, made.link, NAMES)
        login = replication_role.converge_present(publisher, made.link, source)
        with link.make_slot("source", source, made.link, Deadline(60)):
            fingerprint.keep(subscriber, made.link, fingerprint.take(publisher))
        way = address.seen(source, None, login)
        link.subscribe("target", subscriber, made.link, way, run_as_owner=False)
        made.arrived()
        yield made
        link.unsubscribe(subscriber, made.link)
        link.unpublish(publisher, made.link)
        replication_role.converge_absent(publisher, made.link)


@pytest.mark.parametrize("major", [13, 15, 17], ids=lambda major: f"from-{major}")
def test_a_link_that_follows_has_small_lag_and_no_guard(
    major, request, target, run_module, eventually
):
    source = request.getfixturevalue("source")
    with following(source, target, run_module) as followed:
        info = eventually(lambda: quiet(followed), 20)
    assert info["guards"] == []
    assert info["trend"] == "steady"
    assert info["lag_bytes"] < 1 << 20
    assert (info["guards_count"], info["blockers_count"]) == (0, 0)
    [one] = info["links"]
    assert (one["name"], one["epoch"], one["state"]) == (followed.link.name, 1, "following")


@pytest.fixture
def source_major(request):
    callspec = getattr(request.node, "callspec", None)
    marker = request.node.get_closest_marker("source_major")
    return callspec.params["major"] if callspec else marker.args[0] if marker else 17


def quiet(followed):
    info = followed.info()
    return info if not info["guards"] else None


def test_without_a_link_nothing_follows(source, target, run_module):
    info = run_module(pg_follow_info, source=source, target=target, watch_s=0)
    assert [each["code"] for each in info["guards"] if each["severity"] == "blocker"] == [
        "not_following"
    ]
    assert info["links"] == []


def test_ddl_closes_the_gate_until_the_target_has_it_too(followed):
    ddl = "ALTER TABLE public.t ADD note text; CREATE VIEW public.v AS SELECT id FROM public.t"
    followed.publisher.execute(ddl)
    finding = followed.guards()["ddl"]
    assert finding["severity"] == "blocker"
    assert "column public.t.note added" in finding["message"]
    assert "view public.v added" in finding["message"]
    followed.subscriber.execute(ddl)
    assert "ddl" not in followed.guards()


def test_a_table_that_was_added_is_not_followed(followed):
    tables = [
        "CREATE TABLE public.new (id int PRIMARY KEY)",
        "CREATE TABLE public.tree (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE public.leaf PARTITION OF public.tree FOR VALUES FROM (1) TO (9)",
    ]
    for table in tables:
        followed.publisher.execute(table)
    found = followed.guards()
    assert "public.leaf, public.new" in found["not_published"]["message"]
    assert "table public.new added" in found["ddl"]["message"]


def test_a_copy_remembers_the_snapshot_that_its_guards_compare_with(
    source, target, run_module, eventually
):
    sides = {"source": source, "target": target}
    with connect("source", source) as conn:
        conn.execute("CREATE TABLE public.t (id int PRIMARY KEY)")
        conn.execute("CREATE TABLE public.whole (at int)")
        made = run_module(pg_follow, **sides, timeout=120.0, lag_s=10.0)
        assert made.get("state") == "following", made.get("msg")
        assert eventually(lambda: quiet_now(sides, run_module), 20)
        conn.execute("ALTER TABLE public.t ADD note text")
        found = run_module(pg_follow_info, **sides, watch_s=0)["guards"]
    assert [each["object"] for each in found] == ["column public.t.note added"]
    run_module(pg_follow, **sides, state="absent")


def quiet_now(sides, run_module):
    return not run_module(pg_follow_info, **sides, watch_s=0)["guards"]


def test_a_publication_without_truncate_or_with_a_table_that_nobody_asked_for(followed):
    name = followed.link.publication
    followed.publisher.execute("CREATE TABLE public.new (id int PRIMARY KEY)")
    followed.publisher.execute(f"ALTER PUBLICATION {name} ADD TABLE public.new")
    followed.publisher.execute(f"ALTER PUBLICATION {name} SET (publish = 'insert,update,delete')")
    found = followed.guards()
    assert "leaves out TRUNCATE" in found["not_carried"]["message"]
    assert "does not know of public.new" in found["not_subscribed"]["message"]
    assert "not_published" not in found


def test_writes_to_what_is_not_followed_are_seen(followed, eventually):
    followed.publisher.execute("INSERT INTO public.fast VALUES (1)")
    followed.publisher.execute("SELECT lo_from_bytea(0, 'x')")
    found = eventually(lambda: followed.guards().get("not_followed_changed"))
    assert found["severity"] == "blocker"

    def both():
        """Statistics arrive a second late."""
        message = followed.guards()["not_followed_changed"]["message"]
        return "public.fast" in message and "pg_largeobject" in message

    eventually(both)
    assert followed.guards(carried_bytes=1 << 30)["not_followed_changed"]["severity"] == ("warning")


@pytest.mark.parametrize("major", [13, 15, 17], ids=lambda major: f"from-{major}")
def test_the_row_that_stopped_a_subscription_is_named(
    major, request, target, run_module, eventually
):
    source = request.getfixturevalue("source")
    with following(source, target, run_module) as followed:
        followed.subscriber.execute("INSERT INTO public.t VALUES (5, 'theirs')")
        with followed.publisher.transaction():
            followed.publisher.execute("INSERT INTO public.t VALUES (4, 'fine', '{}')")
            followed.publisher.execute("INSERT INTO public.t VALUES (5, 'c4nary')")
        finding = eventually(lambda: followed.guards().get("apply_error"), 20)
        assert finding["severity"] == "blocker"
        assert "INSERT into public.t (id = 5): duplicate key value" in finding["message"]
        assert "c4nary" not in str(finding)
        assert eventually(lambda: followed.info()["links"][0]["state"] == "blocked", 20)
        assert followed.info()["links"][0]["errors"] >= 1
        left = followed.subscriber.execute("SELECT id FROM public.t").fetchall()
        assert left == [(5,)]
        lsn = finding["remedy"].split("skip_lsn: ")[1].split(")")[0]
        applied.skip(followed.subscriber, followed.link.name, lsn)
        followed.arrived()
        assert "apply_error" not in followed.guards()


def test_transactions_that_were_applied_and_not_confirmed_are_not_blamed(followed, eventually):
    """Their rows are there already, in all their values; the one after them fails."""
    link.disable(followed.subscriber, followed.link)
    eventually(lambda: not active(followed))
    for number in range(3):
        followed.publisher.execute("INSERT INTO public.t VALUES (%s, 'w', '{}')", [number])
        followed.subscriber.execute("INSERT INTO public.t VALUES (%s, 'w', '{}')", [number])
    followed.publisher.execute("INSERT INTO public.log VALUES (9)")
    followed.subscriber.execute("ALTER TABLE public.log ADD CHECK (at < 9)")
    found = conflict.find(followed.publisher, followed.subscriber, followed.link.name)
    assert found.change == "INSERT into public.log (at = 9)"
    assert "check constraint" in found.error


def test_what_applying_may_do_and_no_statement_is_not_blamed(followed, eventually):
    """Keys that are always generated, and names with the sign that stands for parameters."""
    link.disable(followed.subscriber, followed.link)
    eventually(lambda: not active(followed))
    odd = (
        """CREATE TABLE public."100%" ("%s" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int)"""
    )
    publication = sql.Identifier(followed.link.publication)
    add = sql.SQL('ALTER PUBLICATION {} ADD TABLE ONLY public."100%"').format(publication)
    for conn in (followed.publisher, followed.subscriber):
        conn.execute(odd)
    followed.publisher.execute(add)
    followed.publisher.execute('INSERT INTO public."100%" (v) VALUES (1)')
    followed.publisher.execute('UPDATE public."100%" SET v = 2')
    followed.publisher.execute('UPDATE public."100%" SET "%s" = DEFAULT')
    followed.publisher.execute("INSERT INTO public.log VALUES (9)")
    followed.subscriber.execute("ALTER TABLE public.log ADD CHECK (at < 9)")
    found = conflict.find(followed.publisher, followed.subscriber, followed.link.name)
    assert found.change == "INSERT into public.log (at = 9)"


def active(followed):
    query = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
    return followed.publisher.execute(query, [followed.link.slot]).fetchone()[0]


def test_what_a_worker_waits_for_is_named(followed, eventually):
    with psycopg.connect(**followed.servers["target"]) as holder:
        holder.execute("LOCK TABLE public.t")
        followed.publisher.execute("INSERT INTO public.t VALUES (1, 'w')")
        finding = eventually(lambda: followed.guards().get("apply_blocked"))
        assert f"process {holder.info.backend_pid} of landbridge_admin" in finding["message"]


def test_a_lag_larger_than_asked_for_closes_the_gate(followed, eventually):
    with psycopg.connect(**followed.servers["target"]) as holder:
        holder.execute("LOCK TABLE public.log")
        followed.publisher.execute("INSERT INTO public.log SELECT generate_series(1, 20000)")
        finding = eventually(lambda: followed.guards(max_lag_bytes=100_000).get("lag"))
        assert finding["severity"] == "blocker"
    followed.arrived()
    eventually(lambda: "lag" not in followed.guards(max_lag_bytes=100_000))


def test_what_sessions_would_lose_is_named(followed):
    with psycopg.connect(**followed.servers["source"], application_name="shop") as app:
        app.execute("CREATE TEMPORARY TABLE basket (id int)")
        app.execute("SELECT pg_advisory_lock(1)")
        app.commit()
        app.execute("LISTEN orders")
        app.commit()
        app.autocommit = True
        app.execute("LISTEN orders")
        found = followed.guards()
    assert "landbridge_admin (shop)" in found["session_listen"]["message"]
    assert "landbridge_admin (shop)" in found["session_advisory_lock"]["message"]
    assert "basket" in found["session_temporary_table"]["message"]
    assert {each["severity"] for each in found.values()} == {"warning"}


def test_a_slot_that_is_gone_breaks_the_link(followed, eventually):
    link.disable(followed.subscriber, followed.link)
    eventually(lambda: not active(followed))
    followed.publisher.execute("SELECT pg_drop_replication_slot(%s)", [followed.link.slot])
    found = followed.guards()
    assert found["slot_missing"]["severity"] == "blocker"
    assert followed.info()["links"][0]["state"] == "broken"


def test_without_a_memory_of_the_snapshot_ddl_is_not_known(followed):
    fingerprint.forget(followed.subscriber, followed.link.digest)
    found = followed.guards()
    assert found["not_fingerprinted"]["severity"] == "warning"


def test_the_first_snapshot_is_the_one_that_is_remembered(followed):
    before = fingerprint.recall(followed.subscriber, followed.link.digest)
    followed.publisher.execute("CREATE TABLE public.new (id int PRIMARY KEY)")
    again = fingerprint.take(followed.publisher)
    fingerprint.keep(followed.subscriber, followed.link.next(), again)
    assert fingerprint.recall(followed.subscriber, followed.link.digest) == before
    assert again != before


def test_a_guest_without_rights_is_told_so_with_its_side(followed, source_server):
    with source_server.as_superuser() as conn:
        conn.execute("CREATE ROLE guest LOGIN PASSWORD 'canary'")
    guest = {**followed.servers["source"], "user": "guest", "password": "wrong-canary"}
    result = followed.run_module(
        pg_follow_info, source=guest, target=followed.servers["target"], watch_s=0
    )
    assert result["failed"]
    assert result["msg"].startswith("source: ")
    assert "wrong-canary" not in str({k: v for k, v in result.items() if k != "invocation"})
