"""The stall that applications see when their database crosses, and what it costs them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "collections"))
