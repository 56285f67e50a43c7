"""Readers of data sets, on miniatures in the layouts that the sets are published in."""

import json
import pickle

import numpy as np
import pytest
from scipy.io import savemat

from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.evaluation import datasets
from cmr_ros.files.pictures import write_picture
from cmr_ros.geometry.skeleton import Handedness

K = [[480.0, 0, 112.0], [0, 481.0, 110.0], [0, 0, 1]]


def hand(seed=0, count=21):
    """Points before the camera, metres, each one another."""
    return np.random.default_rng(seed).uniform([-0.1, -0.1, 0.4], [0.1, 0.1, 0.6], (count, 3))


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def blank(path, width=224, height=224):
    write_picture(path, np.full((height, width, 3), 90, np.uint8))


def change_entry(manifest, index, change):
    content = json.loads(manifest.read_text())
    content["images"][index] |= change
    write_json(manifest, content)


@pytest.fixture
def manifest(tmp_path):
    blank(tmp_path / "images/a.png", 64, 48)
    write_picture(tmp_path / "a_mask.png", np.eye(48, 64, dtype=np.uint8))
    entry = {
        "image": "images/a.png", "width": 64, "height": 48, "K": K, "handedness": "left",
        "joints_m": hand().tolist(), "vertices_m": hand(1, 5).tolist(), "mask": "a_mask.png",
    }  # fmt: skip
    write_json(tmp_path / "manifest.json", {"images": [entry]})
    return tmp_path / "manifest.json"


def test_manifest(manifest):
    for path in (manifest, manifest.parent):
        (sample,) = datasets.read(path)
        np.testing.assert_allclose(sample.joints_m, hand())
        assert sample.vertices_m.shape == (5, 3)
        assert sample.handedness is Handedness.LEFT
        assert sample.picture().shape == (48, 64, 3)
        assert sample.true_mask().sum() == 48


@pytest.mark.parametrize(
    "change, message",
    [
        ({"joints_m": [[0, 0, 1]] * 20}, r"images\[0\].*joints_m"),
        ({"joints_m": [[0, 0, float("nan")]] * 21}, "not all finite"),
        ({"K": [[0, 0, 0]] * 3}, "focal"),
        ({"handedness": "both"}, "handedness"),
        ({"width": None}, "width"),
    ],
)
def test_manifest_errors_name_the_entry(manifest, change, message):
    change_entry(manifest, 0, change)
    with pytest.raises(InputError, match=message):
        datasets.read(manifest)


@pytest.fixture
def pair(manifest):
    """Two images of one moment, by cameras 0.12 m apart."""
    (entry,) = json.loads(manifest.read_text())["images"]
    blank(manifest.parent / "images/b.png", 64, 48)
    shift = np.eye(4)
    shift[0, 3] = -0.12
    left = entry | {"pair": 7, "camera": "left", "T": np.eye(4).tolist()}
    right = left | {"image": "images/b.png", "camera": "right", "T": shift.tolist()}
    write_json(manifest, {"images": [left, right, entry]})
    return manifest


def test_pairs(pair):
    left, right, alone = datasets.read(pair)
    assert left.beside.image == right.image and right.beside.image == left.image
    np.testing.assert_allclose(left.beside.translation_m, [-0.12, 0, 0])
    np.testing.assert_allclose(right.beside.translation_m, [0.12, 0, 0])
    assert left.beside.view().picture.shape == (48, 64, 3)
    assert alone.beside is None


def test_predictions_for_pairs_are_nobodys_two_views(pair):
    predictions, out = pair.parent / "predictions.json", pair.parent / "out.json"
    write_json(predictions, [[hand().tolist()] * 3, []])
    command = ["evaluate", str(pair), "--predictions", str(predictions), "--json", str(out)]
    assert main(command) == 0
    assert json.loads(out.read_text())["dataset"].endswith(", predictions")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"pair": 8}, "pair '7': expected two images"),
        ({"camera": "left"}, "of different cameras"),
        ({"T": [[1, 0, 0]] * 3}, r"images\[1\].*rigid transform"),
        ({"T": (2 * np.eye(4)).tolist()}, r"images\[1\].*rigid transform"),
    ],
)
def test_pairs_that_are_none(pair, change, message):
    change_entry(pair, 1, change)
    with pytest.raises(InputError, match=message):
        datasets.read(pair)


def test_pictures_and_masks_must_fit(manifest):
    (sample,) = datasets.read(manifest)
    blank(sample.image, 60, 48)
    write_picture(sample.mask, np.zeros((9, 9), np.uint8))
    with pytest.raises(InputError, match="60x48 pixels, but its camera has 64x48"):
        sample.picture()
    with pytest.raises(InputError, match="a_mask.png"):
        sample.true_mask()


