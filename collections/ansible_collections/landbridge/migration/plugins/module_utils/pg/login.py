# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Does a server take this password for this role?

Managed services show no password's verifier (pg_authid is hidden), so the one honest way to know
is to log in. A refusal may also mean that the password is right and the role may not enter: the
SQLSTATE would tell (28P01 or 42501), but libpq keeps it to itself while connecting, and the
message is in the server's language. So a second login with a password that is certainly wrong is
the control: the same answer to both says that the first was wrong, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Any, NamedTuple

from ..errors import PostgresError
from .connection import connect


class Refusal(NamedTuple):
    error: PostgresError
    asked: bool  # for a password: so the server was reached, its certificate checked

    @property
    def text(self) -> str:
        return str(self.error)


def password_works(side: str, server: Mapping[str, Any]) -> bool:
    """Tell if ``server`` takes its ``password``, be the role allowed to enter or not.

    Raise PostgresError if the server did not come to ask for one.
    """
    refusal = _try(side, server)
    if refusal is None:
        return True
    if not refusal.asked:
        raise refusal.error
    control = _try(side, {**server, "password": token_urlsafe(24)})
    return control is None or control.text != refusal.text


def _try(side: str, server: Mapping[str, Any]) -> Refusal | None:
    try:
        with connect(side, server):
            return None
    except PostgresError as error:
        pgconn = getattr(error.__cause__, "pgconn", None)
        return Refusal(error, asked=bool(pgconn and pgconn.used_password))
