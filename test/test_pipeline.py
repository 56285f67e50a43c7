"""From pictures to hands in camera space, with the weights that are shipped."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cmr_ros import HandPipeline
from cmr_ros.errors import InputError
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.registration import hand_length_m
from cmr_ros.settings import PipelineSettings
from support.scenes import errors_mm, frames_of

#: Mean joint error in camera space on the recording, in mm: what the weights are good for.
BOUND_MM = 30


@pytest.fixture(scope="module")
def shared_pipeline():
    return HandPipeline()


@pytest.fixture
def pipeline(shared_pipeline):
    shared_pipeline.reset()
    shared_pipeline.settings = PipelineSettings()
    return shared_pipeline


@pytest.fixture(scope="module")
def scene():
    """A camera, a picture of one hand and its true joints."""
    camera, (frame,) = frames_of(hands=1, count=1)
    return camera, frame.picture(), frame.truth[0]


def one(pipeline, picture, camera):
    """Return the only hand of a picture, looked at afresh."""
    pipeline.reset()
    (hand,) = pipeline(picture, camera)
    return hand


def apart_mm(a, b):
    return 1000 * np.linalg.norm(np.asarray(a) - np.asarray(b), axis=-1).mean()


@pytest.mark.parametrize("count", [1, 2])
def test_the_recording_is_followed(pipeline, count):
    camera, frames = frames_of(hands=count, count=20)
    errors, ids = [], set()
    for frame in frames:
        hands = pipeline(frame.picture(), camera, frame.stamp_ns * 1e-9)
        assert len(hands) == count
        errors += errors_mm(hands, frame.truth)
        ids.add(tuple(hand.track_id for hand in hands))
    assert len(ids) == 1
    assert np.mean(errors) < BOUND_MM


def test_the_light_model_follows_as_well():
    camera, frames = frames_of(hands=2, count=20)
    pipeline, errors = HandPipeline("lite"), []
    for frame in frames:
        hands = pipeline(frame.picture(), camera, frame.stamp_ns * 1e-9)
        assert len(hands) == 2
        errors += errors_mm(hands, frame.truth)
    assert pipeline.network.card.name == "hand_lite"
    assert np.mean(errors) < 1.2 * BOUND_MM


def test_a_hand_is_whole(pipeline, scene):
    camera, picture, truth = scene
    hand = one(pipeline, picture, camera)
    template = pipeline.template
    assert hand.vertices_m.shape == (len(template.vertices[0]), 3)
    np.testing.assert_allclose(hand.joints_m, template.joints(hand.vertices_m), atol=1e-6)
    assert 0.5 <= hand.score <= 1
    assert np.all(np.linalg.eigvalsh(hand.root_covariance_m2) > 0)
    # Depth is what is uncertain, and the truth lies within it.
    sigma = np.sqrt(np.diag(hand.root_covariance_m2))
    assert sigma[2] > sigma[0] and sigma[2] > sigma[1]
    assert np.all(np.abs(hand.joints_m[0] - truth[0]) < 5 * sigma + 0.005)
    # Mesh and 2D joints are of the same hand.
    distance = np.linalg.norm(camera.project(hand.joints_m) - hand.joints_px, axis=-1)
    assert np.median(distance) < 0.05 * hand.region.size_px


def test_the_reprojection_error_is_that_of_the_joints(pipeline, scene):
    hand = one(pipeline, scene[1], scene[0])
    off_px = np.linalg.norm(scene[0].project(hand.joints_m) - hand.joints_px, axis=1)
    assert hand.rms_px == pytest.approx(np.sqrt((off_px**2).mean()), rel=0.1)


def test_a_mirrored_picture_shows_the_mirrored_other_hand(pipeline, scene):
    camera, picture, _ = scene
    hand = one(pipeline, picture, camera)
    matrix = camera.matrix.copy()
    matrix[0, 2] = camera.width - 1 - matrix[0, 2]
    other = one(pipeline, np.ascontiguousarray(picture[:, ::-1]), replace(camera, matrix=matrix))
    assert {hand.handedness, other.handedness} == {Handedness.LEFT, Handedness.RIGHT}
    assert apart_mm(other.joints_m * [-1, 1, 1], hand.joints_m) < 15


@pytest.mark.parametrize("says", [0.3, 0.7])
def test_joints_tell_left_from_right_where_the_head_says_the_same_of_both(
    pipeline, scene, monkeypatch, says
):
    camera, picture, _ = scene
    hand = one(pipeline, picture, camera)
    look = type(pipeline.network).__call__

    def at_a_loss(network, crops):
        return replace(look(network, crops), handedness=np.full(len(crops), says, np.float32))

    monkeypatch.setattr(type(pipeline.network), "__call__", at_a_loss)
    again = one(pipeline, picture, camera)
    assert again.handedness is hand.handedness
    assert apart_mm(again.joints_m, hand.joints_m) < 15


def test_a_window_of_the_picture_shows_the_hand_where_it_was(pipeline, scene):
    camera, picture, _ = scene
    hand = one(pipeline, picture, camera)
    low = np.clip(hand.joints_px.min(axis=0) - 60, 0, None).astype(int)
    high = np.ceil(hand.joints_px.max(axis=0) + 60).astype(int)
    window = np.ascontiguousarray(picture[low[1] : high[1], low[0] : high[0]])
    matrix = camera.matrix.copy()
    matrix[:2, 2] -= low
    off_center = Camera(window.shape[1], window.shape[0], matrix)
    assert apart_mm(one(pipeline, window, off_center).joints_m, hand.joints_m) < 15


def test_pixels_need_not_be_square(pipeline, scene):
    camera, picture, _ = scene
    hand = one(pipeline, picture, camera)
    stretched = cv2.resize(picture, None, fx=1.25, fy=1.0)
    matrix = np.array([[1.25, 0, 0.125], [0, 1, 0], [0, 0, 1]]) @ camera.matrix
    wide = Camera(stretched.shape[1], stretched.shape[0], matrix)
    assert apart_mm(one(pipeline, stretched, wide).joints_m, hand.joints_m) < 15


def test_lens_distortion_is_undone(pipeline, scene):
    camera, picture, _ = scene
    straight = replace(camera, distortion=np.zeros(0))
    bent = np.array([-0.25, 0.08, 0.001, -0.001, 0])
    lens = replace(camera, distortion=bent, distortion_model="plumb_bob")
    shown = seen_through(camera, straight, picture)
    hand = one(pipeline, shown, straight)
    distorted = seen_through(straight, lens, shown)
    assert np.abs(distorted.astype(int) - shown).mean() > 2
    assert apart_mm(one(pipeline, distorted, lens).joints_m, hand.joints_m) < 15


def seen_through(camera, other, picture):
    """Return what another camera in the place of this one sees, by OpenCV's lens model."""
    grid = np.stack(np.meshgrid(np.arange(other.width), np.arange(other.height)), axis=-1)
    rays = cv2.undistortPoints(grid.reshape(-1, 1, 2).astype(float), other.matrix, other.distortion)
    rays = cv2.convertPointsToHomogeneous(rays)
    pixels, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), camera.matrix, camera.distortion)
    x, y = np.moveaxis(pixels.reshape(*grid.shape).astype(np.float32), -1, 0)
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR)


