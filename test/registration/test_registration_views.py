from dataclasses import replace

import cv2
import numpy as np
import pytest

from cmr_ros.benchmark.simulate import draw_depth
from cmr_ros.errors import InputError, RegistrationError
from cmr_ros.geometry.stereo_matching import MatchedDepth
from cmr_ros.registration import HandSize, RootEstimate, View, register
from support.registration_hands import BLIND, SIZE_PX, hand
from support.stereo_hands import pair


def place(vertices, joints, seen, matrix, views=None, size=None, **kwargs):
    """Register one hand and return its estimate or error."""
    return register(
        vertices[None], joints[None], [seen], matrix[None], SIZE_PX,
        noise=replace(BLIND, length_m=0.186, length_log_mean=0.0), sizes=[size or HandSize()],
        views=None if views is None else [views], **kwargs,
    )[0]  # fmt: skip


def differences(one, other):
    """Return the names of what differs between two estimates."""
    return [
        name
        for name in ("translation_m", "covariance_m2", "scale", "size", "cues")
        if not np.array_equal(getattr(one, name), getattr(other, name))
    ]


@pytest.mark.parametrize("length_m", [0.15, 0.186, 0.21])
@pytest.mark.parametrize(("distance_m", "baseline_m"), [(0.4, 0.06), (0.6, 0.12), (1.5, 0.3)])
def test_a_second_view_measures_the_size_that_one_view_assumes(length_m, distance_m, baseline_m):
    rng = np.random.default_rng(1)
    vertices, joints, seen, matrix, root, view = pair(
        rng, distance_m, baseline_m, length_m=length_m
    )
    alone = place(vertices, joints, seen, matrix)
    both = place(vertices, joints, seen, matrix, [view])
    wrong = np.log(length_m / 0.186)
    assert abs(alone.scale - 1) < 0.01
    assert np.log(both.scale) == pytest.approx(wrong, abs=0.01 + 0.05 * abs(wrong))
    assert np.linalg.norm(both.translation_m - root) < 0.006 * distance_m + 0.08 * abs(wrong)
    assert both.cues == "joints+silhouette+stereo" and both.agreement > 0.1
    assert np.trace(both.covariance_m2) < 0.3 * np.trace(alone.covariance_m2)
    assert abs(np.log(both.size.length_m / length_m)) < abs(wrong) * 0.6 + 0.01
    assert both.size.deviation < alone.size.deviation


def test_without_a_view_that_can_be_used_the_answer_is_that_of_one_view():
    vertices, joints, seen, matrix, _, view = pair(np.random.default_rng(2), noise_px=2.0)
    alone = place(vertices, joints, seen, matrix)
    broken = [
        replace(view, vertices_m=view.vertices_m * np.nan),
        replace(view, cues=replace(view.cues, confidence=0 * view.cues.confidence)),
        replace(view, cues=replace(view.cues, confidence=np.nan * view.cues.confidence)),
        replace(view, matrix=view.matrix * 0),
        replace(view, cues=replace(view.cues, joints_px=SIZE_PX - 1 - view.cues.joints_px)),
    ]
    for views in ([], *([one] for one in broken)):
        answer = place(vertices, joints, seen, matrix, views)
        assert not differences(answer, alone)
        assert answer.agreement is None and answer.vertices_m is None


@pytest.mark.parametrize("offset", [[0, 0.05, 0], [0.4, 0, 0], [-0.4, 0.1, 0], [0, 0, -0.5]])
def test_a_view_of_something_else_does_not_count(offset):
    vertices, joints, seen, matrix, _, view = pair(np.random.default_rng(3), noise_px=2.0)
    alone = place(vertices, joints, seen, matrix)
    elsewhere = replace(view, translation_m=view.translation_m + offset)
    answer = place(vertices, joints, seen, matrix, [elsewhere])
    assert not differences(answer, alone)
    assert answer.agreement < 1e-3
    # Beside a view that does show the hand it changes next to nothing, in any order.
    right = place(vertices, joints, seen, matrix, [view])
    for views in ([view, elsewhere], [elsewhere, view]):
        assert not differences(place(vertices, joints, seen, matrix, views), right)


