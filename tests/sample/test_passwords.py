from concurrent.futures import ThreadPoolExecutor

import pytest

from localcloud.errors import NotFound
from localcloud.sample import passwords


def test_a_password_is_made_once_and_only_its_user_may_read_it(tmp_path):
    path = tmp_path / "secrets" / "shop_app"
    password = passwords.ensure(path)
    assert len(password) >= 20
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert passwords.ensure(path) == password
    assert list(path.parent.iterdir()) == [path]


def test_makers_at_the_same_time_agree(tmp_path):
    path = tmp_path / "secrets" / "shop_app"
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: passwords.ensure(path), range(32)))) == 1


def test_an_empty_file_is_no_password(tmp_path):
    path = tmp_path / "shop_app"
    path.touch()
    with pytest.raises(NotFound, match="no password"):
        passwords.read(path)
    assert passwords.ensure(path) == passwords.read(path)
