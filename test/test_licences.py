"""Licences: what comes from others is in NOTICE, and what is required from others is free."""

import os
import re
import sys
import xml.etree.ElementTree as ElementTree
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

try:
    import tomllib as toml
except ModuleNotFoundError:  # Python 3.10
    import pip._vendor.tomli as toml

from support.shared import ROOT

#: SPDX identifiers of licences under which code may be required, or shipped as part of this one.
ALLOWED = {
    *("0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause"),
    *("BSL-1.0", "CC0-1.0", "ISC", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib"),
}
#: What they are called elsewhere: in classifiers, in package.xml and in NOTICE.
OTHER_NAMES = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "CC0 1.0": "CC0-1.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
#: A sentence of a licence's text, where that is all that a wheel has.
TEXTS = {
    "Permission is hereby granted, free of charge, to any person obtaining a copy": "MIT",
    "Redistribution and use in source and binary forms": "BSD-3-Clause",
    "Apache License\n": "Apache-2.0",
}
#: What rosdep's keys of Python packages are called at PyPI, where it is not the same.
AT_PYPI = {"opencv": "opencv-python-headless", "yaml": "PyYAML", "onnxruntime-pip": "onnxruntime"}

NOTICE = (ROOT / "NOTICE").read_text()
FOLDERS = ("cmake", "cmr_ros", "config", "docs", "examples", "launch", "msg", "srv", "weights")


def shipped():
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                yield path


def sections():
    """List NOTICE's paragraphs about the work of others."""
    return NOTICE.partition("includes and derives from work of others:")[2].strip().split("\n\n")


def named_paths(text):
    found = re.findall(rf"(?<!\S)((?:{'|'.join(FOLDERS)})/[\w./-]+)", text)
    return [ROOT / name.rstrip(".,") for name in found]


def licences_in(text):
    names = {*ALLOWED, *OTHER_NAMES}
    return {name for name in names if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)}


def looks_foreign(path):
    """Whether a file is no text of ours: binary, or with a notice of others."""
    data = path.read_bytes()
    notice = re.search(rb"copyright|SPDX-License-Identifier|@license", data, re.IGNORECASE)
    return b"\0" in data or notice is not None


def test_what_may_come_from_others_is_named_in_notice():
    named = [path for section in sections() for path in named_paths(section)]
    foreign = [path for path in shipped() if looks_foreign(path)]
    missing = [
        str(path.relative_to(ROOT))
        for path in foreign
        if not any(path == name or name in path.parents for name in named)
    ]
    assert foreign and missing == []


def test_what_notice_names_is_there():
    gone = [str(path.relative_to(ROOT)) for path in named_paths(NOTICE) if not path.exists()]
    assert gone == []


@pytest.mark.parametrize("section", sections(), ids=lambda text: text.split("(")[0].strip())
def test_each_work_of_others_has_its_licence(section):
    assert licences_in(section)


def test_three_js_is_the_release_that_notice_names():
    folder = ROOT / "cmr_ros/viewing/web/three"
    release = re.search(r"three holds release 0\.(\d+)\.\d+", NOTICE)[1]
    assert f'"{release}"' in (folder / "three.core.min.js").read_text()
    assert (folder / "LICENSE").read_text().startswith("The MIT License")


def requirements():
    """List the names of all packages that anything here requires: those of PyPI, those of ROS."""
    file = toml.loads((ROOT / "pyproject.toml").read_text())
    project = file["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    lines = [*file["build-system"]["requires"], *project["dependencies"], *extras]
    wheels = {re.match(r"[\w.-]+", line)[0] for line in lines}
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    keys = {tag.text for tag in manifest if tag.tag.endswith("depend")}
    ros = {key for key in keys if not key.startswith("python3-")}
    python = {key.removeprefix("python3-") for key in keys - ros}
    python = {AT_PYPI.get(name, name) for name in python}
    ros |= {wheel.removeprefix("ros-").replace("-", "_") for wheel in wheels if wheel[:4] == "ros-"}
    return {wheel for wheel in wheels | python if wheel[:4] != "ros-"}, ros


PYTHON_PACKAGES, ROS_PACKAGES = map(sorted, requirements())


@pytest.mark.parametrize("package", PYTHON_PACKAGES)
def test_required_python_packages_are_free(package):
    try:
        found = distribution(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed here")
    assert_allowed(licences_of(found))


@pytest.mark.parametrize("package", ROS_PACKAGES)
def test_required_ros_packages_are_free(package):
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    manifests = [Path(prefix, "share", package, "package.xml") for prefix in prefixes if prefix]
    manifest = next((path for path in manifests if path.exists()), None)
    if manifest is None:
        pytest.skip(f"{package} is not installed here")
    assert_allowed({tag.text.strip() for tag in ElementTree.parse(manifest).iter("license")})


def licences_of(found):
    """Read an installed Python package's licences: an expression, classifiers, a name or a text."""
    kinds = [line.split(" :: ") for line in found.metadata.get_all("Classifier") or ()]
    names = {kind[2] for kind in kinds if kind[0] == "License" and len(kind) == 3}
    expression = found.metadata.get("License-Expression")
    if names and not expression:
        return names
    expression = expression or found.metadata.get("License", "").strip()
    if expression and "\n" not in expression:
        return {part for part in re.split(r" AND | OR |[()]", expression) if part.strip()}
    files = [f for f in found.files or () if ".dist-info" in f.parts[0] and "LICENSE" in f.name]
    text = "\n".join(file.read_text() for file in files)
    return {licence for sentence, licence in TEXTS.items() if sentence in text}


def assert_allowed(licences):
    assert licences
    assert {OTHER_NAMES.get(name, name) for name in licences} <= ALLOWED