def test_another_pose_on_the_right_ray_does_not_count():
    rng = np.random.default_rng(4)
    vertices, joints, seen, matrix, _, view = pair(rng, noise_px=1.0)
    turned = view.cues.joints_px.mean(0) * 2 - view.cues.joints_px
    other = replace(
        view, vertices_m=view.vertices_m * [-1, -1, 1], joints_m=view.joints_m * [-1, -1, 1],
        cues=replace(view.cues, joints_px=turned, silhouette=0 * view.cues.silhouette),
    )  # fmt: skip
    answer = place(vertices, joints, seen, matrix, [other])
    assert not differences(answer, place(vertices, joints, seen, matrix))


def test_hands_of_one_call_do_not_depend_on_each_other():
    rng = np.random.default_rng(5)
    hands = [pair(rng, noise_px=2.0) for _ in range(3)]
    vertices, joints, seen, matrices, _, views = zip(*hands, strict=True)
    answers = register(
        np.stack(vertices), np.stack(joints), seen, np.stack(matrices), SIZE_PX,
        views=[[views[0]], [], [views[2], views[2]]],
    )  # fmt: skip
    for index, further in ((0, [views[0]]), (1, []), (2, [views[2], views[2]])):
        alone = register(
            vertices[index][None], joints[index][None], [seen[index]], matrices[index][None],
            SIZE_PX, views=[further],
        )[0]  # fmt: skip
        assert np.allclose(answers[index].translation_m, alone.translation_m, atol=1e-9)
        assert answers[index].cues == alone.cues


def test_either_view_may_come_first():
    for seed in range(5):
        vertices, joints, seen, matrix, _, view = pair(np.random.default_rng(seed), noise_px=2.0)
        rotation, shift = view.rotation, view.translation_m
        back = View(vertices, joints, seen, matrix, rotation.T, -rotation.T @ shift)
        there = place(vertices, joints, seen, matrix, [view])
        here = place(view.vertices_m, view.joints_m, view.cues, view.matrix, [back])
        moved = rotation.T @ (here.translation_m - shift)
        assert np.linalg.norm(moved - there.translation_m) < 0.003
        mesh = (here.scale * here.vertices_m + here.translation_m - shift) @ rotation
        assert np.abs(mesh - there.scale * there.vertices_m - there.translation_m).max() < 0.006


def test_meshes_of_both_views_make_one_that_fits_better_than_either():
    rng, one, both = np.random.default_rng(6), [], []
    for _ in range(20):
        vertices, joints, seen, matrix, root, view = pair(rng, noise_px=1.0)
        own = [m + 0.004 * rng.standard_normal(m.shape) for m in (vertices, view.vertices_m)]
        answer = place(own[0], joints, seen, matrix, [replace(view, vertices_m=own[1])])
        alone = place(own[0], joints, seen, matrix)
        one.append(np.abs(alone.scale * own[0] + alone.translation_m - vertices - root).mean())
        mesh = answer.scale * answer.vertices_m + answer.translation_m
        both.append(np.abs(mesh - vertices - root).mean())
    assert np.mean(both) < 0.8 * np.mean(one)


def test_ellipsoids_are_honest_for_independent_errors_of_joints():
    rng, inside, errors, alone = np.random.default_rng(7), [], [], []
    for _ in range(60):
        length_m = 0.186 * np.exp(0.065 * rng.standard_normal())
        vertices, joints, seen, matrix, root, view = pair(rng, noise_px=1.5, length_m=length_m)
        answer = place(vertices, joints, seen, matrix, [view])
        error = answer.translation_m - root
        errors.append(np.linalg.norm(error))
        inside.append(error @ np.linalg.solve(answer.covariance_m2, error) < 6.2514)
        one = place(vertices, joints, seen, matrix)
        alone.append(np.linalg.norm(one.translation_m - root))
    assert np.mean(errors) < 0.006 and np.mean(alone) > 0.02
    assert np.mean(inside) > 0.87


