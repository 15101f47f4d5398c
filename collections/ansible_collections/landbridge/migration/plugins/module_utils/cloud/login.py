# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logging in to a server that a provider described, its certificate checked against its CA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from ..errors import PreconditionError
from ..pg import login
from .server import Server, Wanted

SYSTEM = "system"  # libpq 16+: the operating system's authorities


def password_works(server: Server, wanted: Wanted) -> bool:
    """Tell if the server takes the administrator's password. Raise PostgresError if unreachable."""
    with _sslrootcert(server) as sslrootcert:
        endpoint = {
            "host": server.host,
            "port": server.port,
            "dbname": server.dbname,
            "user": wanted.admin_user or server.admin_user,
            "password": wanted.admin_password,
            "sslmode": server.sslmode,
            "sslrootcert": sslrootcert,
        }
        return login.password_works(server.name, endpoint)


def write_ca(pem: str, dest: str) -> None:
    """Make the file ``dest`` hold the certificate; readers see the old or the new, never half."""
    path = Path(dest)
    try:
        if path.exists() and path.read_text(encoding="ascii") == pem:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", encoding="ascii", dir=path.parent, delete=False) as file:
            file.write(pem)
        made = Path(file.name)
        made.chmod(0o644)  # a certificate is public
        made.replace(path)
    except OSError as exc:
        raise PreconditionError(f"{dest} cannot be written: {exc.strerror}") from None


@contextmanager
def _sslrootcert(server: Server) -> Iterator[str]:
    if not server.ca:
        yield server.sslrootcert or SYSTEM
        return
    with TemporaryDirectory(prefix="landbridge-") as folder:
        path = Path(folder) / "ca.pem"
        path.write_text(server.ca, encoding="ascii")
        yield str(path)
