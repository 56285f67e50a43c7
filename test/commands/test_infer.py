"""`cmr infer` as a user calls it."""

import json

import numpy as np
import pytest

from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.files import mcap
from cmr_ros.files.pictures import read_picture, write_picture
from cmr_ros.files.video import VideoReader, VideoWriter
from cmr_ros.geometry.mesh import vertex_normals
from cmr_ros.geometry.skeleton import JOINT_NAMES
from cmr_ros.model import weights
from cmr_ros.pipeline import HandPipeline
from cmr_ros.sources import open_files
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
    assert main(["infer", gray(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "no focal length in its EXIF data; give --hfov DEG" in error and error.count("\n") == 1


def test_a_photograph_says_its_field_of_view(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    exif = image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 18
    image.new("RGB", (60, 40)).save(tmp_path / "photo.jpg", exif=exif)
    assert main(["infer", str(tmp_path / "photo.jpg")]) == 0
    assert "90.0 degrees wide, as its EXIF data say" in capsys.readouterr().out


def test_weights_that_are_not_there():
    with pytest.raises(InputError, match="no_such_model.*install the package again"):
        weights.find("no_such_model")


def test_no_hand_is_reported_and_the_picture_still_written(tmp_path, capsys):
    out = tmp_path / "new" / "out.png"
    assert main(["infer", gray(tmp_path), "--hfov", "60", "-o", str(out)]) == 0
    assert "no hand found" in capsys.readouterr().out
    assert (read_picture(out) == 127).all()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Return a folder with the first images of one hand and their calibration, and that hand."""
    folder = tmp_path_factory.mktemp("scene")
    camera, frames = frames_of(hands=1, count=6)
    k = {"K": camera.matrix.tolist(), "width": camera.width, "height": camera.height}
    (folder / "k.json").write_text(json.dumps(k))
    write_picture(folder / "hand.png", frames[0].picture())
    with VideoWriter(folder / "clip.mp4") as video:
        for frame in frames:
            video.write(frame.picture(), frame.stamp_ns)
    return folder, frames


def infer(folder, *arguments) -> int:
    return main(["infer", *map(str, arguments), "--camera-info", str(folder / "k.json")])


def lines_of(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_hands_are_listed_drawn_and_written(scene, tmp_path, capsys):
    folder, frames = scene
    picture = read_picture(folder / "hand.png")
    out = ["-o", tmp_path / "out.png", "--json", tmp_path / "new" / "out.json"]
    out += ["--ply", tmp_path / "meshes", "--glb", tmp_path / "meshes"]
    assert infer(folder, folder / "hand.png", *out) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and lines[0].startswith(("left", "right")) and "+-" in header
    assert (read_picture(tmp_path / "out.png") != picture).any()
    (line,) = lines_of(tmp_path / "new" / "out.json")
    (hand,) = line["hands"]
    assert hand["joint_names"] == list(JOINT_NAMES)
    assert np.abs(np.subtract(hand["joints_m"], frames[0].truth[0])).max() < 0.1

    trimesh = pytest.importorskip("trimesh", reason="trimesh is not installed")
    meshes = sorted((tmp_path / "meshes").iterdir())
    assert [path.suffix for path in meshes] == [".glb", ".ply"]
    glb, ply = (trimesh.load_mesh(path) for path in meshes)
    assert glb.volume == pytest.approx(ply.volume, rel=1e-3) and glb.volume > 0  # not inside out
    np.testing.assert_allclose(glb.vertices, ply.vertices * [1, -1, -1], atol=1e-5)
    (written,) = trimesh.load_scene(meshes[0], process=False).geometry.values()
    normals = vertex_normals(written.vertices, written.faces)  # trimesh's own would take SciPy
    np.testing.assert_allclose(written.vertex_normals, normals, atol=1e-3)


def test_a_video_is_followed_and_written(scene, tmp_path, capsys):
    folder, frames = scene
    out = ["-o", tmp_path / "out.mp4", "--json", tmp_path / "out.jsonl"]
    out += ["--mcap", tmp_path / "out.mcap"]
    assert infer(folder, folder / "clip.mp4", *out) == 0
    assert "6 images, 6 of them with hands, 1 hands followed" in capsys.readouterr().out
    lines = lines_of(tmp_path / "out.jsonl")
    assert [line["stamp_s"] for line in lines] == pytest.approx(np.arange(6) * 0.04, abs=1e-3)
    assert len({hand["track_id"] for line in lines for hand in line["hands"]}) == 1
    assert len(list(VideoReader(tmp_path / "out.mp4"))) == 6
    topics = [topic for topic, _, _ in mcap.messages(tmp_path / "out.mcap", "")]
    assert topics.count("/camera/hand_node/hands") == 6
    again = open_files([str(tmp_path / "out.mcap")])
    assert again.count == 6 and (again.camera.width, again.camera.height) == (640, 480)
    # Its camera, unless another one is given.
    command = ["infer", str(tmp_path / "out.mcap"), "--json", str(tmp_path / "other.jsonl")]
    depths_m = []
    for given in ([], ["--hfov", "20"]):
        assert main([*command, *given]) == 0
        (hand,) = lines_of(tmp_path / "other.jsonl")[0]["hands"]
        depths_m.append(hand["joints_m"][0][2])
    assert depths_m[1] > 2 * depths_m[0]
    assert main([*command, "--camera-info", str(tmp_path / "nowhere.yaml")]) == 2


def test_what_fails_leaves_earlier_results_alone(scene, tmp_path):
    folder, _ = scene
    pytest.importorskip("rosbags", reason="rosbags is not installed")
    json_file, bag = tmp_path / "out.json", tmp_path / "out.mcap"
    out = ["--json", json_file, "--mcap", bag]
    assert infer(folder, folder / "hand.png", *out) == 0
    before = json_file.read_bytes(), bag.read_bytes()
    assert infer(folder, folder / "missing.png", *out) == 2
    assert infer(folder, folder / "hand.png", "--json", json_file, "--mcap", "wrong.bag") == 2
    assert infer(folder, folder / "missing.png", folder / "lost.png", *out) == 1
    assert (json_file.read_bytes(), bag.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "out.mcap"]


def test_what_cannot_be_read_is_named_at_the_end(scene, tmp_path, capsys):
    folder, _ = scene
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    gray(tmp_path, "other_size.png")
    write_picture(tmp_path / "z.png", read_picture(folder / "hand.png"))
    assert infer(folder, tmp_path, "-o", tmp_path / "drawn") == 1
    out, err = capsys.readouterr()
    assert "z.png:" in out and [path.name for path in (tmp_path / "drawn").iterdir()] == [
        "z_hands.png"
    ]
    broken, other = err.splitlines()
    assert "broken.jpg: not an image" in broken and "calibrated for 640x480" in other


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "name pictures or a video, or a camera"),
        (["hand.png", "--camera", "0"], "one of the two"),
        (["clip.mp4", "-o", "out.png"], "of a video an .mp4 or .gif is made"),
        (["clip.mp4", "-o", "clip.mp4"], "is the image itself"),
        (["hand.png", "hand.png", "-o", "out.png"], "name a folder"),
        ([".", "-o", "."], "holds the images themselves"),
        (["clip.mp4", "--mcap", "out.bag"], "recordings are .mcap files"),
        (["--camera", "97"], "/dev/video97: no camera"),
    ],
)
def test_what_makes_no_sense_is_one_line(scene, monkeypatch, capsys, arguments, message):
    folder, _ = scene
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert infer(folder, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_a_video_asks_for_intrinsics(scene, capsys):
    assert main(["infer", str(scene[0] / "clip.mp4")]) == 2
    assert "give --hfov DEG" in capsys.readouterr().err


def test_interrupting_leaves_whole_files(scene, tmp_path, monkeypatch):
    folder, _ = scene
    images = iter(range(3))

    def interrupted(*_):
        if next(images) == 2:
            raise KeyboardInterrupt
        return []

    monkeypatch.setattr(HandPipeline, "__call__", interrupted)
    out = ["-o", tmp_path / "out.mp4", "--json", tmp_path / "out.jsonl"]
    assert infer(folder, folder / "clip.mp4", *out) == 130
    assert len(lines_of(tmp_path / "out.jsonl")) == 2
    assert len(list(VideoReader(tmp_path / "out.mp4"))) == 2