def test_what_the_root_errs_by_is_in_no_other_joint_of_two_views():
    vertices, joints, seen, matrix, _, view = pair(np.random.default_rng(8))
    exact, off = (
        register(
            vertices[None], joints[None], [seen], matrix[None], SIZE_PX,
            noise=replace(BLIND, root_m=root_m), views=[[view]],
        )[0]
        for root_m in (0, 0.02)
    )  # fmt: skip
    more_m2 = off.joint_covariances_m2 - exact.joint_covariances_m2
    assert off.is_stereo and np.trace(more_m2[0]) > 2e-4
    # The first view's estimate of the scale, where the fit starts, is a little less certain.
    assert np.abs(more_m2[1:]).max() < 1e-7


def test_depth_and_size_known_before_are_joined_with_the_views():
    vertices, joints, seen, matrix, root, view = pair(np.random.default_rng(8), length_m=0.2)
    known = place(vertices, joints, seen, matrix, [view], HandSize.measured(0.2))
    assert known.cues == "joints+silhouette+size+stereo"
    assert np.linalg.norm(known.translation_m - root) < 0.005


def test_a_hand_that_the_first_view_cannot_place_fails_alone():
    vertices, joints, seen, matrix, _, view = pair(np.random.default_rng(9))
    answer = place(vertices * np.nan, joints, seen, matrix, [view])
    assert isinstance(answer, RegistrationError)


def test_views_must_belong_to_the_hands():
    vertices, joints, seen, matrix, _, view = pair(np.random.default_rng(10))
    with pytest.raises(InputError, match="views of 2 hands, expected 1"):
        register(
            vertices[None], joints[None], [seen], matrix[None], SIZE_PX, views=[[view], [view]]
        )
    assert isinstance(place(vertices, joints, seen, matrix, [view]), RootEstimate)


def test_matching_sets_the_slant_right():
    """A mesh that leans by a misjudged angle is put where the depths of the images say."""
    rng = np.random.default_rng(11)
    vertices, joints, seen, matrix, root, view = pair(rng, noise_px=1.0)
    faces = hand(np.random.default_rng(11))[2]
    lean = cv2.Rodrigues(np.radians([7.0, 0, 0]))[0]
    leaning = vertices @ lean.T, joints @ lean.T
    turned = replace(
        view, vertices_m=leaning[0] @ view.rotation.T, joints_m=leaning[1] @ view.rotation.T
    )
    depth_m = draw_depth(vertices + root, matrix, faces)
    matched = replace(turned, matched=MatchedDepth(depth_m, 0.005))
    without, by_depth = (
        place(*leaning, seen, matrix, [one]).translation_m - root for one in (turned, matched)
    )
    assert np.linalg.norm(by_depth) < 0.6 * np.linalg.norm(without)
    # Depths of something else, and none at all, change nothing.
    for depths in (depth_m + 0.2, 0 * depth_m):
        other = replace(turned, matched=MatchedDepth(depths, 0.005))
        assert not differences(
            place(*leaning, seen, matrix, [other]), place(*leaning, seen, matrix, [turned])
        )


def test_a_thing_in_the_hand_does_not_bend_the_mesh():
    """Depths count where the silhouette says that the hand itself is seen."""
    rng = np.random.default_rng(12)
    vertices, joints, seen, matrix, root, _ = pair(rng)
    faces = hand(np.random.default_rng(12))[2]
    depth_m = draw_depth(vertices + root, matrix, faces)
    covered = depth_m.copy()
    middle = SIZE_PX // 2
    covered[middle:][covered[middle:] > 0] -= 0.02
    rows = round(middle * len(seen.silhouette) / SIZE_PX)
    silhouette = seen.silhouette.copy()
    silhouette[rows:] = 0
    bare, hidden, taken_for_skin = (
        place(vertices, joints, cues_, matrix, depths_m=[depths]).vertices_m
        for cues_, depths in (
            (seen, depth_m), (replace(seen, silhouette=silhouette), covered), (seen, covered),
        )
    )  # fmt: skip
    by_hidden, by_skin = (np.abs(mesh - bare).max() for mesh in (hidden, taken_for_skin))
    assert by_hidden < 0.5 * by_skin
