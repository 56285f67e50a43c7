"""Whole pictures of renders, written for `cmr evaluate`."""

from dataclasses import replace

import numpy as np
import pytest

from cmr_ros.evaluation import datasets
from cmr_ros.evaluation.methods import Method
from cmr_ros.evaluation.runs import measure_all
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


def test_pairs_of_renders(tmp_path, monkeypatch, needs_egl):
    """Both cameras show the hand where it is, and the second view measures how far away that is."""
    small = replace(
        held_out.PAIR_PICTURES, clutter_pictures=4, occluder=0, held=0, depth_m=(0.4, 0.6), far=0
    )
    monkeypatch.setattr(held_out, "PAIR_PICTURES", small)
    held_out.write_pairs(Studio(weights.find("hand_model.npz"), seed=1), tmp_path, 2, 0.12)
    samples = datasets.read(tmp_path)
    assert len(samples) == 4
    for sample in samples:
        beside = sample.beside.view()
        assert np.linalg.norm(beside.translation_m) == pytest.approx(0.12)
        partner = next(one for one in samples if one.image == sample.beside.image)
        np.testing.assert_allclose(beside.from_first(sample.joints_m), partner.joints_m, atol=2e-6)
        pixels = np.rint(sample.camera.project(sample.vertices_m)).astype(int)
        assert sample.true_mask()[pixels[:, 1], pixels[:, 0]].mean() > 0.7
    both, one = (
        measure_all(Method(one_view=one_view), samples)["cs_mm"].mean(1)
        for one_view in (False, True)
    )
    found = np.isfinite(both) & np.isfinite(one)
    assert found.sum() >= 2 and np.median(both[found]) < 0.6 * np.median(one[found])
