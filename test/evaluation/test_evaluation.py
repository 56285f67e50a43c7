"""Protocols on answers whose errors are known, and `cmr evaluate` as a user calls it."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.evaluation.datasets import read
from cmr_ros.evaluation.measure import measure, stack
from cmr_ros.evaluation.methods import Method
from cmr_ros.evaluation.predictions import write_submission
from cmr_ros.evaluation.report import tables, text, write_csv, write_json, write_markdown
from cmr_ros.evaluation.runs import PART, answer_all, measure_all
from cmr_ros.evaluation.sample import Sample, nearest
from cmr_ros.evaluation.summary import summarise
from cmr_ros.files.pictures import write_picture
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.model.card import ModelCard
from cmr_ros.model.weights import find
from support.guesses import CAMERA, Dying, Guess, answer
from support.scenes import frames_of


def true_hand(seed=0, count=21):
    return np.random.default_rng(seed).uniform([-0.08, -0.04, 0.4], [0.08, 0.04, 0.6], (count, 3))


def sample(seed=0, **fields):
    joints = true_hand(seed)
    return Sample(Path(f"{seed:03d}.png"), CAMERA, Handedness.RIGHT, joints, **fields)


def test_the_truth_has_no_error():
    figures = summarise("x", stack([measure(answer(true_hand()), sample())])).figures
    for name, value in figures.items():
        if name.endswith(("_mm", "px")):
            assert value == pytest.approx(0, abs=1e-9)
        elif "auc" in name or name == "handedness_accuracy":
            # Alignment leaves errors of rounding, which the first threshold, 0 mm, does not allow.
            assert value == pytest.approx(1, abs=0.006)


def test_what_each_error_forgives():
    """A shift of 30 mm is seen without alignment only, a growth of a tenth is scaled away."""
    truth = true_hand()
    shifted = measure(answer(truth + [0, 0, 0.03]), sample())
    np.testing.assert_allclose(shifted.cs_mm, 30)
    for errors in (shifted.pa_mm, shifted.rr_mm, shifted.rs_mm):
        np.testing.assert_allclose(errors, 0, atol=1e-9)
    grown = measure(answer(truth[0] + 1.1 * (truth - truth[0])), sample())
    np.testing.assert_allclose(grown.rr_mm, 100 * np.linalg.norm(truth - truth[0], axis=1))
    for errors in (grown.pa_mm, grown.rs_mm):
        np.testing.assert_allclose(errors, 0, atol=1e-9)


def test_pixels_are_those_of_the_2d_joints():
    joints = true_hand()
    found = replace(answer(joints + [0.1, 0, 0]), joints_px=CAMERA.project(joints) + [3, 4])
    np.testing.assert_allclose(measure(found, sample()).px, 5)


def test_meshes():
    vertices = true_hand(5, 50)
    found = answer(true_hand(), vertices_m=vertices + [0, 0, 0.012])
    measured = measure(found, sample(vertices_m=vertices))
    assert measured.cs_mpvpe_mm == pytest.approx(12)
    assert measured.pa_mpvpe_mm == pytest.approx(0, abs=1e-9)
    assert measured.pa_f5 == 1
    assert measured.cs_v_auc == pytest.approx(0.76, abs=0.01)
    other = measure(found, sample(vertices_m=vertices[:40]))
    assert np.isnan(other.pa_mpvpe_mm) and np.isfinite(other.cs_f15)


def test_masks(tmp_path):
    true = np.zeros((100, 200), np.uint8)
    true[:, :100] = 9
    write_picture(tmp_path / "mask.png", true)
    found = np.zeros((100, 200), bool)
    found[:, 50:150] = True
    given = sample(mask=tmp_path / "mask.png")
    assert measure(answer(true_hand(), mask=found), given).mask_iou == pytest.approx(1 / 3)


def test_joints_lie_inside_their_ellipsoids_or_not():
    joints = true_hand() + np.linspace(0, 0.05, 21)[:, None] * [0, 0, 1]
    covariances = np.tile(np.diag([1e-4, 1e-4, 1e-4]), (21, 1, 1))
    found = answer(joints, joint_covariances_m2=covariances)
    # Errors of 0 to 50 mm against a radius of 25 mm.
    assert measure(found, sample()).inside_90.tolist() == [1] * 11 + [0] * 10
    assert np.isnan(measure(answer(joints), sample()).inside_90).all()
    assert summarise("x", stack([measure(found, sample())])).figures[
        "joint_coverage_90"
    ] == pytest.approx(11 / 21)


def test_handedness_counts_where_it_is_known():
    left = answer(true_hand(), handedness=Handedness.LEFT)
    assert measure(left, sample()).handed == 0
    assert np.isnan(measure(left, replace(sample(), handedness=Handedness.UNKNOWN)).handed)
    assert np.isnan(measure(replace(left, was_told_side=True), sample()).handed)


def test_the_nearest_answer_counts():
    near, far = answer(true_hand() + [0.01, 0, 0]), answer(true_hand() + [0.05, 0, 0])
    assert nearest([far, near], sample()) is near
    assert nearest([], sample()) is None


def test_misses_are_counted_and_leave_means_alone():
    measured = [measure(answer(true_hand() + [0, 0, 0.02]), sample()), measure(None, sample())]
    summary = summarise("x", stack(measured))
    assert (summary.figures["images"], summary.figures["misses"]) == (2, 1)
    assert summary.figures["cs_mpjpe_mm"] == pytest.approx(20)
    # Both lie in one range of depths; the miss has no confidence.
    assert [row["misses"] for _, row in summary.depths] == [1]
    assert [row["images"] for _, row in summary.confidences] == [1]
    assert summary.confidences[0][0] == "0.8 to 0.9"


def test_without_any_answer_there_are_counts_alone():
    summary = summarise("x", stack([measure(None, sample())]))
    assert summary.figures == {"images": 1, "misses": 1}
    assert "missed" in text(tables([summary])[0])


def test_break_downs_and_intervals():
    measured = []
    for seed in range(40):
        joints = true_hand(seed)
        joints[8] += [0, 0, 0.021]
        measured.append(measure(answer(joints), sample(seed)))
    summary = summarise("x", stack(measured))
    assert dict(summary.joints)["index_tip"]["cs_mpjpe_mm"] == pytest.approx(21)
    assert dict(summary.joints)["wrist"]["cs_mpjpe_mm"] == 0
    assert summary.figures["cs_mpjpe_mm"] == pytest.approx(1)
    low, high = summary.intervals["px"]
    assert low < summary.figures["px"] < high < 1.5 * low
    assert summary.curves["camera space"][0] == pytest.approx(20 / 21)
    assert sum(row["images"] for _, row in summary.depths) == 40


@pytest.fixture(scope="module")
def guessed():
    samples = [sample(seed) for seed in range(2 * PART + 3)]
    return samples, measure_all(Guess(), samples, jobs=1)


def test_runs_keep_the_order(guessed):
    samples, columns = guessed
    numbers = np.arange(len(samples))
    np.testing.assert_array_equal(columns["found"], numbers % 7 > 0)
    errors = columns["cs_mm"][numbers % 7 > 0, 0]
    np.testing.assert_allclose(errors, numbers[numbers % 7 > 0])
    answers = answer_all(Guess(), samples[:9])
    assert [found is None for found in answers] == [i % 7 == 0 for i in range(9)]


def test_processes_and_interruptions_do_not_show(guessed, tmp_path):
    samples, columns = guessed
    first = measure_all(Guess(), samples, jobs=2, folder=tmp_path)
    (tmp_path / "00001.npz").unlink()
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    again = measure_all(Guess(), samples, jobs=1, folder=tmp_path)
    for name in columns:
        np.testing.assert_array_equal(first[name], columns[name])
        np.testing.assert_array_equal(again[name], columns[name])
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    wider = replace(samples[0].camera, matrix=samples[0].camera.matrix * [[1.1], [1], [1]])
    for other in (
        samples[1:],
        [replace(samples[0], camera=wider), *samples[1:]],
        [replace(samples[0], handedness=Handedness.UNKNOWN), *samples[1:]],
        [replace(samples[0], vertices_m=samples[0].joints_m), *samples[1:]],
    ):
        with pytest.raises(InputError, match="another data set, model or version"):
            measure_all(Guess(), other, folder=tmp_path)


def test_a_model_is_known_by_all_its_files(tmp_path):
    folder = Path(shutil.copytree(find("hand_lite"), tmp_path / "mine"))
    before = Method(folder).fingerprint()
    card = ModelCard.load(folder / "model.json")
    replace(card, noise=card.noise | {"length_m": 0.15}).save(folder / "model.json")
    assert Method(folder).fingerprint() != before


def test_a_process_that_dies_is_an_error(guessed):
    samples, _ = guessed
    with pytest.raises(InputError, match="a process died"):
        measure_all(Dying(), samples)


def test_reports(guessed, tmp_path):
    samples, columns = guessed
    summaries = [summarise("ours", columns), summarise("theirs", columns)]
    write_json(tmp_path / "a.json", "miniature", summaries)
    write_markdown(tmp_path / "a.md", "miniature", summaries)
    write_csv(tmp_path / "a.csv", samples, columns)
    content = json.loads((tmp_path / "a.json").read_text())
    wanted = {"images", "misses", "px", "pa_mpjpe_mm", "rr_mpjpe_mm", "cs_mpjpe_mm"}
    assert wanted <= set(content) and content["misses"] == 5
    assert content["peers"]["theirs"]["misses"] == 5
    assert "| ours | theirs |" in (tmp_path / "a.md").read_text()
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert rows[0]["cs_mpjpe_mm"] == "" and float(rows[3]["cs_mpjpe_mm"]) == pytest.approx(3)


@pytest.fixture
def freihand(tmp_path):
    """Two pictures in FreiHAND's evaluation layout."""
    folder = tmp_path / "freihand"
    folder.mkdir()
    truth = {
        "K": [CAMERA.matrix.tolist()] * 2,
        "xyz": [true_hand(i).tolist() for i in range(2)],
        "verts": [true_hand(i, 778).tolist() for i in range(2)],
    }
    for name, content in truth.items():
        (folder / f"evaluation_{name}.json").write_text(json.dumps(content))
    (folder / "evaluation/rgb").mkdir(parents=True)
    return folder


