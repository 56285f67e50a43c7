"""Peers are placed by this package's registration."""

import numpy as np
import pytest

from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.evaluation import peers
from cmr_ros.evaluation.peers import place
from cmr_ros.evaluation.sample import Sample, nearest
from cmr_ros.files.pictures import write_picture
from cmr_ros.geometry.skeleton import Handedness
from support.made_up_hands import camera, flat_right_hand
from support.scenes import frames_of


def test_a_hand_that_fits_is_placed_where_it_is():
    truth = flat_right_hand(0.3) @ np.diag([0.8, 0.8, 0.8]) + [0.02, -0.03, 0.5]
    # What such trackers call root-relative is seen along the ray to the hand.
    pixels = camera().project(truth)
    middle = (pixels.min(axis=0) + pixels.max(axis=0)) / 2
    axis = camera().rays(middle)
    axis /= np.linalg.norm(axis)
    right = np.cross([0, 1, 0], axis)
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(axis, right), axis])
    answer = place((truth - truth[0]) @ turn.T, pixels, camera(), 0.9, Handedness.RIGHT)
    # The hand's size is not known: it errs along the ray, as the size does.
    scale = np.linalg.norm(answer.joints_m[0]) / np.linalg.norm(truth[0])
    np.testing.assert_allclose(answer.joints_m, scale * truth, atol=0.006)
    assert 0.9 < scale < 1.1
    np.testing.assert_allclose(answer.joints_px, pixels)


def test_points_that_are_no_hand_are_not_placed():
    pixels = np.random.default_rng(0).uniform(0, 400, (21, 2))
    assert place(np.zeros((21, 3)), pixels, camera(), 0.9, Handedness.LEFT) is None


@pytest.mark.skipif(peers.PREFIX.exists(), reason="peers are installed")
def test_a_peer_that_is_not_installed_is_one_line(tmp_path, capsys):
    joints = (flat_right_hand() + [0, 0, 0.5]).tolist()
    (tmp_path / "pred.json").write_text(f"[[{joints}], []]")
    (tmp_path / "manifest.json").write_text(
        '{"images": [{"image": "0.png", "width": 8, "height": 8, "handedness": "right", '
        f'"K": [[9, 0, 4], [0, 9, 4], [0, 0, 1]], "joints_m": {joints}}}]}}'
    )
    command = ["evaluate", str(tmp_path), "--predictions", str(tmp_path / "pred.json")]
    assert main([*command, "--peer", "mediapipe"]) == 2
    assert "not installed; `make peers`" in capsys.readouterr().err.splitlines()[-1]


def test_a_peer_that_does_not_run_is_one_error(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "PREFIX", tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/python").chmod(0o755)
    with pytest.raises(InputError, match="does not run.*; `make peers`"):
        peers.MediaPipe()(grey(tmp_path))


@pytest.mark.skipif(not peers.PREFIX.exists(), reason="peers are not installed; `make peers`")
def test_an_installed_peer_answers(tmp_path):
    mediapipe = peers.MediaPipe()
    assert mediapipe(grey(tmp_path)) == []
    camera, frames = frames_of(hands=1, count=4)
    for frame in frames:
        write_picture(tmp_path / "hand.png", frame.picture())
        hand = Sample(tmp_path / "hand.png", camera, Handedness.RIGHT, frame.truth[0])
        answer = nearest(mediapipe(hand), hand)
        if answer is not None:
            break
    assert np.linalg.norm(answer.joints_px - camera.project(frame.truth[0]), axis=1).mean() < 20


def grey(folder) -> Sample:
    """A picture without a hand."""
    path = folder / "grey.png"
    write_picture(path, np.full((480, 640, 3), 127, np.uint8))
    return Sample(path, camera(), Handedness.RIGHT, flat_right_hand())
