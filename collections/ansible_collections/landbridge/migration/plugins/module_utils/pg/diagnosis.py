# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Why a server cannot be reached, and what to do about it.

libpq gives neither SQLSTATE nor code for a connection that was never made, and the server's words
are in the server's language. What libpq knows is whether a password was asked for; the rest is
found by going the same way once more with Python's sockets and TLS, which do give codes.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

TIMEOUT_S = 10

# PostgreSQL documentation, "Message Formats": SSLRequest, answered by S or N.
SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"

# openssl/x509_vfy.h
HOSTNAME_MISMATCH = (62, 64)
NOT_VALID_NOW = (9, 10)

# libpq's own words are never translated here: Python sets no locale for messages.
CLOSED = "closed the connection unexpectedly"


class Diagnosis(NamedTuple):
    hint: str
    retryable: bool


def diagnose(server: Mapping[str, Any], pgconn: Any, message: str) -> Diagnosis:
    """Return what to do about a connection to ``server`` that failed with ``message``.

    :param pgconn: libpq's connection, as psycopg keeps it with the error; None if there is none.
    """
    if pgconn is not None and pgconn.needs_password:
        return Diagnosis("The server asks for a password and none is given.", retryable=False)
    if pgconn is not None and pgconn.used_password and CLOSED not in message:
        return Diagnosis(
            "The server was reached and asked for a password. Check user and password, and that"
            " the role may log in and connect to this database.",
            retryable=False,
        )
    return _way_to(server)


def _way_to(server: Mapping[str, Any]) -> Diagnosis:
    host, port = str(server["host"]), int(server.get("port") or 5432)
    if host.startswith("/"):
        return Diagnosis(f"Check that a server's socket is in {host}.", retryable=True)
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as sock:
            return _tls(server, host, sock)
    except socket.gaierror:
        return Diagnosis(f"The name {host} has no address: check its spelling.", retryable=True)
    except OSError:
        return Diagnosis(
            f"Nothing answers at {host}, port {port}: check both, that the server runs, and that"
            " its firewall lets this machine in.",
            retryable=True,
        )


def _tls(server: Mapping[str, Any], host: str, sock: socket.socket) -> Diagnosis:
    sslmode = server.get("sslmode") or "verify-full"
    roots = Path(server.get("sslrootcert") or Path.home() / ".postgresql" / "root.crt")
    verified = sslmode in ("verify-ca", "verify-full") and str(roots) != "system"
    if verified and not roots.is_file():
        return Diagnosis(
            f"sslmode {sslmode} needs the certificate authority: {roots} is no file. Set"
            " sslrootcert to the provider's CA.",
            retryable=False,
        )
    if sslmode == "disable":
        return _refused(server)
    sock.sendall(SSL_REQUEST)
    if sock.recv(1) != b"S":
        return Diagnosis(f"The server speaks no TLS, which sslmode {sslmode} asks for.", False)
    context = ssl.create_default_context(cafile=str(roots) if verified else None)
    context.check_hostname = sslmode == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if verified else ssl.CERT_NONE
    try:
        with context.wrap_socket(sock, server_hostname=host):
            return _refused(server)
    except ssl.SSLCertVerificationError as exc:
        return Diagnosis(_certificate(exc.verify_code, host, roots), retryable=False)


def _certificate(verify_code: int, host: str, roots: Path) -> str:
    if verify_code in HOSTNAME_MISMATCH:
        return (
            f"The server's certificate is not for {host}: set host to a name that is in the"
            " certificate."
        )
    if verify_code in NOT_VALID_NOW:
        return "The server's certificate is not valid today: renew it, or check this clock."
    return (
        f"No authority in {roots} has signed the server's certificate: set sslrootcert to the"
        " provider's CA."
    )


def _refused(server: Mapping[str, Any]) -> Diagnosis:
    return Diagnosis(
        f"The server answers but does not take the connection as {server.get('user')}: it may be"
        " starting, be full, or have no pg_hba.conf line for it.",
        retryable=True,
    )
