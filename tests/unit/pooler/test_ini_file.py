"""The file is replaced whole, by one writer at a time, and keeps its mode."""

import stat
import threading

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PreconditionError
from ansible_collections.landbridge.migration.plugins.module_utils.pooler.ini_file import IniFile


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "pgbouncer.ini"
    made.write_text("0\n")
    made.chmod(0o640)
    return made


def names(path):
    return [each.name for each in path.parent.iterdir()]


def test_a_change_replaces_the_file_and_keeps_its_mode(path):
    before = path.stat()
    assert IniFile(path, "shop").change(lambda text: text + "more\n")
    assert path.read_text() == "0\nmore\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.stat().st_ino != before.st_ino
    assert names(path) == [path.name]


def test_no_change_leaves_the_file_alone(path):
    before = path.stat()
    assert not IniFile(path, "shop").change(lambda text: text)
    assert path.stat() == before


def test_what_was_written_ahead_is_used_only_if_the_file_is_still_the_same(path):
    ahead, other = IniFile(path, "shop"), IniFile(path, "identity")
    ahead.prepare(lambda text: text + "shop\n")
    other.prepare(lambda text: text + "identity\n")
    other.change(lambda text: text + "identity\n")
    ahead.change(lambda text: text + "shop\n")
    assert path.read_text() == "0\nidentity\nshop\n"
    assert names(path) == [path.name]


def test_what_was_written_ahead_in_vain_is_forgotten(path):
    ahead = IniFile(path, "../sh/op")
    ahead.prepare(lambda text: text + "shop\n")
    assert len(names(path)) == 2
    ahead.forget()
    ahead.forget()
    assert names(path) == [path.name]


def test_writers_side_by_side_lose_nothing(path):
    def count(number):
        for _ in range(20):
            IniFile(path, str(number)).change(lambda text: f"{int(text) + 1}\n")

    threads = [threading.Thread(target=count, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() == "80\n"


def test_a_link_stays_and_what_it_points_to_is_changed(path, tmp_path):
    link = tmp_path / "link.ini"
    link.symlink_to(path)
    IniFile(link, "shop").change(lambda text: "1\n")
    assert link.is_symlink()
    assert path.read_text() == "1\n"


def test_a_file_that_is_not_there_is_told_with_the_remedy(tmp_path):
    with pytest.raises(PreconditionError, match=r"nowhere\.ini cannot be changed") as raised:
        IniFile(tmp_path / "nowhere.ini", "shop").read()
    assert "Run where PgBouncer's file is" in raised.value.hint