@pytest.mark.parametrize("content", ["", "[]", '{"images": 3}', '{"images": [3]}'])
def test_manifest_that_is_none(tmp_path, capsys, content):
    (tmp_path / "manifest.json").write_text(content)
    assert main(["evaluate", str(tmp_path / "manifest.json")]) == 2
    error = capsys.readouterr().err
    assert "manifest.json" in error and error.count("\n") == 1


def test_unknown_sets(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        datasets.read(tmp_path / "none")
    with pytest.raises(InputError, match="evaluation_K.json .freihand."):
        datasets.read(tmp_path)
    with pytest.raises(InputError, match="choose test or train"):
        datasets.read(tmp_path, "stb", "evaluation")


@pytest.fixture
def freihand(tmp_path):
    for split in ("evaluation", "training"):
        write_json(tmp_path / f"{split}_K.json", [K, K])
        write_json(tmp_path / f"{split}_xyz.json", [hand(i).tolist() for i in (0, 1)])
        write_json(tmp_path / f"{split}_verts.json", [hand(i, 778).tolist() for i in (2, 3)])
    for index in range(2):
        blank(tmp_path / f"evaluation/rgb/{index:08d}.jpg")
        write_picture(
            tmp_path / f"training/mask/{index:08d}.jpg", np.full((224, 224), 255, np.uint8)
        )
    for index in range(4):  # the second half with another background
        blank(tmp_path / f"training/rgb/{index:08d}.jpg")
    return tmp_path


def test_freihand(freihand):
    samples = datasets.read(freihand)
    assert [sample.image.name for sample in samples] == ["00000000.jpg", "00000001.jpg"]
    np.testing.assert_allclose(samples[1].joints_m, hand(1))
    np.testing.assert_allclose(samples[1].vertices_m, hand(3, 778))
    assert samples[0].handedness is Handedness.RIGHT and samples[0].mask is None

    versions = datasets.read(freihand, split="training")
    assert [sample.image.name for sample in versions] == [f"{i:08d}.jpg" for i in range(4)]
    np.testing.assert_allclose(versions[3].joints_m, hand(1))
    assert versions[3].mask.name == "00000001.jpg" and versions[3].true_mask().all()


def test_freihand_errors_say_where_to_get_it(freihand):
    write_json(freihand / "evaluation_verts.json", [hand(0, 777).tolist()] * 2)
    with pytest.raises(InputError, match=r"\[0\].*777.*FreiHAND.*lmb.informatik"):
        datasets.read(freihand)
    (freihand / "evaluation_verts.json").unlink()
    with pytest.raises(InputError, match="evaluation_verts.json: no such file.*lmb.informatik"):
        datasets.read(freihand)
    (freihand / "evaluation_xyz.json").write_text("[[")
    with pytest.raises(InputError, match="evaluation_xyz.json: not a readable JSON"):
        datasets.read(freihand)


def test_rhd(tmp_path):
    """The hand that shows more joints counts; fingers are turned round to run base to tip."""
    left, right = hand(0), hand(1)
    reverse = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]
    xyz = np.concatenate([left[reverse], right[reverse]]).astype(np.float32)
    seen = np.zeros((42, 3))
    seen[21:30, 2] = 1
    annotations = {0: {"xyz": xyz, "uv_vis": seen, "K": np.array(K)}}
    annotations[1] = annotations[0] | {"uv_vis": 1 - seen}
    (tmp_path / "evaluation").mkdir()
    path = tmp_path / "evaluation/anno_evaluation.pickle"
    path.write_bytes(pickle.dumps(annotations))
    mask = np.zeros((320, 320), np.uint8)
    mask[:10], mask[10:15], mask[15:17] = 1, 2, 33
    write_picture(tmp_path / "evaluation/mask/00000.png", mask)
    write_picture(tmp_path / "evaluation/mask/00001.png", mask)

    first, second = datasets.read(tmp_path)
    assert first.handedness is Handedness.RIGHT and second.handedness is Handedness.LEFT
    np.testing.assert_allclose(first.joints_m, right, atol=1e-6)
    np.testing.assert_allclose(second.joints_m, left, atol=1e-6)
    assert first.true_mask().sum() == 2 * 320 and second.true_mask().sum() == 5 * 320

    path.write_bytes(pickle.dumps({0: {"xyz": xyz}}))
    with pytest.raises(InputError, match=r"pickle\[0\].*uv_vis.*RHD"):
        datasets.read(tmp_path)


