"""Nails lie on the backs of the fingertips, and varnish stays on them."""

from dataclasses import replace

import numpy as np

from cmr_ros.geometry.skeleton import TIPS
from cmr_ros.synthesis.nails import nail_faces
from cmr_ros.synthesis.settings import SkinSettings
from cmr_ros.synthesis.skin import RestHand, Skin


def test_each_finger_has_one_nail_at_its_tip_s_back(hand_model):
    rest = hand_model.rest()
    nails = nail_faces(rest.vertices, hand_model.faces, rest.joints)
    centers = rest.vertices[hand_model.faces[nails]].mean(axis=1)
    nearest = np.linalg.norm(centers[:, None] - rest.joints[list(TIPS)], axis=2)
    assert nearest.min(axis=1).max() < 0.02
    for digit, tip in enumerate(TIPS):
        own = centers[nearest.argmin(axis=1) == digit]
        assert len(own) > 10
        if digit:  # the thumb lies askew
            assert own[:, 2].mean() > (0.7 * rest.joints[tip] + 0.3 * rest.joints[tip - 1])[2]


def test_varnish_is_on_nails_alone(hand_model):
    rest = hand_model.rest()
    hand = RestHand(
        rest.vertices, hand_model.faces, hand_model.uvs, hand_model.hand_faces, rest.joints
    )
    bare = Skin(hand, SkinSettings())
    varnished = Skin(hand, replace(SkinSettings(), varnished=1.0))
    one = bare.material(np.random.default_rng(8), 0.0).texture.pixels
    other = varnished.material(np.random.default_rng(8), 0.0).texture.pixels
    changed = (one != other).any(axis=2)
    assert changed.any() and changed.mean() < 0.06
    assert np.array_equal(one, bare.material(np.random.default_rng(8), 0.0).texture.pixels)
