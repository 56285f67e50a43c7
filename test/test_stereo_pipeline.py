"""Hands before two cameras: found, triangulated and followed, on the recording that is shipped."""

import numpy as np
import pytest

from cmr_ros import CameraView, HandPipeline
from cmr_ros.errors import InputError
from cmr_ros.files import playback
from cmr_ros.geometry.camera import Camera
from cmr_ros.model import weights
from cmr_ros.settings import PipelineSettings
from cmr_ros.viewing.drawing import hand_mask, overlay

#: Whose frames show the right hand alone, which moves between 0.36 and 0.65 m.
RIGHT_HAND = slice(0, 24)


@pytest.fixture(scope="module")
def shared_pipeline():
    return HandPipeline()


@pytest.fixture
def pipeline(shared_pipeline):
    shared_pipeline.reset()
    shared_pipeline.settings = PipelineSettings()
    return shared_pipeline


@pytest.fixture(scope="module")
def stereo():
    """Both cameras, the second one's pose, and the frames."""
    return playback.read_stereo(weights.find("demo_stereo.mcap"))


def second_view(stereo, frame, rotation=None, translation_m=None):
    cameras, own_rotation, own_translation_m, _ = stereo
    return CameraView(
        frame.right_picture(),
        cameras[1],
        own_rotation if rotation is None else rotation,
        own_translation_m if translation_m is None else translation_m,
    )


def follow(pipeline, stereo, frames, second, black_first=False, camera=None):
    """Return the hands in each of the frames."""
    found = []
    for frame in frames:
        picture = frame.picture() * (0 if black_first else 1)
        first = camera or stereo[0][0]
        found.append(pipeline(picture, first, frame.stamp_ns * 1e-9, second=second(frame)))
    return found


def root_errors_mm(found, frames):
    return [
        1000 * np.linalg.norm(hand.joints_m[0] - frame.truth[0][0])
        for hands, frame in zip(found, frames, strict=True)
        for hand in hands
    ]


def test_two_views_place_hands_within_millimetres(pipeline, stereo):
    frames = stereo[3][RIGHT_HAND]
    found = follow(pipeline, stereo, frames, lambda frame: second_view(stereo, frame))
    assert [len(hands) for hands in found] == [1] * len(frames)
    assert len({hand.track_id for (hand,) in found}) == 1
    # From the second image on, where the mesh tells where to look in the second view.
    assert all("stereo" in hand.registration for (hand,) in found[1:])
    assert pipeline.apart == ""
    both = root_errors_mm(found[1:], frames[1:])
    pipeline.reset()
    alone = root_errors_mm(follow(pipeline, stereo, frames, lambda _: None)[1:], frames[1:])
    assert np.mean(both) < 6 and np.mean(both) < 0.5 * np.mean(alone)
    inside = [
        (error := hand.joints_m[0] - frame.truth[0][0])
        @ np.linalg.solve(hand.root_covariance_m2, error)
        < 6.2514
        for (hand,), frame in zip(found, frames, strict=True)
    ]
    assert np.mean(inside) > 0.8


def test_a_learned_size_helps_where_the_second_view_is_missing(pipeline, stereo):
    frames = stereo[3][RIGHT_HAND][:10]
    pipeline(frames[0].picture(), stereo[0][0], 0.0)
    (unknown,) = pipeline(frames[1].picture(), stereo[0][0], 0.04)
    follow(pipeline, stereo, frames, lambda frame: second_view(stereo, frame))
    (known,) = pipeline(frames[9].picture(), stereo[0][0], frames[9].stamp_ns * 1e-9 + 0.04)
    assert "stereo" not in known.registration and "size" in known.registration
    assert known.root_covariance_m2[2, 2] < 0.9 * unknown.root_covariance_m2[2, 2]


def test_a_second_view_that_shows_nothing_changes_nothing(pipeline, stereo):
    frames = stereo[3][RIGHT_HAND][:4]
    cameras, rotation, translation_m, _ = stereo
    black = CameraView(np.zeros((480, 640, 3), np.uint8), cameras[1], rotation, translation_m)
    pipeline.settings = PipelineSettings(max_hands=1)
    found = follow(pipeline, stereo, frames, lambda _: black)
    pipeline.reset()
    alone = follow(pipeline, stereo, frames, lambda _: None)
    pairs = [pair for hands in zip(found, alone, strict=True) for pair in zip(*hands, strict=True)]
    assert len(pairs) == len(frames)
    for one, other in pairs:
        assert np.allclose(one.vertices_m, other.vertices_m, atol=1e-6)
        assert one.registration == other.registration


