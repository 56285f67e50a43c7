"""Labels of photographs: the fit recovers known hands, and `cmr label` as a user calls it."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from cmr_ros.cli import main
from cmr_ros.evaluation.metrics import distances_mm, procrustes
from cmr_ros.files.pictures import write_picture
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import CropCamera, Region
from cmr_ros.hand_model.model import HandModel
from cmr_ros.hand_model.poses import ANGLE_COUNT, rotations_of, sample_angles
from cmr_ros.labelling.fit import HandFitter
from cmr_ros.labelling.folders import disagreement
from cmr_ros.labelling.looks import Consensus
from cmr_ros.model import weights
from cmr_ros.synthesis.placement import upright_view
from cmr_ros.synthesis.shards import Shards
from support.scenes import frames_of

MODEL = HandModel.load(weights.find("hand_model.npz"))


def seen_hand(angles, noise_px, noise_m, rng):
    """What looks at a hand of known angles would agree on, and its true joints."""
    posed = MODEL.pose(MODEL.sample_shape(rng), rotations_of(MODEL.mean_joints, angles[None])[0])
    view = upright_view(posed.joints)
    joints, vertices = (
        p @ view.T + [0, 0.05, 0.6] for p in (posed.joints, posed.template_vertices)
    )
    camera = CropCamera.looking_at(Camera.from_fov(224, 224, 24), Region((111.5, 111.5), 224), 224)
    pixels = np.rint(camera.project(vertices)).astype(int)
    silhouette = np.zeros((224, 224), np.float32)
    for x, y in pixels[((pixels > 2) & (pixels < 221)).all(axis=1)]:
        silhouette[y - 2 : y + 3, x - 2 : x + 3] = 1
    return Consensus(
        camera=camera,
        joints_px=camera.project(joints) + rng.normal(0, noise_px, (21, 2)),
        spread_px=np.full(21, noise_px),
        confidence=np.full(21, 0.6),
        joints_m=joints - joints[0] + rng.normal(0, noise_m, (21, 3)),
        joint_spread_m=np.full(21, noise_m),
        silhouette=silhouette,
        agreement=1.0,
        presence=1.0,
    ), joints  # fmt: skip


def test_the_fit_is_nearer_to_the_truth_than_what_it_is_given():
    rng = np.random.default_rng(5)
    fitter, cues, fits = HandFitter(MODEL), [], []
    for angles in rng.permutation(sample_angles(200, rng))[:8]:
        assert len(angles) == ANGLE_COUNT
        seen, joints = seen_hand(angles, 2.0, 0.008, rng)
        fitted = fitter.fit(seen)
        truth = (joints - joints[0])[None]
        cues.append(distances_mm(procrustes(seen.joints_m[None], truth), truth).mean())
        found = (fitted.joints_m - fitted.joints_m[0])[None]
        fits.append(distances_mm(procrustes(found, truth), truth).mean())
    assert np.mean(fits) < 0.7 * np.mean(cues), (fits, cues)


@pytest.mark.parametrize(
    "change, name",
    [
        ({"presence": 0.2}, "presence"),
        ({"spread_px": np.full(21, 9.0)}, "spread_px"),
        ({"agreement": 0.5}, "agreement"),
        ({"confidence": np.full(21, 0.1)}, "confidence"),
    ],
)
def test_hands_are_refused_where_looks_disagree(change, name):
    rng = np.random.default_rng(1)
    seen, _ = seen_hand(sample_angles(100, rng)[0], 0.5, 0.001, rng)
    fitted = HandFitter(MODEL).fit(seen)
    assert disagreement(seen, fitted) == ""
    assert disagreement(replace(seen, **change), fitted).startswith(name)
    assert disagreement(seen, replace(fitted, rms_px=np.nan)).startswith("rms_px")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Two images of hands in a subfolder, one without a hand, and one that is none."""
    folder = tmp_path_factory.mktemp("photographs")
    _, frames = frames_of(1, 12)
    for name, frame in (("a", frames[0]), ("b", frames[-1])):
        write_picture(folder / "hands" / f"{name}.png", frame.picture())
    write_picture(folder / "wall.png", np.full((120, 160, 3), 127, np.uint8))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    return folder, [frames[0].truth[0], frames[-1].truth[0]]


def test_labels_are_samples_that_training_reads(photographs, tmp_path, capsys, monkeypatch):
    folder, truth = photographs
    command = ["label", str(folder), "--copies", "3", "-o"]
    assert main([*command, str(tmp_path / "one")]) == 0
    printed = capsys.readouterr().out
    assert "broken.jpg" in printed and "no hand found 1" in printed and "of 4 images" in printed
    shards = Shards(tmp_path / "one")
    assert len(shards) == 6
    assert (tmp_path / "one" / "sheet.png").stat().st_size > 10000
    for index, joints in ((0, truth[0]), (3, truth[1])):
        sample = shards[index]
        true = (joints - joints[0])[None]
        aligned = procrustes(
            sample.joints[None],
            true,
        )
        assert distances_mm(aligned, true).mean() < 12
        assert 0.1 < sample.weights.mean() < 1 and sample.mask.mean() > 0.03
        pixels = sample.joints @ sample.matrix.T
        column, row = np.rint(pixels[9, :2] / pixels[9, 2]).astype(int)
        assert sample.mask[row, column], "the middle finger's base lies on the hand"
    assert not np.array_equal(shards[0].picture, shards[1].picture)
    before = (tmp_path / "one" / "shard_00000.npz").stat().st_mtime_ns
    assert main([*command, str(tmp_path / "one")]) == 0
    assert (tmp_path / "one" / "shard_00000.npz").stat().st_mtime_ns == before

    # Crops elsewhere come after each image's hands, and count for nothing.
    assert main([*command, str(tmp_path / "more"), "--elsewhere", "1"]) == 0
    more = Shards(tmp_path / "more")
    counts = [bool(more[i].weights.any()) for i in range(len(more))]
    assert counts == [False] + [True, True, True, False] * 2
    assert np.array_equal(more[1].picture, shards[0].picture)

    # Other shards, made by two processes: the same samples.
    monkeypatch.setattr("cmr_ros.labelling.folders._SHARD", 2)
    assert main([*command, str(tmp_path / "two"), "--jobs", "2"]) == 0
    others = Shards(tmp_path / "two")
    assert len(others) == 6
    for index in range(6):
        a, b = shards[index], others[index]
        assert np.array_equal(a.picture, b.picture) and np.array_equal(a.vertices, b.vertices)


def test_labels_of_other_images_are_not_taken_for_these(photographs, tmp_path, capsys):
    folder, _ = photographs
    (tmp_path / "labels_00000.json").write_text(json.dumps([{"picture": "x", "samples": 0}]))
    assert main(["label", str(folder), "-o", str(tmp_path)]) == 2
    assert "another folder" in capsys.readouterr().err
    assert main(["label", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "no JPEG or PNG" in capsys.readouterr().err


def test_networks_of_other_hands_cannot_label(photographs, tmp_path, capsys):
    model = tmp_path / "model"
    shutil.copytree(weights.find(weights.HAND_NETWORK), model)
    card = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(card | {"crop": "affine"}))
    command = ["label", str(photographs[0]), "--model", str(model), "-o", str(tmp_path / "out")]
    assert main(command) == 2
    assert "this package's hand" in capsys.readouterr().err