def followed(pipeline, camera, images):
    """Return the track ids of images (picture, stamp), in order; None where no hand is returned."""
    ids = []
    for picture, stamp_s in images:
        hands = pipeline(picture, camera, stamp_s)
        ids.append(hands[0].track_id if hands else None)
    return ids


def test_a_hand_that_is_hidden_for_a_moment_keeps_its_id(pipeline, scene):
    camera, picture, _ = scene
    black = np.zeros_like(picture)
    noise = np.random.default_rng(0).integers(0, 256, picture.shape, np.uint8)
    images = [(picture, 10.0), (black, 10.03), (picture, 10.07), (noise, 10.1), (picture, 10.4)]
    first, *later = followed(pipeline, camera, images)
    assert later == [None, first, None, first]


def test_a_hand_that_is_gone_for_longer_is_another_one(pipeline, scene):
    camera, picture, _ = scene
    black = np.zeros_like(picture)
    gone = [(black, 10.0 + t / 10) for t in range(1, 9)]
    # The whole image is looked at every fourth time.
    back = [(picture, 10.9 + t / 30) for t in range(4)]
    ids = followed(pipeline, camera, [(picture, 10.0), *gone, *back])
    assert ids[1:9] == [None] * 8 and ids[-1] > ids[0]


def test_a_hand_is_found_again_where_it_has_moved_meanwhile(pipeline, scene):
    camera, picture, truth = scene
    hand = one(pipeline, picture, camera)
    step_px = int(0.6 * hand.region.size_px)
    center = camera.project(truth)[:, 0].mean()
    moved = np.roll(picture, -step_px if center > camera.width / 2 else step_px, axis=1)
    black = np.zeros_like(picture)
    images = [(picture, 1.0), (black, 1.03), (black, 1.07), (moved, 1.1)]
    first, *_, last = followed(pipeline, camera, images)
    assert last == first


