"""The scripts of the repository as modules."""

import importlib
import sys

from support.shared import ROOT


def script(name: str):
    """Import scripts/NAME.py."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "scripts"))
