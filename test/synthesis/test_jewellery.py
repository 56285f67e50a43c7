"""Wristbands and rings lie close around what wears them."""

import numpy as np
import pytest

from cmr_ros.hand_model.poses import sample_pose
from cmr_ros.synthesis.backgrounds import Clutter
from cmr_ros.synthesis.jewellery import finger_ring, wristband
from cmr_ros.synthesis.placed_hand import HandPlacer
from cmr_ros.synthesis.settings import PictureSettings, SkinSettings
from cmr_ros.synthesis.surfaces import ARM, HAND
from cmr_ros.synthesis.thing_settings import JewellerySettings

FLAT = JewellerySettings(watch=0.0, flat=1.0)


@pytest.fixture(scope="module")
def clutter():
    settings = PictureSettings()
    return Clutter(4, 0.0, settings.clutter_style)


@pytest.fixture(scope="module")
def hands(hand_model):
    placer = HandPlacer(hand_model, None, SkinSettings())
    rng = np.random.default_rng(2)
    made = []
    for _ in range(12):
        posed = hand_model.pose(hand_model.sample_shape(rng), sample_pose(hand_model, rng))
        material = placer.skin.material(rng, 0.0)
        made.append(placer.place(posed, np.eye(3), np.array([0, 0, 0.5]), material))
    return made


def gaps_m(band, hand, bones):
    """Return how far each of the band's vertices is from the nearest skin of the bones."""
    skin = hand.mesh.vertices[np.isin(hand.bones, bones)]
    return np.linalg.norm(band.vertices[:, None] - skin, axis=2).min(axis=1)


def test_bracelets_lie_close_around_the_wrist(hands, clutter):
    for seed, hand in enumerate(hands):
        (band,) = wristband(hand, FLAT, np.random.default_rng(seed), clutter)
        assert band.part == ARM
        # Vertices of the arm are sparse, up to 20 mm apart.
        assert gaps_m(band, hand, [0]).max() < 0.025
        along = (band.vertices - hand.joints[0]) @ hand.elbow_side
        assert along.min() > 0.004 and along.max() < 0.051
        middle = band.vertices.mean(axis=0)
        skin = hand.mesh.vertices[hand.bones == 0]
        under = np.abs((skin - middle) @ hand.elbow_side) < 0.3 * np.ptp(along)
        # No skin under the band is farther from its middle than the band is in that direction.
        for point in skin[under]:
            ray = point - middle
            ray -= hand.elbow_side * (ray @ hand.elbow_side)
            rays = band.vertices - middle
            rays -= np.outer(rays @ hand.elbow_side, hand.elbow_side)
            same = rays @ ray > 0.98 * np.linalg.norm(rays, axis=1) * np.linalg.norm(ray)
            assert np.linalg.norm(rays[same], axis=1).max() > np.linalg.norm(ray)


def test_a_watch_sits_on_the_back_of_the_wrist(hands, clutter):
    settings = JewellerySettings(watch=1.0)
    for seed, hand in enumerate(hands):
        band, case, dial = wristband(hand, settings, np.random.default_rng(seed), clutter)
        back = np.cross(hand.joints[9] - hand.joints[0], hand.joints[5] - hand.joints[17])
        back -= hand.elbow_side * (back @ hand.elbow_side)
        outwards = case.vertices.mean(axis=0) - band.vertices.mean(axis=0)
        outwards /= np.linalg.norm(outwards)
        assert outwards @ back / np.linalg.norm(back) > 0.8
        a, b, c = dial.vertices[dial.faces[0]]
        normal = np.cross(b - a, c - a)
        assert normal @ outwards / np.linalg.norm(normal) > 0.95
        assert gaps_m(case, hand, [0]).min() < 0.012


def test_rings_lie_close_around_one_finger(hands):
    for seed, hand in enumerate(hands):
        ring = finger_ring(hand, JewellerySettings(), np.random.default_rng(seed))
        assert ring.part == HAND
        middle = ring.vertices.mean(axis=0)
        gaps = [
            np.linalg.norm(
                hand.joints[base] + 0.5 * (hand.joints[base + 1] - hand.joints[base]) - middle
            )
            for base in (5, 9, 13, 17)
        ]
        base = (5, 9, 13, 17)[int(np.argmin(gaps))]
        assert min(gaps) < 0.012
        assert gaps_m(ring, hand, [base, base + 1]).max() < 0.012
        assert 0.01 < np.ptp(ring.vertices, axis=0).max() < 0.035
