import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from cmr_ros.benchmark.noise import Views, check, measure_noise
from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.model import weights
from cmr_ros.model.card import ModelCard
from cmr_ros.registration import HandSize, Noise, hand_length_m
from support.registration_hands import BLIND, SIZE_PX, blind_hands

#: Standard deviations of where a bone ends.
PUT_IN_M = np.array([0.004, 0.004, 0.009])


@pytest.fixture(scope="module")
def views():
    """600 hands of a network that cannot see size; their roots alone are off by 3 mm."""
    rng = np.random.default_rng(37)
    vertices, joints, cues, matrices, roots, lengths = zip(*blind_hands(rng, 600), strict=True)
    roots, off_m = np.array(roots), 0.003 * rng.standard_normal((600, 3))
    vertices, joints, lengths = map(np.array, (vertices, joints, lengths))
    true = joints * (lengths / hand_length_m(joints))[:, None, None]
    for joint in range(1, 21):  # the end of each bone takes the rest of its finger along
        finger_end = 4 * ((joint - 1) // 4 + 1)
        moved = rng.standard_normal((600, 1, 3)) * PUT_IN_M
        true[:, joint : finger_end + 1] += moved
    true += roots[:, None]
    true[:, 0] += off_m
    return Views(vertices, joints, cues, np.array(matrices), true, lengths, SIZE_PX)


def test_measures_the_noise_that_was_put_in(views):
    noise = measure_noise(views[:300])
    assert noise.length_log_sd == pytest.approx(BLIND.length_log_sd, rel=0.2)
    assert noise.scale_log_sd == pytest.approx(BLIND.scale_log_sd, rel=0.2)
    assert noise.length_log_mean == pytest.approx(BLIND.length_log_mean, abs=0.015)
    assert noise.length_m == pytest.approx(BLIND.length_m, rel=0.02)
    assert noise.root_m == pytest.approx(0.003, rel=0.3)
    assert noise.bone_across_m == pytest.approx(PUT_IN_M[0], rel=0.2)
    assert noise.bone_along_m == pytest.approx(PUT_IN_M[2], rel=0.2)


def test_what_was_measured_makes_other_hands_honest(views):
    rest, noise = views[300:], measure_noise(views[:300])
    known = check(rest, noise, [HandSize.measured(length) for length in rest.lengths_m])
    assert check(rest, Noise())["coverage_90"] < 0.6
    for row in (check(rest, noise), known):
        assert 0.84 <= row["coverage_90"] <= 0.96 and abs(row["depth_bias"]) < 0.02
        # With the root's own error in all joints, where bones have it already, it is 0.95.
        assert 0.86 <= row["joint_coverage_90"] <= 0.945
        assert row["pictures"] == 300 and row["failures"] == 0
    assert known["root_mean_mm"] < 0.8 * check(rest, noise)["root_mean_mm"]


def test_a_network_without_errors_gets_a_card_that_loads(views, tmp_path):
    true_m = views.true_joints_m
    flawless = replace(views, joints_m=true_m - true_m[:, :1])
    noise = measure_noise(flawless[:300])
    assert 0 < noise.bone_across_m < 1e-4 and 0 < noise.bone_along_m < 1e-4
    path = tmp_path / "model.json"
    replace(ModelCard("hand", "mobile", "hand"), noise=asdict(noise)).save(path)
    assert Noise(**ModelCard.load(path).noise) == noise


def test_hands_that_cannot_be_placed_are_no_measurement(views):
    with pytest.raises(InputError, match="0 of 300 hands can be placed"):
        measure_noise(replace(views, joints_m=np.zeros_like(views.joints_m))[:300])


def test_too_few_pictures_are_refused(tmp_path, capsys):
    arguments = ["benchmark", "noise", "--renders", str(tmp_path)]
    assert main(arguments) == 2
    assert "no shard_" in capsys.readouterr().err


@pytest.mark.parametrize(
    "noise",
    [
        [],
        {"length": 0.18},
        {"length_log_sd": -0.1},
        {"length_log_sd": "large"},
        {"scale_log_sd": float("nan")},
        {"size": 0.1, "length_log_sd": 0.1},
    ],
)
def test_a_card_with_impossible_noise_is_refused(tmp_path, noise):
    card = ModelCard("hand", "mobile", "hand")
    path = tmp_path / "model.json"
    replace(card, noise={"length_log_sd": 0.1, "length_log_mean": -0.01}).save(path)
    assert ModelCard.load(path).noise == {"length_log_sd": 0.1, "length_log_mean": -0.01}
    before = path.read_text()
    with pytest.raises(InputError, match="entry 'noise'"):
        replace(card, noise=noise).save(path)
    assert path.read_text() == before
    path.write_text(json.dumps(asdict(card) | {"noise": noise}))
    with pytest.raises(InputError, match="entry 'noise'"):
        ModelCard.load(path)


def test_the_entries_of_older_cards_are_read_by_their_new_names(tmp_path):
    old = {"size": 0.1, "growth": -0.01, "pose": 0.05, "shape": 0.02, "root_m": 0.003}
    path = tmp_path / "model.json"
    path.write_text(json.dumps(asdict(ModelCard("hand", "mobile", "hand")) | {"noise": old}))
    assert Noise(**ModelCard.load(path).noise) == Noise(
        length_log_sd=0.1, length_log_mean=-0.01, scale_log_sd=0.05, bend_strain=0.02, root_m=0.003
    )


def test_the_shipped_card_says_how_wrong_its_meshes_are():
    card = ModelCard.load(weights.find(weights.HAND_NETWORK) / "model.json")
    noise = Noise(**card.noise)
    assert 0.05 < noise.length_log_sd < 0.2 and 0.15 < noise.length_m < 0.2
    assert 0.85 <= card.measured["registration"]["coverage_90"] <= 0.95
    assert abs(card.measured["registration"]["depth_bias"]) < 0.02