def test_stamps_that_step_back_a_little_are_no_new_beginning(pipeline, scene):
    camera, picture, _ = scene
    stamps = [5.0, 5.033, 5.028, 5.06, 4.9, 5.1, 5.1]
    assert len(set(followed(pipeline, camera, [(picture, stamp) for stamp in stamps]))) == 1


@pytest.mark.parametrize("later_s", [3.0, 12.0, 3610.0], ids=["loop", "pause", "hour"])
def test_a_jump_in_time_is_a_new_beginning(pipeline, scene, later_s):
    camera, picture, _ = scene
    depth_m = np.full(picture.shape[:2], 0.5, np.float32)
    (first,) = pipeline(picture, camera, 10.0, depth_m)
    (unknown,) = pipeline(picture, camera, 10.03)
    (again,) = pipeline(picture, camera, later_s)
    assert unknown.track_id == first.track_id < again.track_id
    # Nor is the size known any longer.
    assert again.root_covariance_m2[2, 2] > unknown.root_covariance_m2[2, 2]


def test_stamps_that_stand_still_do_not_keep_a_hand_alive(pipeline, scene):
    camera, picture, _ = scene
    black = np.zeros_like(picture)
    ids = followed(pipeline, camera, [(image, 0.0) for image in [picture, *[black] * 22, picture]])
    assert ids[-1] > ids[0]


def test_handedness_that_becomes_known_holds_for_followed_hands(pipeline, scene):
    camera, picture, _ = scene
    (hand,) = pipeline(picture, camera)
    other = {Handedness.LEFT: Handedness.RIGHT, Handedness.RIGHT: Handedness.LEFT}[hand.handedness]
    pipeline.settings = replace(pipeline.settings, handedness=other)
    hands = pipeline(picture, camera)
    assert all(found.handedness is other for found in hands)
    pipeline.settings = PipelineSettings()
    for _ in range(12):
        hands = pipeline(picture, camera)
    assert hands[0].handedness is hand.handedness


def test_hands_that_cannot_be_placed_are_named(pipeline, scene):
    camera, picture, _ = scene
    matrix = camera.matrix.copy()
    matrix[[0, 1], [0, 1]] *= 40
    assert pipeline(picture, replace(camera, matrix=matrix)) == []
    (reason,) = pipeline.refusals
    assert "m away" in reason
    pipeline.reset()
    assert pipeline(picture, camera) and not pipeline.refusals


