"""Calibrations in the files that people have."""

import json

import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.files.calibration import read_calibration

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


K = np.array([[600.5, 0, 318.2], [0, 590.25, 245.75], [0, 0, 1]])
D = [-0.1, 0.01, 0.001, -0.002, 0.03]


def is_the_camera(camera, distortion=D, model="plumb_bob"):
    assert (camera.width, camera.height) == SIZE
    np.testing.assert_allclose(camera.matrix, K, rtol=1e-12)
    np.testing.assert_allclose(camera.distortion, distortion, rtol=1e-12)
    assert camera.distortion_model == model
    return True


@pytest.mark.parametrize("ending", [".yaml", ".yml", ".xml", ".json"])
@pytest.mark.parametrize(
    "k, d, size",
    [
        ("camera_matrix", "distortion_coefficients", ("image_width", "image_height")),
        ("cameraMatrix", "distCoeffs", None),
        ("Camera_Matrix", "Distortion_Coefficients", ("image_Width", "image_Height")),
        ("K", "D", None),
        ("mtx", "dist", ("width", "height")),
    ],
)
def test_opencv_file_storage(tmp_path, ending, k, d, size):
    path = tmp_path / f"calibration{ending}"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("calibration_time", "Thu 26 Nov 2026 09:00:00")
    for name, value in zip(size or (), SIZE, strict=False):
        storage.write(name, value)
    storage.write(k, K)
    storage.write(d, np.array(D)[:, None])
    storage.write("avg_reprojection_error", 0.25)
    storage.release()
    assert is_the_camera(read_calibration(path, SIZE))


@pytest.mark.parametrize("ending", [".yaml", ".xml"])
def test_opencv_says_that_a_lens_is_a_fisheye(tmp_path, ending):
    path = tmp_path / f"fisheye{ending}"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("fisheye_model", 1)
    storage.write("camera_matrix", K)
    storage.write("distortion_coefficients", np.array(D[:4]))
    storage.release()
    assert is_the_camera(read_calibration(path, SIZE), D[:4], "equidistant")


KALIBR = """\
cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [-0.1, 0.01, 0.001, -0.002]
  distortion_model: radtan
  intrinsics: [600.5, 590.25, 318.2, 245.75]
  resolution: [640, 480]
  rostopic: /cam0/image_raw
cam1:
  T_cn_cnm1:
  - [0.99, 0.0, 0.01, -0.11]
  - [0.0, 1.0, 0.0, 0.0]
  - [-0.01, 0.0, 0.99, 0.0]
  - [0.0, 0.0, 0.0, 1.0]
  camera_model: pinhole
  distortion_coeffs: [-0.1, 0.01, 0.001, -0.002]
  distortion_model: equidistant
  intrinsics: [600.5, 590.25, 318.2, 245.75]
  resolution: [848, 480]
  rostopic: /cam1/image_raw
"""


def test_kalibr(tmp_path):
    path = written(tmp_path, KALIBR)
    assert is_the_camera(read_calibration(path, SIZE), D[:4])
    assert read_calibration(path, (848, 480)).distortion_model == "equidistant"
    with pytest.raises(InputError, match="holds several cameras, cam0, cam1"):
        read_calibration(path, (320, 240))
    broken = KALIBR.replace("[848, 480]", "[a, 480]").replace("[640, 480]", "{w: 640}")
    with pytest.raises(InputError, match="not a calibration"):
        read_calibration(written(tmp_path, broken), SIZE)
    with pytest.raises(InputError, match="camera model 'omni'"):
        read_calibration(written(tmp_path, KALIBR.replace("pinhole", "omni")), SIZE)


REALSENSE = {
    "width": 640, "height": 480, "ppx": 318.2, "ppy": 245.75, "fx": 600.5, "fy": 590.25,
    "model": "distortion.inverse_brown_conrady", "coeffs": [0.0, 0.0, 0.0, 0.0, 0.0],
}  # fmt: skip


