"""Files of strangers: what is no file, unpacks to too much or is damaged is one clear error."""

import io
import os
import zipfile

import numpy as np
import pytest

from cmr_ros.errors import InputError, reason
from cmr_ros.files.untrusted import (
    open_regular,
    read_bytes,
    read_json,
    read_npy,
    read_npz,
    read_yaml,
)

READERS = [read_bytes, read_json, read_yaml, read_npz, read_npy]


@pytest.mark.parametrize("reader", READERS)
def test_pipes_devices_and_folders_are_not_waited_for(tmp_path, reader):
    os.mkfifo(tmp_path / "pipe")
    places = {
        "/dev/zero": "pipe or device",
        tmp_path / "pipe": "pipe or device",
        tmp_path: "a folder",
        tmp_path / "none": "no such file",
        tmp_path / ("n" * 5000): "too long",
        tmp_path / "a\0b": "null",
    }
    for place, problem in places.items():
        with pytest.raises(InputError, match=f"{problem}.*; give another") as error:
            reader(place, "give another")
        assert len(str(error.value)) < 700 and str(error.value).isprintable()


def test_files_over_the_limit_are_not_read(tmp_path):
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="more than such a file holds"):
        open_regular(path, "", 100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("1" * 400, "400 digits"),
        ("{", "not a readable JSON"),
        ("[],[]", "not a readable JSON"),
        ("\xff", "not a readable JSON"),
        ("[" + "[]," * 9_000_000 + "[]]", "too many"),
    ],
)
def test_json_that_costs_too_much_or_is_none(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin1"))
    with pytest.raises(InputError, match=message):
        read_json(path, "")


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1]\nb: *a",
        "a: 1:1",
        "a: " + "1" * 1000,
        "!!int ''",
        "2020-13-45",
        "[" * 2000,
        "!!python/object/apply:os.system [true]",
        "? [a]\n: 1",
    ],
)
def test_yaml_that_multiplies_or_cannot_be_read(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="x.yaml"):
        read_yaml(path, "")


def test_yaml_of_plain_values(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: [1, 2.5, .inf, text]\nb: {c: null}\n---\nd: 1\n")
    assert read_yaml(path, "") == {"a": [1, 2.5, float("inf"), "text"], "b": {"c": None}}


def npy(header: str, data: bytes = b"", version: int = 1) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    "content",
    [
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}", b"0" * 8),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", b"0" * 8),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"0" * 8),
        npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}", b"0" * 8),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", b"0" * 8, version=9),
        npy("{'descr': '<f8'"),
        b"\x93NUMPY",
        b"",
    ],
)
def test_arrays_that_are_damaged_or_claim_more_than_there_is(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(InputError, match="x.npy: not a readable .npy"):
        read_npy(tmp_path / "x.npy", "")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(InputError, match="x.npz: not a readable .npz"):
        read_npz(tmp_path / "x.npz", "")


def test_arrays_of_every_layout_come_back(tmp_path):
    arrays = {
        "scalar": np.array(3.0),
        "text": np.array("name"),
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
        "empty": np.zeros((0, 2)),
    }
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    for name, found in read_npz(tmp_path / "x.npz", "").items():
        np.testing.assert_array_equal(found, arrays[name])
        assert found.dtype == arrays[name].dtype and found.flags.writeable


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_archives_compressed_in_other_ways(tmp_path, method):
    whole = io.BytesIO()
    np.save(whole, np.zeros(3))
    with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
        archive.writestr("x.npy", whole.getvalue())
    with pytest.raises(InputError, match="a way that numpy does not write"):
        read_npz(tmp_path / "x.npz", "")


def test_every_flipped_byte_of_an_archive_is_one_error_or_none(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.arange(3), b=np.eye(2))
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            read_npz(path, "", ("a", "b"))
        except InputError:
            pass


def test_messages_are_one_line_of_bounded_length():
    assert str(InputError("a\nb\x1b[31m")) == "a b [31m"
    long = str(InputError("x" * 5000 + "; name another file"))
    assert len(long) < 700 and long.endswith("; name another file")
    assert len(reason(ValueError("y" * 5000))) < 300
