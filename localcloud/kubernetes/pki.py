"""A cluster's authorities, certificates and kubeconfigs. What is there already stays."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .. import files
from ..certificates import Authority, Certificate, private_key_pem
from .configuration import IDENTITIES, KUBELET_CLIENT, LOOPBACK, Configuration, kubeconfig


def make(configuration: Configuration, folder: Path) -> None:
    """Make all that is not there yet. A cluster trusts its own authority, and no other cluster's.

    etcd has another one: whoever may speak to the API server may not speak to etcd.
    """
    pki = folder / "pki"
    for each in (pki, pki / "etcd", pki / "identities", folder / "kubeconfig"):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority, etcd = Authority(pki), Authority(pki / "etcd")
    _keep(pki / "server", authority.issue(configuration.api_names))
    _keep(pki / "node", authority.issue([configuration.network.node]))
    _keep(pki / "kubelet-client", authority.issue_identity(KUBELET_CLIENT))
    _keep(pki / "etcd" / "server", etcd.issue([LOOPBACK, "localhost"]))
    _keep(pki / "etcd" / "client", etcd.issue_identity("kube-apiserver"))
    _keep_account_keys(pki)
    for name, (user, groups) in IDENTITIES.items():
        shown = _keep(pki / "identities" / name, authority.issue_identity(user, groups))
        path = kubeconfig(folder, name)
        files.write_json(path, _kubeconfig(configuration, authority.pem, user, shown))


def tls_context(folder: Path, identity: str) -> ssl.SSLContext:
    """Return the context in which an identity speaks to its cluster's API server."""
    context = ssl.create_default_context(cafile=str(folder / "pki" / "ca.pem"))
    stem = folder / "pki" / "identities" / identity
    context.load_cert_chain(f"{stem}.crt", f"{stem}.key")
    return context


def _keep(stem: Path, made: Certificate) -> Certificate:
    """Return the certificate kept at STEM.crt and STEM.key; ``made`` if there is none."""
    key, certificate = Path(f"{stem}.key"), Path(f"{stem}.crt")
    if not (key.exists() and certificate.exists()):
        files.write(key, made.key, 0o600)
        files.write(certificate, made.certificate)
    return Certificate(certificate.read_text(encoding="ascii"), key.read_text(encoding="ascii"))


def _keep_account_keys(pki: Path) -> None:
    """Keep the pair that signs and checks the tokens of service accounts."""
    private, public = pki / "accounts.key", pki / "accounts.pub"
    if private.exists() and public.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    files.write(private, private_key_pem(key), 0o600)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    files.write(public, pem.decode())


def _kubeconfig(
    configuration: Configuration, ca: str, user: str, shown: Certificate
) -> dict[str, Any]:
    """Return a kubeconfig; JSON is YAML, and every client reads it."""
    name = f"{configuration.cloud}-{configuration.name}"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": configuration.url,
                    "certificate-authority-data": _base64(ca),
                },
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _base64(shown.certificate),
                    "client-key-data": _base64(shown.key),
                },
            }
        ],
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
