#!/usr/bin/env python3
"""Lays out what `make docs` makes a site of: the repository's pages, and a page for each room.

Pages keep their places, so that links between them hold on the site as they do in the repository.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PAGES = ("*.md", "NOTICE", "LICENSE", "docs/**/*", "weights/README.md", "examples/**/*")


def lay_out(target: Path) -> None:
    """Fill a folder with pages; what was in it is lost."""
    shutil.rmtree(target, ignore_errors=True)
    for pattern in _PAGES:
        for page in filter(Path.is_file, _ROOT.glob(pattern)):
            copy = target / page.relative_to(_ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(page, copy)
    rooms = re.findall(
        r"^\| `(\w+)` \| (.+) \|$", (_ROOT / "docs/architecture.md").read_text(), re.MULTILINE
    )
    (target / "api").mkdir()
    for room, holds in rooms:
        (target / f"api/{room}.md").write_text(f"# {room}\n\n{holds}\n\n::: cmr_ros.{room}\n")
    lines = [f"* [{room}]({room}.md): {holds}\n" for room, holds in rooms]
    (target / "api/index.md").write_text("# API\n\n" + "".join(lines))


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
