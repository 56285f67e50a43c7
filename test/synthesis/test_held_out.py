"""Whole pictures of renders, written for `cmr evaluate`."""

from dataclasses import replace

import numpy as np

from cmr_ros.evaluation import datasets
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.model import weights
from cmr_ros.synthesis import held_out
from cmr_ros.synthesis.rendering_jobs import Studio


def test_manifest_of_renders(tmp_path, monkeypatch, needs_egl):
    """Mesh, joints and mask lie on each other, in left hands as in right ones."""
    small = replace(held_out.FULL_FRAME, size_px=128, clutter_pictures=4, occluder=0, held=0)
    monkeypatch.setattr(held_out, "FULL_FRAME", small)
    held_out.write_manifest(Studio(weights.find("hand_model.npz"), seed=1), tmp_path, 2)
    samples = datasets.read(tmp_path)
    assert [sample.handedness for sample in samples] == [Handedness.RIGHT, Handedness.LEFT]
    for sample in samples:
        assert sample.picture().shape == (128, 128, 3)
        mask = sample.true_mask()
        pixels = np.rint(sample.camera.project(sample.vertices_m)).astype(int)
        inside = ((pixels >= 0) & (pixels < 128)).all(axis=1)
        column, row = pixels[inside].T
        assert mask[row, column].mean() > 0.7
        assert sample.joints_m[:, 2].min() > 0.1
