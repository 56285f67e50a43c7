"""Pictures, meshes and calibrations in files."""

import json

import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.files.calibration import read_calibration
from cmr_ros.files.output import write_ply
from cmr_ros.files.pictures import read_picture, write_picture

CALIBRATION = """\
image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [600.5, 0., 318.2, 0., 590.25, 245.75, 0., 0., 1.]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.1, 0.01, 0.001, -0.002, 0.]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1., 0., 0., 0., 1., 0., 0., 0., 1.]
projection_matrix:
  rows: 3
  cols: 4
  data: [580., 0., 320., 0., 0., 585., 240., 0., 0., 0., 1., 0.]
"""
TOPIC_DUMP = """\
header:
  stamp: {sec: 1, nanosec: 2}
  frame_id: camera
height: 960
width: 1280
distortion_model: rational_polynomial
d: [0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
k:
- 1201.0
- 0.0
- 636.4
- 0.0
- 1180.5
- 491.5
- 0.0
- 0.0
- 1.0
r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
p: [1160.0, 0.0, 640.0, 0.0, 0.0, 1170.0, 480.0, 0.0, 0.0, 0.0, 1.0, 0.0]
binning_x: 2
binning_y: 2
roi: {x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}
---
"""
SIZE = (640, 480)


def written(tmp_path, text, name="camera.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_calibration_of_camera_calibration(tmp_path):
    camera = read_calibration(written(tmp_path, CALIBRATION), SIZE)
    assert (camera.width, camera.height) == SIZE
    np.testing.assert_array_equal(
        camera.matrix, [[600.5, 0, 318.2], [0, 590.25, 245.75], [0, 0, 1]]
    )
    np.testing.assert_array_equal(camera.distortion, [-0.1, 0.01, 0.001, -0.002, 0])
    rectified = read_calibration(written(tmp_path, CALIBRATION), SIZE, rectified=True)
    np.testing.assert_array_equal(rectified.matrix, [[580, 0, 320], [0, 585, 240], [0, 0, 1]])
    assert not rectified.distortion.size


def test_dump_of_a_camera_info_topic_with_binning(tmp_path):
    camera = read_calibration(written(tmp_path, TOPIC_DUMP), SIZE)
    np.testing.assert_array_equal(
        camera.matrix, [[600.5, 0, 318.2], [0, 590.25, 245.75], [0, 0, 1]]
    )
    assert camera.distortion_model == "rational_polynomial"


@pytest.mark.parametrize("nested", [True, False])
def test_json_with_k_alone(tmp_path, nested):
    k = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
    path = written(tmp_path, json.dumps({"K": (k if nested else k.ravel()).tolist()}), "k.json")
    np.testing.assert_array_equal(read_calibration(path, SIZE).matrix, k)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "holds no entries"),
        ("[1, 2]", "holds no entries"),
        ("a: [", "neither YAML nor JSON"),
        ("!!python/object/apply:os.system [true]", "neither YAML nor JSON"),
        ("width: 640", "no 'k'"),
        ("K: [1, 2, 3]", "expected 9 numbers"),
        ("K: [0, 0, 0, 0, 0, 0, 0, 0, 1]", "not calibrated"),
        ("K: [a, b]", "not a calibration"),
        (CALIBRATION.replace("600.5", ".nan"), "finite"),
        (CALIBRATION.replace("plumb_bob", "magic"), "distortion model"),
        (CALIBRATION.replace("640", "1280"), "calibrated for 1280x480, the picture is 640x480"),
    ],
)
def test_unusable_calibrations_give_one_clear_error(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as error:
        read_calibration(written(tmp_path, text), SIZE)
    assert "camera.yaml" in str(error.value) and "\n" not in str(error.value)


def test_missing_and_huge_calibrations(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_calibration(tmp_path / "none.yaml", SIZE)
    with pytest.raises(InputError, match="over 1 MB"):
        read_calibration(written(tmp_path, "#" * (1 << 21)), SIZE)


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_pictures_come_back_in_their_colours(tmp_path, ending):
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :30], picture[:, 30:] = (250, 10, 20), (10, 20, 250)
    write_picture(tmp_path / "new" / f"a{ending}", picture)
    back = read_picture(tmp_path / "new" / f"a{ending}").astype(int)
    assert np.abs(back[:, 5:25] - picture[:, 5:25]).max() < 8


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_files_that_are_no_pictures(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match="not an image"):
        read_picture(tmp_path / "a.png")


def test_pictures_missing_or_too_long(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(InputError, match="no such file"):
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
