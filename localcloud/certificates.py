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
SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


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
        builder = _builder(_subject(names[0]), key.public_key(), self._load().subject)
        return self._sign(builder.add_extension(alternatives, critical=False), key)

    def issue_identity(self, user: str, groups: Sequence[str] = ()) -> Certificate:
        """Return a new certificate that a client shows: Kubernetes' names for CN and O."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_subject(user, groups), key.public_key(), self._load().subject)
        return self._sign(builder, key)

    def _sign(
        self, builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey
    ) -> Certificate:
        authority = self._load_key()
        known = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
        certificate = builder.add_extension(known, critical=False).sign(authority, hashes.SHA256())
        return Certificate(_pem(certificate), private_key_pem(key))

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject("Landbridge local cloud CA")
        builder = _builder(subject, key.public_key(), subject)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(SIGNS_CERTIFICATES, True)
        certificate = builder.sign(key, hashes.SHA256())
        files.write(self._key_path, private_key_pem(key), 0o600)
        files.write(self.path, _pem(certificate))

    def _load(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.path.read_bytes())

    def _load_key(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key(self._key_path.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self._key_path} holds another kind of key")
        return key


def _subject(common_name: str, organizations: Sequence[str] = ()) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _builder(
    subject: x509.Name, public_key: ec.EllipticCurvePublicKey, issuer: x509.Name
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        # Without it Python 3.13 and newer trust no authority (VERIFY_X509_STRICT).
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a key as PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
