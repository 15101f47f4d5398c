"""`python -m localcloud.sample` is `python -m localcloud sample`."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
