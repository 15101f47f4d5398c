# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests of inputs and evidence, so that a stage done with other inputs is told from this one.

Only hashes of inputs are kept: a value may be anything an inventory holds. Keys that name a secret
are left out before anything is hashed, since a short password can be guessed from its hash.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

SECRET_KEY = re.compile(
    r"passw|passphrase|private_?key|kubeconfig|(secret|token|api_?key|access_?key)$", re.IGNORECASE
)


class Requirement(NamedTuple):
    """A checkpoint another one was built on, by the digest it had then."""

    stage: str
    host: str
    digest: str


def canonical(value: Any) -> str:
    """Return ``value`` as JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def sha256(value: Any) -> str:
    """Return the hex digest of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def without_secrets(value: Any) -> Any:
    """Return ``value`` without any key, at any depth, that names a secret."""
    if isinstance(value, Mapping):
        kept = {str(k): v for k, v in value.items() if not SECRET_KEY.search(str(k))}
        return {key: without_secrets(item) for key, item in kept.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value


def input_hashes(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the hash of each input, by name; secrets are left out."""
    return {key: sha256(value) for key, value in without_secrets(inputs).items()}


def fingerprint(inputs: Mapping[str, str], requires: Iterable[Requirement]) -> str:
    """Return the digest of what a stage was done with.

    :param inputs: as ``input_hashes`` returns them.
    :param requires: the checkpoints it builds on, in any order.
    """
    return sha256([inputs, sorted(map(list, requires))])
