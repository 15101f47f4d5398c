"""What pg_clone copied, pg_verify finds equal: two programs that share no query."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.modules import pg_clone, pg_verify

from .test_pg_verify import GENERATED, OLD_TRIGGER, ROWS, SCHEMA, TYPES, majors

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(
    "major",
    [
        majors(17, 17),
        majors(15, 17),
        *(majors(older, 17, pytest.mark.slow) for older in (10, 11, 12, 13, 14, 16)),
        majors(17, 18, pytest.mark.slow),
    ],
)
def test_a_clone_is_equal_to_its_source(major, source, target, run_module):
    schema = SCHEMA + TYPES
    if major < 12:
        schema = schema.replace(GENERATED, "doubled int").replace("FUNCTION stamp();", OLD_TRIGGER)
    with connect("test", source) as conn:
        conn.execute("SET search_path = public")
        conn.execute(schema + ROWS.replace("%%", "%").format(order="md5(g::text)"))
    cloned = run_module(pg_clone, source=source, target=target, role_map={"localcloud": None})
    assert not cloned.get("failed"), cloned
    result = run_module(pg_verify, source=source, target=target, role_map={"localcloud": None})
    assert result["evidence"]["differing"] == []
    assert result["evidence"]["catalog"]["differences"] == []
    assert result["evidence"]["equal"]
