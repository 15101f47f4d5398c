"""The local clouds' certificate authority; each server gets a certificate for its own names."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from . import files

LIFETIME = datetime.timedelta(days=3650)


class Certificate(NamedTuple):
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str


class Authority:
    """A certificate authority kept as ``ca.pem`` and ``ca.key`` (0600) in a folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ca.pem"
        self._key_path = folder / "ca.key"
        if not (self.path.exists() and self._key_path.exists()):
            self._create()

    @property
    def pem(self) -> str:
        """The authority's own certificate: what a client trusts."""
        return self.path.read_text(encoding="utf-8")

    def issue(self, names: Sequence[str]) -> Certificate:
        """Return a new certificate for ``names``: DNS names and IP addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = _builder(names[0], key.public_key(), self._load().subject)
        builder = builder.add_extension(alternatives, critical=False)
        certificate = builder.sign(self._load_key(), hashes.SHA256())
        return Certificate(_pem(certificate), _key_pem(key))

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Landbridge local cloud CA")])
        builder = _builder("Landbridge local cloud CA", key.public_key(), subject)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        certificate = builder.sign(key, hashes.SHA256())
        files.write(self._key_path, _key_pem(key), 0o600)
        files.write(self.path, _pem(certificate))

    def _load(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.path.read_bytes())

    def _load_key(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key(self._key_path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self._key_path} holds another kind of key")
        return key


def _builder(
    common_name: str, public_key: ec.EllipticCurvePublicKey, issuer: x509.Name
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