def test_a_submission_is_measured_like_any_answer(freihand, tmp_path, capsys):
    """Written for FreiHAND's server, then read again: 8 mm off, the miss filled with the mean."""
    found = answer(true_hand() + [0, 0, 0.008], vertices_m=true_hand(0, 778) + [0, 0, 0.008])
    path = tmp_path / "pred.json"
    assert write_submission(path, [found, None]) == 1
    joints, vertices = json.loads(path.read_text())
    assert np.shape(joints) == (2, 21, 3) and np.shape(vertices) == (2, 778, 3)
    command = ["evaluate", str(freihand), "--limit", "1", "--json", str(tmp_path / "out.json")]
    path.write_text(json.dumps([joints[:1], vertices[:1]]))
    assert main([*command, "--predictions", str(path)]) in (0, None)
    assert "CS-MPVPE" in capsys.readouterr().out
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["cs_mpjpe_mm"] == pytest.approx(8, abs=2e-3)
    assert figures["cs_mpvpe_mm"] == pytest.approx(8, abs=2e-3)
    assert figures["pa_mpvpe_mm"] == pytest.approx(0, abs=2e-3)
    assert figures["cs_f5"] < 0.2 and figures["cs_f15"] == 1

    path.write_text(json.dumps([joints, vertices]))
    assert main([*command, "--predictions", str(path)]) == 2
    assert "2 predictions for 1 images" in capsys.readouterr().err


