"""Pictures and meshes in files."""

import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.files.output import write_ply
from cmr_ros.files.pictures import read_picture, write_picture


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_pictures_come_back_in_their_colours(tmp_path, ending):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :30], picture[:, 30:] = (250, 10, 20), (10, 20, 250)
    write_picture(tmp_path / "new" / f"a{ending}", picture)
    back = read_picture(tmp_path / "new" / f"a{ending}").astype(int)
    assert np.abs(back[:, 5:25] - picture[:, 5:25]).max() < 8


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_pictures_of_16_bits_are_scaled_by_the_bits_in_use(tmp_path, bits):
    grey = np.linspace(0, 255, 1200).astype(np.uint8).reshape(30, 40)
    cv2.imwrite(str(tmp_path / "a.png"), grey.astype(np.uint16) << (bits - 8))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), np.dstack([grey] * 3))


def test_pictures_of_real_numbers_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "depth.tiff"), np.ones((4, 4), np.float32))
    with pytest.raises(InputError, match="not an image"):
        read_picture(tmp_path / "depth.tiff")


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_files_that_are_no_pictures(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match="not an image"):
        read_picture(tmp_path / "a.png")


def test_pictures_missing_or_too_long(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(InputError, match="a folder, not a file"):
        read_picture(tmp_path)
    cv2.imwrite(str(tmp_path / "long.png"), np.zeros((2, 40000, 3), np.uint8))
    with pytest.raises(InputError, match="too large"):
        read_picture(tmp_path / "long.png")


def test_pictures_that_cannot_be_written(tmp_path):
    picture = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(InputError, match="writes no '.xyz'"):
        write_picture(tmp_path / "a.xyz", picture)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_picture(tmp_path / "file" / "a.png", picture)


def test_meshes_are_ply_as_others_read_it(tmp_path):
    trimesh = pytest.importorskip("trimesh")
    vertices = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.2, 0], [0, 0, 0.3]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    write_ply(tmp_path / "a.ply", vertices, faces)
    mesh = trimesh.load(tmp_path / "a.ply", process=False)
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)
    assert mesh.is_watertight
