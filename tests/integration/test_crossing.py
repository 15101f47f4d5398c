"""Crossings between real servers, applications writing through a real PgBouncer all the time."""

import pytest

from tests.fix_crossing import SEQUENCES

pytestmark = pytest.mark.postgres


def test_forward_and_back_lose_nothing_and_fail_nobody(
    followed, writers, require_whole, eventually
):
    with writers() as written:
        written.more(eventually)
        there = followed.cross("forward")
        assert (followed.accepts("source"), followed.accepts("target")) == (False, True)
        written.more(eventually)
        back = followed.cross("back")
        assert (followed.accepts("source"), followed.accepts("target")) == (True, False)
        written.more(eventually)
        again = followed.cross("forward")
        written.more(eventually)
    assert written.failed == []
    require_whole(written, "target")
    for done in (there, back, again):
        assert done.evidence["way_back"] == "following"
        assert done.evidence["sequences_set"] == 2
    print([done.evidence for done in (there, back, again)])
    print([writer.longest_s for writer in written.all])


def test_sequences_go_on_where_they_were(followed):
    followed.rows(
        "source", """SELECT nextval('public."odd ''one"'), setval('ledger_id_seq', 900)"""
    )
    before = followed.rows("source", SEQUENCES)
    followed.cross("forward")
    assert followed.rows("target", SEQUENCES) == before
    followed.rows("target", """SELECT nextval('public."odd ''one"')""")
    before = followed.rows("target", SEQUENCES)
    followed.cross("back")
    assert followed.rows("source", SEQUENCES) == before
