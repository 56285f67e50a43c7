"""The first inputs of scripts/fuzz.py, and that it finds what is wrong."""

import importlib
import sys
from types import SimpleNamespace

import pytest

from cmr_ros.errors import InputError
from support.shared import ROOT


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return importlib.import_module("fuzz")
    finally:
        sys.path.remove(str(ROOT / "scripts"))


NAMES = [
    "image message", "compressed image message", "camera_info message", "calibration", "picture",
    "EXIF", "model card", "template", "JSON", "pickle", "MATLAB file", "recording",
]  # fmt: skip


def test_every_target_is_tried(script):
    assert list(script.TARGETS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found(script, name, tmp_path):
    if "message" in name:
        pytest.importorskip("sensor_msgs", reason="ROS 2 is not installed")
    if name == "recording":
        pytest.importorskip("rosbags", reason="rosbags is not installed")
    if name == "EXIF":
        pytest.importorskip("PIL", reason="Pillow is not installed")
    tried = SimpleNamespace(value=0)
    script.fuzz(name, 0, 60, tmp_path, tried, most=25)
    assert tried.value >= 20


def test_what_is_no_answer_is_found(script, tmp_path, monkeypatch):
    def read(path):
        content = path.read_bytes()
        if content == b"good":
            return
        if len(content) < 4:
            raise ValueError("not foreseen")
        raise InputError("damaged")

    target = script.of_files(read, lambda: [b"good"])
    monkeypatch.setitem(script.TARGETS, "unlucky", target)
    with pytest.raises(ValueError, match="not foreseen"):
        script.fuzz("unlucky", 0, 60, tmp_path, SimpleNamespace(value=0))
