"""Following that is killed, cut or restarted at its worst moment: nothing lost, nothing twice."""

import pytest

from ansible_collections.landbridge.migration.plugins.modules import pg_follow
from tests.fix_clone import processes_of

pytestmark = [pytest.mark.postgres, pytest.mark.fault]

# `small` refers to `first`, which is of the first epoch; `big` is of the second.
WRITES = """
INSERT INTO public.first VALUES (10000 + {n}, 'new');
INSERT INTO public.small VALUES (10000 + {n} - 1);
UPDATE public.first SET filler = 'later ' || {n} WHERE n = {n} % 9000 + 1;
UPDATE public.big SET filler = 'later ' || {n} WHERE n = 200000 - {n};
DELETE FROM public.big WHERE n = {n};
INSERT INTO public.big VALUES (1000000 + {n}, 'new');
UPDATE public.small SET n = n WHERE n < 3
"""
NOT_VALID = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"
EPOCHS = "SELECT number, count(*) FROM landbridge.epoch GROUP BY 1 ORDER BY 1"
STEADY = {"lag_s": 30.0, "timeout": 120.0}


@pytest.fixture
def rows_of(contents_of):
    def read(server):
        tables, _sequences, _objects = contents_of(server)
        return {name: found for name, found in tables.items() if name != "public.fleeting"}

    return read


def test_a_run_killed_in_mid_copy_is_finished_by_the_next_under_writes(
    gated, started, waiting, writing, eventually, run_module, arrived, rows_of, as_superuser, absent
):
    pair, lock = gated
    with writing(pair["source"], WRITES):
        child = started("pg_follow", **pair, **STEADY)
        waiting(pair["target"])
        child.kill()
        eventually(lambda: not processes_of(pair["source"]) and not processes_of(pair["target"]))
        lock.execute("SELECT pg_advisory_unlock(42)")
        finished = run_module(pg_follow, **pair, **STEADY)
        assert finished.get("state") == "following", finished
    assert finished["parts_resumed"] > 0
    assert [each["epoch"] for each in finished["links"]] == [1, 2]
    assert finished["evidence"]["epochs_count"] == 2
    arrived(pair["source"])
    assert rows_of(pair["target"]) == rows_of(pair["source"])
    again = run_module(pg_follow, **pair, **STEADY)
    assert again["findings"] == []
    with as_superuser(pair["target"]) as conn:
        assert conn.execute(NOT_VALID).fetchone() == (0,)
        assert len(conn.execute(EPOCHS).fetchall()) == 2
    assert run_module(pg_follow, **pair, **STEADY)["changed"] is False
    absent(pair)
