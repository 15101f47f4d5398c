"""pg_assert against a real server."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.modules import pg_assert

pytestmark = pytest.mark.postgres


@pytest.fixture
def ask(source, run_module):
    def ask(*queries, **params):
        questions = [{"name": query, "query": query} for query in queries]
        return run_module(pg_assert, server=source, questions=questions, **params)

    return ask


def test_questions_are_asked_with_the_applications_search_path(source, ask):
    with connect("test", source) as conn:
        conn.execute("CREATE TABLE public.orders (id int); INSERT INTO public.orders VALUES (1)")
    assert ask("SELECT count(*) = 1 FROM orders")["evidence"] == {"asked": 1, "passed": 1}


def test_a_question_cannot_change_its_answer(source, ask):
    failed = ask("CREATE TABLE public.sneaky ()", "SELECT 1")
    assert "read-only transaction" in failed["msg"]
    with connect("test", source) as conn:
        assert conn.execute("SELECT to_regclass('public.sneaky')").fetchone() == (None,)


def test_one_that_fails_does_not_take_the_rest_with_it(ask):
    answers = ask("SELECT nonsense", "SELECT true", strict=False)["answers"]
    assert [answer["passed"] for answer in answers] == [False, True]


def test_a_failure_names_the_side_and_hides_the_password(source, run_module):
    failed = run_module(pg_assert, server={**source, "password": "canary/s3cret"}, questions=[])
    assert failed["msg"].startswith("server: ")
    assert "canary" not in str(failed)