def test_the_server_wants_manos_mesh(tmp_path):
    with pytest.raises(InputError, match="MANO's 778 vertices, this template has 50"):
        write_submission(tmp_path / "p.json", [answer(true_hand(), vertices_m=true_hand(1, 50))])
    with pytest.raises(InputError, match="nothing to submit"):
        write_submission(tmp_path / "p.json", [None])


def test_a_model_that_is_missing_is_one_line(freihand, capsys):
    for option in ([], ["--output", str(freihand / "out")]):
        assert main(["evaluate", str(freihand), "--model", "none", *option]) == 2
        error = capsys.readouterr().err.strip().splitlines()
        assert "none: no model folder" in error[-1]


def test_a_manifest_from_picture_to_table(tmp_path):
    """The shipped weights on two pictures of the recording: from detection, and in true crops."""
    camera, frames = frames_of(hands=1, count=2)
    distorted = camera.distortion.size
    entries = []
    for index, frame in enumerate(frames):
        picture = frame.picture()
        if distorted:
            picture = cv2.undistort(picture, camera.matrix, camera.distortion)
        write_picture(tmp_path / f"{index}.png", picture)
        entries.append(
            {
                "image": f"{index}.png",
                "width": camera.width,
                "height": camera.height,
                "K": camera.matrix.tolist(),
                "handedness": "right",
                "joints_m": frame.truth[0].tolist(),
            }  # fmt: skip
        )
    (tmp_path / "manifest.json").write_text(json.dumps({"images": entries}))
    for crops in ("detector", "truth"):
        path = tmp_path / f"{crops}.json"
        command = ["evaluate", str(tmp_path), "--crops", crops, "--json", str(path)]
        assert main(command) in (0, None)
        figures = json.loads(path.read_text())
        assert (figures["images"], figures["misses"]) == (2, 0)
        assert ("handedness_accuracy" in figures) == (crops == "detector")
        assert figures["pa_mpjpe_mm"] < 20 and figures["cs_mpjpe_mm"] < 60
    picture = read(tmp_path)[0]
    near, far = (
        Method(hand_length_m=length_m).start()(picture)[0].joints_m[0, 2]
        for length_m in (0.17, 0.187)
    )
    assert far / near == pytest.approx(1.1, rel=0.02)
    assert main([*command, "--hand-length", "0.187"]) in (0, None)
    assert json.loads(path.read_text())["dataset"].endswith("hand length 0.187 m")
    assert main([*command, "--hand-length", "187"]) == 2


def test_bodies_are_measured_by_predictions(tmp_path, capsys, monkeypatch):
    body = replace(sample(), joints_m=true_hand(3, 17), handedness=Handedness.UNKNOWN)
    monkeypatch.setattr("cmr_ros.commands.evaluate.read", lambda *_: [body])
    assert main(["evaluate", "h36m"]) == 2
    assert "17 joints are no hand's" in capsys.readouterr().err
    path = tmp_path / "pred.json"
    path.write_text(json.dumps([[(body.joints_m + [0, 0, 0.04]).tolist()], []]))
    command = ["evaluate", "h36m", "--predictions", str(path), "--json", str(tmp_path / "o.json")]
    assert main(command) == 0
    figures = json.loads((tmp_path / "o.json").read_text())
    assert figures["cs_mpjpe_mm"] == pytest.approx(40)
    assert figures["rr_mpjpe_mm"] == pytest.approx(0, abs=1e-9)
    assert "joint 16" in figures["by_joint"] and "handedness_accuracy" not in figures