def test_no_more_hands_than_wanted(pipeline):
    camera, (frame,) = frames_of(hands=2, count=1)
    pipeline.settings = PipelineSettings(max_hands=1)
    assert len(pipeline(frame.picture(), camera)) == 1
    pipeline.settings = PipelineSettings(max_hands=2)
    for _ in range(pipeline.settings.detection_interval):
        hands = pipeline(frame.picture(), camera)
    assert len(hands) == 2


def test_more_hands_are_warmed_up_for_before_they_come(pipeline, monkeypatch):
    sizes = []
    run = type(pipeline.network.engine).__call__

    def noting(engine, images):
        sizes.append(len(images))
        return run(engine, images)

    monkeypatch.setattr(type(pipeline.network.engine), "__call__", noting)
    pipeline.settings = PipelineSettings(max_hands=4)
    assert max(sizes) == 8
    sizes.clear()
    pipeline.settings = PipelineSettings(max_hands=3)
    assert sizes == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_hands": 0},
        {"min_score": 1.5},
        {"min_score": float("nan")},
        {"detection_interval": 0},
        {"smoothing_hz": -1.0},
        {"hand_length_m": 186.0},
        {"scheme": "guess"},
    ],
)
def test_settings_that_make_no_sense_are_refused(pipeline, wrong):
    (name,) = wrong
    before = pipeline.settings
    with pytest.raises(InputError, match=name):
        pipeline.settings = PipelineSettings(**wrong)
    assert pipeline.settings is before


def test_smoothing_calms_depth(scene):
    camera, picture, _ = scene
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
        for _ in range(12)
    ]
    depths = []
    for smoothing_hz in (0.0, 1.0):
        pipeline = HandPipeline(smoothing_hz=smoothing_hz)
        hands = [pipeline(image, camera, i / 30) for i, image in enumerate(noisy)]
        depths.append([hand[0].joints_m[0, 2] for hand in hands])
    raw, smooth = np.abs(np.diff(depths, axis=1)).mean(axis=1)
    assert smooth < 0.7 * raw


def test_a_known_length_sets_the_size(scene):
    camera, picture, _ = scene
    small, large = (
        HandPipeline(hand_length_m=length_m)(picture, camera)[0] for length_m in (0.18, 0.198)
    )
    assert large.joints_m[0, 2] == pytest.approx(1.1 * small.joints_m[0, 2], rel=0.02)
    assert hand_length_m(large.joints_m) == pytest.approx(
        1.1 * hand_length_m(small.joints_m), rel=0.02
    )


def test_a_size_is_learned_from_depth_and_kept_without_it(pipeline, scene):
    camera, picture, _ = scene
    hand = one(pipeline, picture, camera)
    (again,) = pipeline(picture, camera)
    # The network errs in the same direction again and again: the same pixels make nothing surer.
    assert again.root_covariance_m2[2, 2] > 0.8 * hand.root_covariance_m2[2, 2]
    farther_m = 1.08 * np.median(hand.vertices_m[:, 2])
    depth_m = np.full(picture.shape[:2], farther_m, np.float32)
    (deep,) = pipeline(picture, camera, depth_m=depth_m)
    (after,) = pipeline(picture, camera)
    assert "depth" not in after.registration
    assert hand.joints_m[0, 2] < after.joints_m[0, 2] < deep.joints_m[0, 2]
    assert after.root_covariance_m2[2, 2] < hand.root_covariance_m2[2, 2]


def test_a_depth_picture_settles_the_depth(pipeline, scene):
    camera, picture, _ = scene
    hand = one(pipeline, picture, camera)
    # A plane through the palm, as a depth camera sees a hand, 3 % farther than the picture says.
    palm_m = 1.03 * np.median(hand.vertices_m[:, 2])
    pipeline.reset()
    (deeper,) = pipeline(picture, camera, depth_m=np.full(picture.shape[:2], palm_m, np.float32))
    assert "depth" in deeper.registration
    assert hand.joints_m[0, 2] < deeper.joints_m[0, 2]
    assert deeper.root_covariance_m2[2, 2] < hand.root_covariance_m2[2, 2]
    with pytest.raises(InputError, match="depth image 4x3"):
        pipeline(picture, camera, depth_m=np.zeros((3, 4)))


