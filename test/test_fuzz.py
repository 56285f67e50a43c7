"""The first inputs of scripts/fuzz.py, and that it finds what is wrong."""

from types import SimpleNamespace

import pytest

pytest.importorskip("hypothesis", reason="hypothesis is not installed")
from cmr_ros.errors import InputError
from support.scripts import script

fuzz = script("fuzz")
NAMES = [
    "image message", "compressed image message", "camera_info message", "calibration", "picture",
    "EXIF", "model card", "template", "JSON", "pickle", "MATLAB file", "recording",
]  # fmt: skip


def test_every_target_is_tried():
    assert list(fuzz.TARGETS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found(name, tmp_path):
    if "message" in name:
        pytest.importorskip("sensor_msgs", reason="ROS 2 is not installed")
    if name == "recording":
        pytest.importorskip("rosbags", reason="rosbags is not installed")
    if name == "EXIF":
        pytest.importorskip("PIL", reason="Pillow is not installed")
    tried = SimpleNamespace(value=0)
    fuzz.fuzz(name, 0, 60, tmp_path, tried, most=25)
    assert tried.value >= 20


def test_what_is_no_answer_is_found(tmp_path, monkeypatch):
    def read(path):
        content = path.read_bytes()
        if content == b"good":
            return
        if len(content) < 4:
            raise ValueError("not foreseen")
        raise InputError("damaged")

    target = fuzz.of_files(read, lambda: [b"good"])
    monkeypatch.setitem(fuzz.TARGETS, "unlucky", target)
    with pytest.raises(ValueError, match="not foreseen"):
        fuzz.fuzz("unlucky", 0, 60, tmp_path, SimpleNamespace(value=0))
