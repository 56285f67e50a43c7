"""Pictures with true hands, read from the layouts that data sets of the field use."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from cmr_ros.errors import InputError
from cmr_ros.evaluation.sample import Sample

#: Layout -> its splits, the one that is measured by default first.  A layout's module has
#: `read(folder, split)` and FOUND_BY, a file or folder that distinguishes it from the others.
LAYOUTS = {
    "manifest": ("all",),
    "freihand": ("evaluation", "training"),
    "rhd": ("evaluation", "training"),
    "stb": ("test", "train"),
    "hand_graph": ("test",),
    "interhand": ("test", "val", "train"),
    "human36m": ("test", "train"),
}


def read(path: Path | str, layout: str | None = None, split: str | None = None) -> list[Sample]:
    """Return the samples of a data set in the order of its files.

    path: its folder, or a manifest.json.  layout: one of LAYOUTS, by default recognised.
    split: one of the layout's, by default the first.  Raises InputError for a set that is missing,
    incomplete or damaged.
    """
    path = Path(path)
    layout = layout or _recognise(path)
    if layout not in LAYOUTS:
        raise InputError(f"no layout {layout!r}; known are {', '.join(LAYOUTS)}")
    split = split or LAYOUTS[layout][0]
    if split not in LAYOUTS[layout]:
        raise InputError(f"{layout} has no split {split!r}; choose {' or '.join(LAYOUTS[layout])}")
    samples = _module(layout).read(path, split)
    if not samples:
        raise InputError(f"{path}: has no image with a hand in the {split} split of {layout}")
    return samples


def _recognise(path: Path) -> str:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; expected a data set or a manifest.json")
    if path.is_file():
        return "manifest"
    for layout in LAYOUTS:
        if (path / _module(layout).FOUND_BY).exists():
            return layout
    wanted = ", ".join(f"{_module(layout).FOUND_BY} ({layout})" for layout in LAYOUTS)
    raise InputError(f"{path}: not a known data set; looked for {wanted}")


def _module(layout: str) -> ModuleType:
    return import_module(f"cmr_ros.evaluation.datasets.{layout}")