@pytest.mark.parametrize(
    "picture, message",
    [
        (np.zeros((480, 640), np.uint8), "expected RGB uint8"),
        (np.zeros((480, 640, 4), np.uint8), "expected RGB uint8"),
        (np.zeros((480, 640, 3), np.float32), "float32"),
        (np.zeros((0, 0, 3), np.uint8), "0x0"),
        (np.zeros((240, 320, 3), np.uint8), "its camera is 640x480"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(pipeline, picture, message):
    with pytest.raises(InputError, match=message):
        pipeline(picture, Camera.from_fov(640, 480, 60))


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 700, 3), (900, 2, 3)])
def test_odd_pictures_do_no_harm(pipeline, shape):
    assert pipeline(np.zeros(shape, np.uint8), Camera.from_fov(shape[1], shape[0], 60)) == []


@pytest.mark.parametrize(
    ("off", "times", "turn_rad"),
    [((0.3, 0), 1.0, 0.0), ((0, 0), 1.9, 0.5), ((0, 0.1), 0.7, 0.0), ((0, 0), 1.2, 1.2)],
    ids=["beside", "an arm", "half of it", "askew"],
)
def test_a_hand_is_found_where_it_was_badly_proposed(
    pipeline, scene, monkeypatch, off, times, turn_rad
):
    camera, picture, _ = scene
    hand = one(pipeline, picture, camera)
    pipeline.reset()
    center = hand.region.center_px + hand.region.size_px * np.array(off)
    bad = Region(tuple(center), times * hand.region.size_px, hand.region.rotation_rad + turn_rad)
    monkeypatch.setattr(pipeline, "_detect", lambda views: ([bad], 0))
    (again,) = pipeline(picture, camera)
    assert again.handedness is hand.handedness
    assert apart_mm(again.joints_m, hand.joints_m) < 15


def test_a_given_region_is_looked_at_without_memory(pipeline, scene):
    camera, picture, _ = scene
    (hand,) = pipeline(picture, camera)
    again = pipeline.recover(picture, camera, hand.region, hand.handedness)
    assert apart_mm(again.joints_m, hand.joints_m) < 5
    assert pipeline.recover(np.zeros_like(picture), camera, hand.region, hand.handedness) is None
    (same,) = pipeline(picture, camera)
    assert same.track_id == hand.track_id


def test_new_hands_must_reach_what_the_card_says(pipeline, scene, monkeypatch):
    camera, picture, _ = scene
    assert PipelineSettings().min_new_score(0.87) == pytest.approx(0.87)
    assert PipelineSettings(min_score=0.25).min_new_score(0.8) == pytest.approx(0.64)
    (hand,) = pipeline(picture, camera)
    above = replace(pipeline.network.card, new_hand_score=(1 + hand.score) / 2)
    monkeypatch.setattr(pipeline.network, "card", above)
    assert len(pipeline(picture, camera)) == 1  # it is followed
    pipeline.reset()
    assert pipeline(picture, camera) == []


def test_a_single_image_is_searched_for_all_its_far_hands(pipeline, scene):
    _, picture, _ = scene
    small = cv2.resize(picture, (160, 120), interpolation=cv2.INTER_AREA)
    far = np.full((960, 1280, 3), 90, np.uint8)
    far[700:820, 1000:1160] = far[100:220, 200:360] = small
    camera = Camera.from_fov(1280, 960, 60)
    hands = pipeline.search(far, camera)
    assert {hand.joints_px[0, 0] > 640 for hand in hands} == {True, False}
    assert pipeline.settings == PipelineSettings()
    # A pipeline's very first image is searched like any other.
    assert len(HandPipeline().search(far, camera)) == 2