def test_stb(tmp_path):
    """The wrist is as far beyond the palm's centre as the ring finger's base is before it."""
    names = ["B1Counting", "B1Random"]
    truth = hand()
    palm = truth.copy()
    palm[0] = (truth[0] + truth[13]) / 2
    theirs = palm[[0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4]]
    (tmp_path / "labels").mkdir()
    for name in names:
        blank(tmp_path / f"images/{name}/BB_left_0.png", 640, 480)
        para = np.repeat(1000 * theirs.T[..., None], 2, axis=-1)
        savemat(tmp_path / f"labels/{name}_BB.mat", {"handPara": para})
    samples = datasets.read(tmp_path)
    assert len(samples) == 4 and samples[1].image.name == "BB_left_1.png"
    np.testing.assert_allclose(samples[0].joints_m, truth)
    assert samples[2].picture().shape == (480, 640, 3)
    with pytest.raises(InputError, match="B2Counting.*STB"):
        datasets.read(tmp_path, split="train")


def test_hand_graph(tmp_path):
    blank(tmp_path / "images/00000.jpg", 256, 256)
    params = {
        "image_path": np.array(["images/00000.jpg"]),
        "cam_param": np.array([[600.0, 610, 320, 240]]),
        "bbox": np.array([[200.0, 100, 128, 128]]),
    }
    savemat(tmp_path / "params.mat", params)
    savemat(tmp_path / "pose_gt.mat", {"pose_gt": 100 * hand()[None]})
    (sample,) = datasets.read(tmp_path)
    np.testing.assert_allclose(sample.joints_m, hand())
    np.testing.assert_allclose(sample.camera.matrix, [[1200, 0, 240], [0, 1220, 280], [0, 0, 1]])
    assert sample.picture().shape == (256, 256, 3)
    savemat(tmp_path / "params.mat", {"bbox": params["bbox"]})
    with pytest.raises(InputError, match="params.mat.*image_path.*hand-graph-cnn"):
        datasets.read(tmp_path)


def test_interhand(tmp_path):
    """Of two single hands and a pair, the one that is known whole comes in the camera's frame."""
    order = [4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17, 0]
    turn = np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]])
    position = np.array([100.0, -50, 20])
    world = np.concatenate([hand(1)[order], hand(0)[order]]) * 1000 @ turn + position
    valid = np.ones((42, 1))
    valid[:21] = 0
    stem = tmp_path / "annotations/test"
    image = {"capture": 0, "camera": "400262", "frame_idx": 7, "width": 512, "height": 334}
    kinds = ["left", "right", "interacting"]
    images = [image | {"id": i, "file_name": f"Capture0/{i}.jpg"} for i in range(3)]
    shown = [{"image_id": i, "hand_type": kind} for i, kind in enumerate(kinds)]
    data = {"images": images, "annotations": shown}
    view = {"campos": position.tolist(), "camrot": turn.tolist()}
    view |= {"focal": [1200, 1210], "princpt": [250, 160]}
    cameras = {"0": {key: {"400262": value} for key, value in view.items()}}
    truth = {"world_coord": world.tolist(), "joint_valid": valid.tolist()}
    for name, content in (("data", data), ("camera", cameras), ("joint_3d", {"0": {"7": truth}})):
        write_json(stem / f"InterHand2.6M_test_{name}.json", content)

    (sample,) = datasets.read(tmp_path)
    np.testing.assert_allclose(sample.joints_m, hand(0), atol=1e-9)
    assert sample.handedness is Handedness.LEFT
    assert sample.image.parts[-4:] == ("images", "test", "Capture0", "0.jpg")
    del truth["world_coord"]
    write_json(stem / "InterHand2.6M_test_joint_3d.json", {"0": {"7": truth}})
    with pytest.raises(InputError, match="world_coord.*InterHand2.6M"):
        datasets.read(tmp_path)


def test_human36m(tmp_path):
    body = hand(0, 17)
    turn, shift = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]]), np.array([10.0, 20, 4000])
    world = (body * 1000 - shift) @ turn
    for person in (9, 11):
        image = {"action_idx": 2, "subaction_idx": 1, "cam_idx": 1, "width": 1000, "height": 1002}
        images = [image | {"frame_idx": i, "file_name": f"s/{i}.jpg"} for i in (0, 1, 64)]
        view = {"R": turn.tolist(), "t": shift.tolist(), "f": [1145, 1143], "c": [512, 515]}
        truth = {"2": {"1": {str(i): world.tolist() for i in (0, 1, 64)}}}
        for name, content in (
            ("data", {"images": images}),
            ("camera", {"1": view}),
            ("joint_3d", truth),
        ):
            write_json(tmp_path / f"annotations/Human36M_subject{person}_{name}.json", content)
    samples = datasets.read(tmp_path)
    assert [sample.image.name for sample in samples] == ["0.jpg", "64.jpg"] * 2
    np.testing.assert_allclose(samples[1].joints_m, body)
    assert samples[0].joints_m.shape == (17, 3)
    (tmp_path / "annotations/Human36M_subject11_camera.json").unlink()
    with pytest.raises(InputError, match="subject11_camera.json.*Human3.6M"):
        datasets.read(tmp_path)
