"""MATLAB's files: read as SciPy reads them, refused where they are damaged."""

import io
import struct

import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.files.matlab import read_matlab

savemat = pytest.importorskip("scipy.io", reason="SciPy is not installed").savemat

ARRAYS = {
    "handPara": np.random.default_rng(0).normal(size=(3, 21, 4)),
    "whole": np.arange(6.0).reshape(2, 3),  # stored as bytes
    "single": np.array([[0.25]], np.float32),
    "i2": np.array([[-3, 300]], np.int16),
    "nothing": np.zeros((0, 3)),
}


def written(path, content, **options):
    file = io.BytesIO()
    savemat(file, content, **options)
    path.write_bytes(file.getvalue())
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_are_what_was_written(tmp_path, compressed):
    others = {"cell": np.array([[1, "a"]], object), "structure": {"a": 1}}
    path = written(tmp_path / "a.mat", others | ARRAYS, do_compression=compressed)
    found = read_matlab(path, list(ARRAYS), "fetch it again")
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_text_has_a_string_a_row(tmp_path):
    path = written(tmp_path / "a.mat", {"paths": np.array(["images/0.jpg", "images/10.jpg"])})
    assert read_matlab(path, ["paths"], "r")["paths"].tolist() == ["images/0.jpg ", "images/10.jpg"]


def test_the_other_byte_order(tmp_path):
    def element(kind, content):
        padded = content + bytes(-len(content) % 8)
        return struct.pack(">II", kind, len(content)) + padded

    array = b"".join([
        element(6, struct.pack(">II", 6, 0)), element(5, struct.pack(">ii", 1, 2)),
        element(1, b"x"), element(9, struct.pack(">dd", 1.5, -2.0)),
    ])  # fmt: skip
    path = tmp_path / "a.mat"
    path.write_bytes(bytes(124) + b"\x01\x00MI" + element(14, array))
    assert read_matlab(path, ["x"], "r")["x"].tolist() == [[1.5, -2.0]]


@pytest.mark.parametrize(
    "content, names, message",
    [
        (ARRAYS, ["other"], "entry 'other' is missing"),
        ({"a": np.array([[1, "a"]], object)}, ["a"], "numbers or text"),
        ({"a": np.array([[1j]])}, ["a"], "numbers or text"),
        ({"a": {"b": 1}}, ["a"], "numbers or text"),
    ],
)
def test_what_is_no_array_is_refused(tmp_path, content, names, message):
    path = written(tmp_path / "a.mat", content)
    with pytest.raises(InputError, match=message):
        read_matlab(path, names, "fetch it again")


def test_every_damaged_byte_is_read_or_refused(tmp_path):
    """One of them, the type of the values, made SciPy's reader end the process."""
    path = written(tmp_path / "a.mat", {"handPara": np.ones((3, 21, 2))})
    whole = path.read_bytes()
    for place in range(124, 216):
        for value in (0x00, 0x7F, 0xD5, 0xFF):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                read_matlab(path, ["handPara"], "r")
            except InputError as error:
                assert "\n" not in str(error)


def test_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("cmr_ros.files.matlab.MAX_BYTES", 1 << 20)
    path = written(tmp_path / "a.mat", {"a": np.zeros((1 << 10, 1 << 10))}, do_compression=True)
    with pytest.raises(InputError, match="unpacks to over 1 MiB"):
        read_matlab(path, ["a"], "r")
