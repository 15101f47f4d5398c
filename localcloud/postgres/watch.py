"""End servers whose keeper has gone: `python -m localcloud.postgres.watch PID FOLDER`.

Waits until process PID ends, however it ends, then kills every server below FOLDER and deletes
FOLDER. Tests start it, so that not even a killed test run leaves a server behind.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
from pathlib import Path

from localcloud import processes


def main() -> None:
    keeper, folder = int(sys.argv[1]), Path(sys.argv[2])
    try:
        watched = os.pidfd_open(keeper)
    except ProcessLookupError:
        pass
    else:
        select.select([watched], [], [])
    clear(folder)


def clear(folder: Path) -> None:
    """Kill the processes that belong to ``folder``, then delete it."""
    while pids := processes.belonging_to(folder):
        for pid in pids:
            processes.send(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