def test_realsense(tmp_path):
    path = written(tmp_path, json.dumps(REALSENSE, indent="\t"), "d435.json")
    assert is_the_camera(read_calibration(path, SIZE), [], "")
    depth = REALSENSE | {"width": 848, "fx": 423.0, "fy": 423.0}
    path = written(tmp_path, json.dumps({"color": {"intrinsics": REALSENSE}, "depth": depth}))
    assert is_the_camera(read_calibration(path, SIZE), [], "")
    bent = REALSENSE | {"model": "Brown Conrady", "coeffs": D}
    assert is_the_camera(read_calibration(written(tmp_path, json.dumps(bent)), SIZE))
    bent["model"] = "Inverse Brown Conrady"
    with pytest.raises(InputError, match="'Inverse Brown Conrady' does not take"):
        read_calibration(written(tmp_path, json.dumps(bent)), SIZE)


OST = """\
# oST version 5.0 parameters


[image]

width
640

height
480

[narrow_stereo]

camera matrix
600.5 0.000000 318.2
0.000000 590.25 245.75
0.000000 0.000000 1.000000

distortion
-0.1 0.01 0.001 -0.002 0.03

rectification
1.000000 0.000000 0.000000
0.000000 1.000000 0.000000
0.000000 0.000000 1.000000

projection
580 0.000000 320 0.000000
0.000000 585 240 0.000000
0.000000 0.000000 1.000000 0.000000
"""


def test_ost_txt_of_camera_calibration(tmp_path):
    path = written(tmp_path, OST, "ost.txt")
    assert is_the_camera(read_calibration(path, SIZE))
    rectified = read_calibration(path, SIZE, rectified=True)
    np.testing.assert_array_equal(rectified.matrix, [[580, 0, 320], [0, 585, 240], [0, 0, 1]])


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(K.tolist()),
        json.dumps(K.ravel().tolist()),
        json.dumps({"K": K.tolist()}),
        json.dumps({"camera_matrix": K.tolist(), "dist": []}),
        json.dumps({"intrinsic_matrix": K.T.ravel().tolist(), "width": 640, "height": 480}),
        json.dumps({"fx": 600.5, "fy": 590.25, "cx": 318.2, "cy": 245.75}),
        json.dumps({"camera": {"intrinsics": {"fx": 600.5, "fy": 590.25, "cx": 318.2,
                                              "cy": 245.75}}}),
        "K: " + json.dumps(K.tolist()),
        "K:\n- [600.5, 0, 318.2]\n- [0, 590.25, 245.75]\n- [0, 0, 1]\n",
        "- [6.005e2, 0, 318.2]\n- [0, 590.25, 245.75]\n- [0, 0, 1]\n# made: today\n",
        "600.5 0 318.2\n0 590.25 245.75\n0 0 1\n",
        "6.005e+02,0.0e+00,3.182e+02\n0,590.25,245.75\n0,0,1",
        "# fx 0 cx\n[[600.5   0.   318.2 ]\n [  0.   590.25 245.75]\n [  0.     0.     1.  ]]",
    ],
)  # fmt: skip
def test_k_alone(tmp_path, text):
    assert is_the_camera(read_calibration(written(tmp_path, text, "k"), SIZE), [], "")


def test_k_of_numpy(tmp_path):
    np.save(tmp_path / "k.npy", K)
    assert is_the_camera(read_calibration(tmp_path / "k.npy", SIZE), [], "")
    np.savez(tmp_path / "k.npz", mtx=K, dist=np.array([D]), rvecs=np.zeros((9, 3, 1)))
    assert is_the_camera(read_calibration(tmp_path / "k.npz", SIZE))
    np.savetxt(tmp_path / "k.txt", K)
    assert is_the_camera(read_calibration(tmp_path / "k.txt", SIZE), [], "")


