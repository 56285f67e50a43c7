"""`cmr infer` as a user calls it."""

import json

import numpy as np
import pytest

from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.files.pictures import read_picture, write_picture
from cmr_ros.geometry.skeleton import JOINT_NAMES
from cmr_ros.model import weights
from support.scenes import frames_of


def gray(tmp_path, name="gray.png", size=(48, 64, 3)):
    path = tmp_path / name
    write_picture(path, np.full(size, 127, np.uint8))
    return str(path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["none.png", "--hfov", "60"], "none.png: no such file"),
        (["empty.png", "--hfov", "60"], "empty.png: not an image"),
        (["gray.png", "--hfov", "0"], "field of view 0"),
        (["gray.png", "--hfov", "nan"], "field of view nan"),
        (["gray.png", "--camera-info", "none.yaml"], "none.yaml: no such file"),
        (["gray.png", "--camera-info", "empty.png"], "empty.png: holds no camera matrix"),
        (["gray.png", "--camera-info", "wide.json"], "calibrated for 1280x720"),
        (["gray.png", "--hfov", "60", "--max-hands", "0"], "max_hands"),
        (["gray.png", "--hfov", "60", "--model", "none"], "none"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    gray(tmp_path)
    (tmp_path / "empty.png").write_bytes(b"")
    k = [900, 0, 640, 0, 900, 360, 0, 0, 1]
    (tmp_path / "wide.json").write_text(json.dumps({"K": k, "width": 1280, "height": 720}))
    assert main(["infer", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_without_intrinsics_it_asks_for_them(tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        main(["infer", gray(tmp_path)])
    assert error.value.code == 2
    assert "--camera-info --hfov is required" in capsys.readouterr().err


def test_weights_that_are_not_there():
    with pytest.raises(InputError, match="no_such_model.*install the package again"):
        weights.find("no_such_model")


def test_no_hand_is_reported_and_the_picture_still_written(tmp_path, capsys):
    out = tmp_path / "new" / "out.png"
    assert main(["infer", gray(tmp_path), "--hfov", "60", "-o", str(out)]) == 0
    assert "no hand found" in capsys.readouterr().out
    assert (read_picture(out) == 127).all()


def test_hands_are_listed_drawn_and_written(tmp_path, capsys):
    camera, (frame,) = frames_of(hands=1, count=1)
    picture = frame.picture()
    write_picture(tmp_path / "hand.png", picture)
    k = {"K": camera.matrix.tolist(), "width": camera.width, "height": camera.height}
    (tmp_path / "k.json").write_text(json.dumps(k))
    arguments = [
        *("infer", str(tmp_path / "hand.png"), "--camera-info", str(tmp_path / "k.json")),
        *("-o", str(tmp_path / "out.png"), "--json", str(tmp_path / "new" / "out.json")),
        *("--ply", str(tmp_path / "meshes")),
    ]
    assert main(arguments) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and lines[0].startswith(("left", "right")) and "+-" in header
    assert (read_picture(tmp_path / "out.png") != picture).any()
    (hand,) = json.loads((tmp_path / "new" / "out.json").read_text())["hands"]
    assert hand["joint_names"] == list(JOINT_NAMES)
    assert np.abs(np.subtract(hand["joints_m"], frame.truth[0])).max() < 0.1
    assert len(list((tmp_path / "meshes").glob("*.ply"))) == 1
