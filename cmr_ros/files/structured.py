"""Reads small structured files of any common notation as dictionaries, lists and texts.

Nothing in a file is run or resolved: no YAML tags, no XML entities, no pickles; sizes are limited.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Any

import yaml

from cmr_ros.files.untrusted import read_bytes, read_npy, read_npz, reading

_LARGEST_FILE = 1 << 20
#: YAML is read at some 60 KiB a second; of more than this the first messages of a dump are.
_LARGEST_YAML = 1 << 17
#: OpenCV's YAML starts with a directive that YAML does not know.
_OPENCV_DIRECTIVE = re.compile(r"\A%YAML:1\.0[^\n]*\n")


def read_structured(path: Path, remedy: str) -> Any:
    """Return what a file in YAML, JSON, OpenCV's XML, .npy, .npz or plain numbers holds.

    Dictionaries, lists, numbers and texts, which may be numbers that are not parsed yet.  Raises
    InputError, which ends with the remedy, for a file that is missing, damaged or over 1 MB.
    """
    data = read_bytes(path, remedy, _LARGEST_FILE)
    if data.startswith(b"PK"):
        return read_npz(path, remedy)
    if data.startswith(b"\x93NUMPY"):
        return read_npy(path, remedy).tolist()
    with reading(path, "YAML, JSON, XML or text file", remedy):
        return _parsed(data.decode("utf-8-sig"))


def _parsed(text: str) -> Any:
    start = text.lstrip()[:1]
    if start == "<":
        if "<!" in text.replace("<!--", ""):
            raise ValueError("XML with declarations of its own")
        return _of_xml(xml.fromstring(text))
    if start in ("{", "["):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            pass  # YAML has such brackets, too, and so have printed matrices
    if ":" not in text:
        return _of_lines(text)
    # A dump of a topic ends in '---' and may hold several messages; the first one counts.
    if len(text) > _LARGEST_YAML:
        text = text[:_LARGEST_YAML].rpartition("\n---")[0]
    documents = yaml.load_all(_OPENCV_DIRECTIVE.sub("", text), Loader=yaml.BaseLoader)
    return next((document for document in documents if document), None)


def _of_xml(element: xml.Element) -> Any:
    if len(element):
        return {child.tag: _of_xml(child) for child in element}
    words = (element.text or "").split()
    return words[0] if len(words) == 1 else words


def _of_lines(text: str) -> Any:
    """Return the numbers of each heading, as in camera_calibration's ost.txt, or numbers alone."""
    found: dict[str, list[float]] = {}
    heading = ""
    for line in text.splitlines():
        words = re.sub(r"[\[\](),;]", " ", line.partition("#")[0]).split()
        try:
            found.setdefault(heading, []).extend([float(word) for word in words])
        except ValueError:
            heading = " ".join(words)
    if list(found) == [""]:
        return found[""]
    return {name: one[0] if len(one) == 1 else one for name, one in found.items() if one}
