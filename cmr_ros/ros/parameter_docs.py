"""Renders config/hand.yaml and the table of docs/ros.md from `Parameters`: `make parameters`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from cmr_ros.ros.parameters import Parameters

_YAML, _PAGE = Path("config/hand.yaml"), Path("docs/ros.md")
_HEAD = """\
# Parameters of hand_node with their defaults; `ros2 param describe /hand_node NAME` shows the same
# texts.  Those marked "fixed" are read when the node is configured, all others at any time.
# Rendered from cmr_ros/ros/parameters.py by `make parameters`.
/**:
  ros__parameters:
"""
#: The table lies between these lines of the page.
_BEGIN = "<!-- Rendered from cmr_ros/ros/parameters.py by `make parameters`. -->\n"
_END = "<!-- End of the rendered table. -->\n"


def hand_yaml() -> str:
    """Return the parameter file: every parameter with its default, below what it means."""
    entries = []
    for name, default, about in _described():
        limits = "; ".join(filter(None, [_values(about), "fixed" if about["fixed"] else ""]))
        text = about["description"] + (f" ({limits})." if limits else ".")
        comment = textwrap.fill(text, 100, initial_indent="    # ", subsequent_indent="    # ")
        entries.append(f"{comment}\n    {name}: {default}\n")
    return _HEAD + "".join(entries)


def with_table(page: str) -> str:
    """Return a Markdown page with its table of parameters replaced by the current one."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    rows = ["| name | default | values | |", "|---|---|---|---|"]
    for name, default, about in _described():
        mark = " *" if about["fixed"] else ""
        rows.append(f"| `{name}`{mark} | `{default}` | {_values(about)} | {about['description']} |")
    return before + _BEGIN + "\n" + "\n".join(rows) + "\n\n" + _END + after


def _described() -> Iterator[tuple[str, str, Any]]:
    """Yield each parameter's name, its default as JSON, which is YAML too, and its description."""
    defaults = Parameters()
    for about in fields(Parameters):
        yield about.name, json.dumps(getattr(defaults, about.name)), about.metadata


def _values(about) -> str:
    if about["limits"]:
        low, high = about["limits"]
        return f"{low:g} to {high:g}"
    *others, last = about["choices"] or [""]
    return f"{', '.join(others)} or {last}" if others else last


if __name__ == "__main__":
    _YAML.write_text(hand_yaml())
    _PAGE.write_text(with_table(_PAGE.read_text()))
