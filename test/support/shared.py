"""The folder with reference data and pictures that may lie beside the checkout."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CMR_SHARED", ROOT.parent / "shared"))
