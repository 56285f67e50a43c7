"""What counts as a found hand, and the manifests that are read."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from cmr_ros.benchmark.detection import manifest_cases, measure
from cmr_ros.errors import InputError
from cmr_ros.files.pictures import write_picture
from cmr_ros.synthesis.scene_kinds import SceneOfKind

IMAGE = np.zeros((120, 160, 3), np.uint8)
JOINTS = np.random.default_rng(0).uniform(40, 80, (21, 2))


class Pipeline:
    """Answers each image with the next list of hands, given by their joints."""

    def __init__(self, *answers):
        self._answers = answers

    def reset(self):
        self._left = list(self._answers)

    def __call__(self, picture, camera, stamp_s):
        joints = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        return [SimpleNamespace(joints_px=one, score=0.75) for one in joints]


def case(*hands):
    return SceneOfKind("kind", IMAGE, hands)


def test_a_hand_counts_when_it_is_seen_within_the_patience():
    late = Pipeline([], [], [JOINTS + 3])
    assert measure(late, [case(JOINTS)])["by kind"]["kind"] == {"hands": 1, "found": 1.0}
    too_late = Pipeline(*[[]] * 9, [JOINTS])
    assert measure(too_late, [case(JOINTS)])["by kind"]["kind"]["found"] == 0


def test_a_hand_elsewhere_is_neither_found_nor_forgotten():
    figures = measure(Pipeline([JOINTS + 40]), [case(JOINTS), case()])
    assert figures["by kind"]["kind"]["found"] == 0
    assert figures["false hands"] == 2 and figures["hand-free images"] == 1
    assert figures["false per 1000"] == 1000
    assert figures["by score"] == {"0.7 to 0.8": {"hands": 2, "right": 0.0}}


def test_scores_are_compared_with_how_often_they_are_right():
    figures = measure(Pipeline([JOINTS, JOINTS + 40]), [case(JOINTS)] * 3)
    assert figures["by score"] == {"0.7 to 0.8": {"hands": 6, "right": 0.5}}


def test_boxes_are_met_by_the_middle_of_the_joints():
    box = np.array([JOINTS.min(axis=0), JOINTS.max(axis=0)])
    figures = measure(Pipeline([JOINTS]), [case(box)])
    assert figures["by kind"]["kind"]["found"] == 1
    assert list(figures["by size"]) == ["160x120  32 px"]


def test_manifests_may_hold_boxes_joints_or_joints_in_space(tmp_path):
    write_picture(tmp_path / "a.png", IMAGE)
    space = np.concatenate([JOINTS / 100, np.ones((21, 1))], axis=1)
    matrix = [[100, 0, 0], [0, 100, 0], [0, 0, 1]]
    entries = [
        {"image": "a.png", "boxes_xywh": [[10, 20, 30, 40], [1, 2, 3, 4]]},
        {"image": "a.png", "joints_px": [JOINTS.tolist()]},
        {"image": "a.png", "joints_m": space.tolist(), "K": matrix},
    ]
    (tmp_path / "manifest.json").write_text(json.dumps({"images": entries}))
    boxes, pixels, projected = manifest_cases(tmp_path)
    assert len(boxes.hands) == 2
    np.testing.assert_array_equal(boxes.hands[0], [[10, 20], [40, 60]])
    np.testing.assert_allclose(projected.hands[0], pixels.hands[0])


@pytest.mark.parametrize("entry", [{}, {"image": "a.png"}, {"image": "a.png", "boxes_xywh": [3]}])
def test_other_manifests_are_refused(tmp_path, entry):
    write_picture(tmp_path / "a.png", IMAGE)
    (tmp_path / "manifest.json").write_text(json.dumps({"images": [entry]}))
    with pytest.raises(InputError, match="boxes_xywh"):
        list(manifest_cases(tmp_path))