def test_coefficients_with_names_of_their_own(tmp_path):
    nerfstudio = {
        "camera_model": "OPENCV", "w": 640, "h": 480, "fl_x": 600.5, "fl_y": 590.25, "cx": 318.2,
        "cy": 245.75, "k1": -0.1, "k2": 0.01, "p1": 0.001, "p2": -0.002, "k3": 0.03,
    }  # fmt: skip
    found = read_calibration(written(tmp_path, json.dumps(nerfstudio)), SIZE)
    assert is_the_camera(found, [*D, 0, 0, 0])
    fisheye = {**nerfstudio, "camera_model": "OPENCV_FISHEYE", "k4": 0.004}
    found = read_calibration(written(tmp_path, json.dumps(fisheye)), SIZE)
    assert is_the_camera(found, [-0.1, 0.01, 0.03, 0.004], "equidistant")


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "holds no camera matrix"),
        ("a: b", "holds no camera matrix"),
        ("[1, 2]", "expected 9 numbers"),
        ("[[]]", "expected 9 numbers"),
        ("a: [", "not a readable"),
        ("{'K': [1,", "not a readable"),
        ("!!python/object/apply:os.system [true]", "not a calibration"),
        ("width: 640", "holds no camera matrix"),
        ("fx: 600\nfy: 600", "expected 9 numbers"),
        ("fx: 600\nfy: 600\ncx: 1\ncy: 1\ndistortion: {radial: [0.1]}", "no 'k1'"),
        ("K: [1, 2, 3]", "expected 9 numbers"),
        ("K: {rows: 3}", "holds no camera matrix"),
        ("K: [0, 0, 0, 0, 0, 0, 0, 0, 1]", "not calibrated"),
        ("K: [1, 0, 320, 0, 1, 240, 0, 0, 1]", "no lens has"),
        ("K: [a, b]", "not a calibration"),
        ("K: [" + "9" * 5000 + ", 0, 320, 0, 1, 240, 0, 0, 1]", "finite"),
        ('{"K": [' + "9" * 5000 + ", 0, 320, 0, 1, 240, 0, 0, 1]}", "not a readable"),
        ("width: 1e999\nheight: 1\nK: [600, 0, 320, 0, 600, 240, 0, 0, 1]", "not a calibration"),
        ("roi: 3\nK: [600, 0, 320, 0, 600, 240, 0, 0, 1]", "not a calibration"),
        ("K: [600, 0, 320, 0, 600, 240, 0, 0, 1]\nD: [0.1, 0, 0, 0]", "plumb_bob or equidistant"),
        (CALIBRATION.replace("600.5", ".nan"), "finite"),
        (CALIBRATION.replace("plumb_bob", "magic"), "distortion model"),
        (CALIBRATION.replace("640", "1280"), "calibrated for 1280x480, the image is 640x480"),
        ("[" * 100_000, "nested too deeply"),
        ("a: " + "[" * 100_000, "nested too deeply"),
        ("<a>" * 100_000, "not a readable"),
        ("<a><b>" + "<c>" * 20_000 + "</c>" * 20_000 + "</b></a>", "nested too deeply"),
        ('<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>', "declarations"),
        ("a: &a [1, 1]\nb: &b [*a, *a]\nK: [*b, *b, *b]", "expected 9 numbers"),
    ],
)  # fmt: skip
def test_unusable_calibrations_give_one_clear_error(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as error:
        read_calibration(written(tmp_path, text), SIZE)
    assert "camera.yaml" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("leaf", ["1", "[]"])
def test_a_few_characters_that_stand_for_millions_do_no_harm(tmp_path, leaf):
    lines = [f"l0: &l0 [{', '.join([leaf] * 9)}]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    with pytest.raises(InputError, match="far more numbers|expected 9 numbers"):
        read_calibration(written(tmp_path, "\n".join([*lines, "K: *l29"])), SIZE)


def test_what_numpy_would_run_or_allocate_is_refused(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(InputError, match="not a readable"):
        read_calibration(tmp_path / "objects.npy", SIZE)
    data = bytearray((tmp_path / "objects.npy").read_bytes())
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999,), }"
    data[10 : 10 + len(header)] = header
    (tmp_path / "huge.npy").write_bytes(bytes(data))
    with pytest.raises(InputError, match="not a readable"):
        read_calibration(tmp_path / "huge.npy", SIZE)


def test_missing_and_huge_calibrations(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_calibration(tmp_path / "none.yaml", SIZE)
    with pytest.raises(InputError, match="a folder, not a file"):
        read_calibration(tmp_path, SIZE)
    with pytest.raises(InputError, match="over 1 MiB"):
        read_calibration(written(tmp_path, "#" * (1 << 21)), SIZE)
    with pytest.raises(InputError, match="pipe or device"):
        read_calibration("/dev/zero", SIZE)
