# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write a file so that a reader sees the old one or the new one, and nobody else sees either."""

from __future__ import annotations

import tempfile
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Replace the file's content; it is the owner's alone (mode 0600)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = tempfile.NamedTemporaryFile(  # noqa: SIM115  # renamed, not deleted, at the end
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    )
    try:
        with file:
            file.write(text)
        Path(file.name).replace(path)
    except BaseException:
        Path(file.name).unlink(missing_ok=True)
        raise