def test_a_hand_that_the_second_view_alone_shows_is_found_and_placed(pipeline, stereo):
    frames = stereo[3][RIGHT_HAND][:8]
    found = follow(
        pipeline, stereo, frames, lambda frame: second_view(stereo, frame), black_first=True
    )
    assert sum(map(len, found)) >= 6 and len({h.track_id for hands in found for h in hands}) == 1
    assert np.median(root_errors_mm(found, frames)) < 40
    (hand,) = found[-1]
    # Its places in the first image are those of the mesh, and nothing is seen of it there.
    camera = stereo[0][0]
    true_px = camera.project(frames[-1].truth[0])
    assert np.median(np.linalg.norm(hand.joints_px - true_px, axis=1)) < 15
    assert not hand_mask([hand], camera).any()
    picture = frames[-1].picture()
    assert overlay(picture, [hand], pipeline.template, camera).shape == picture.shape
    # It stays the same hand when the first view shows it again.
    (again,) = pipeline(
        picture, camera, frames[-1].stamp_ns * 1e-9 + 0.04,
        second=second_view(stereo, frames[-1]),
    )  # fmt: skip
    assert again.track_id == hand.track_id


@pytest.mark.parametrize("lens", [(), (-0.3, 0.1, 0, 0, 0)])
def test_a_hand_of_the_second_view_alone_has_its_place_in_the_first_image(pipeline, stereo, lens):
    cameras, rotation, translation_m, frames = stereo
    camera = Camera(640, 480, cameras[0].matrix, lens, "plumb_bob" if lens else "none")
    frames = frames[RIGHT_HAND][:8]

    def second(frame):  # by the very same object, where both cameras' camera_info are equal
        picture = frame.right_picture()
        return CameraView(picture, cameras[1] if lens else camera, rotation, translation_m)

    (hand,) = follow(pipeline, stereo, frames, second, black_first=True, camera=camera)[-1]
    np.testing.assert_allclose(hand.joints_px, camera.project(hand.joints_m))
    assert not hand_mask([hand], camera).any()


def test_exchanged_cameras_are_named_and_one_view_goes_on(pipeline, stereo):
    frames = stereo[3][RIGHT_HAND][:12]
    swapped = -stereo[2]
    reasons, found = [], []
    for frame in frames:
        found += follow(pipeline, stereo, [frame], lambda f: second_view(stereo, f, None, swapped))
        reasons.append(pipeline.apart)
    assert any("left and right exchanged" in reason for reason in reasons)
    for hands in found[1:]:
        assert [hand.registration for hand in hands] == ["joints+silhouette"]


def test_turned_cameras_are_noticed(pipeline, stereo):
    angle = np.radians(6)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    reasons = []
    for frame in stereo[3][RIGHT_HAND][:12]:
        hands = follow(pipeline, stereo, [frame], lambda f: second_view(stereo, f, turn))[0]
        reasons.append(pipeline.apart)
        assert all("stereo" not in hand.registration for hand in hands)
    assert any("check the calibration" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"picture": np.zeros((4, 4, 3), np.uint8)}, "its camera is 640x480"),
        ({"picture": np.zeros((480, 640), np.uint8)}, "expected RGB uint8"),
        ({"rotation": 2 * np.eye(3)}, "rotation"),
        ({"rotation": np.diag([1.0, 1, -1])}, "rotation"),
        ({"translation_m": np.array([np.nan, 0, 0])}, "finite"),
        ({"translation_m": np.zeros(2)}, "expected a rotation"),
    ],
)
def test_what_is_no_view_is_one_clear_error(stereo, change, message):
    cameras, rotation, translation_m, frames = stereo
    right = {
        "picture": frames[0].right_picture(), "camera": cameras[1],
        "rotation": rotation, "translation_m": translation_m,
    }  # fmt: skip
    with pytest.raises(InputError, match=message):
        CameraView(**(right | change))
