"""What is written takes the place of its own kind only, in one piece."""

import os

import numpy as np
import pytest

from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.files.output import write_bytes, write_ply
from cmr_ros.files.pictures import write_picture


def test_files_of_the_same_kind_are_replaced(tmp_path):
    for path, first, second in (
        (tmp_path / "a.json", b'{"a": 1}', b"{\n}"),
        (tmp_path / "a.ply", b"ply\nold", b"ply\nnew"),
        (tmp_path / "a.onnx", b"\x08\x08\x12\x07pytorch", b"\x08\x0a\x12\x07tf2onnx"),
        (tmp_path / "empty", b"", b"anything"),
    ):
        write_bytes(path, first)
        write_bytes(path, second)
        assert path.read_bytes() == second
    assert len(list(tmp_path.iterdir())) == 4  # nothing unfinished is left


@pytest.mark.parametrize(
    "old", [b"\xff\xd8\xff\xe0 a photograph", b"notes", b"PK\x03\x04 a network"]
)
def test_files_of_another_kind_are_kept(tmp_path, old):
    path = tmp_path / "mine"
    path.write_bytes(old)
    for write in (
        lambda: write_bytes(path, b'{"a": 1}'),
        lambda: write_ply(path, np.zeros((3, 3)), np.array([[0, 1, 2]])),
    ):
        with pytest.raises(InputError, match="mine: exists and is of another kind"):
            write()
    assert path.read_bytes() == old


def test_places_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / ("n" * 5000), tmp_path / "pipe" / "x"):
        with pytest.raises(InputError, match="folder|pipe|too long|cannot be written"):
            write_bytes(path, b"{}")


def test_infer_does_not_draw_over_its_own_image(tmp_path, capsys):
    path = tmp_path / "mine.jpg"
    write_picture(path, np.zeros((40, 60, 3), np.uint8))
    before = path.read_bytes()
    assert main(["infer", str(path), "--hfov", "60", "-o", str(path)]) == 2
    assert "is the image itself" in capsys.readouterr().err and path.read_bytes() == before
