"""A target that follows its source by a link of ours, and writers that keep the source busy."""

from contextlib import ExitStack, contextmanager
from threading import Event, Thread

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import (
    address,
    applying,
    canary,
    link,
    replication_role,
)
from ansible_collections.landbridge.migration.plugins.module_utils.waiting import Deadline

WAIT_S = 60
PACE_S = 0.005  # between a writer's statements: what a target on few cores can apply


@pytest.fixture
def linked(source, target):
    """Return a function: make the target follow tables, which are alike on both sides."""
    with ExitStack() as stack:
        publisher = stack.enter_context(connect("source", source))
        subscriber = stack.enter_context(connect("target", target))
        between = link.between(link.identify(publisher), link.identify(subscriber))

        def start(tables):
            link.publish(publisher, between, tables)
            login = replication_role.converge_present(publisher, between, source)
            with link.make_slot("source", source, between, Deadline(WAIT_S)):
                pass
            as_owner = applying.run_as_owner("target", subscriber, tables)
            way = address.seen(source, None, login)
            link.subscribe("target", subscriber, between, way, run_as_owner=as_owner)
            token = canary.beat(publisher, between)
            canary.wait_arrived(subscriber, between, token, Deadline(WAIT_S))
            stack.callback(replication_role.converge_absent, publisher, between)
            stack.callback(link.unpublish, publisher, between)
            stack.callback(link.unsubscribe, subscriber, between)
            return between

        yield start


@pytest.fixture
def traffic(source):
    """Return a context manager: statements written again and again while its block runs.

    Each is a function of a number that grows, in a thread and a session of its own; ``server`` is
    the source if not given.
    """

    @contextmanager
    def write(*statements, server=source):
        over = Event()
        failed = []
        counts = [0] * len(statements)

        def run(place, statement):
            try:
                with connect("writer", server) as conn:
                    while not over.wait(PACE_S):
                        counts[place] += 1
                        conn.execute(statement(counts[place]))
            except Exception as exc:  # told below
                failed.append(exc)

        threads = [
            Thread(target=run, args=(place, statement))
            for place, statement in enumerate(statements)
        ]
        for thread in threads:
            thread.start()
        try:
            yield counts
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert not failed
        assert all(counts)

    return write
