"""The body moves as its bones do; a miniature stands for MPFB2's file, which is not shipped."""

import json

import numpy as np
import pytest

from cmr_ros.hand_model.body import Body
from cmr_ros.hand_model.mpfb import FINGER_BONES, PALM_BONES, MpfbBody
from cmr_ros.synthesis.persons import random_pose
from cmr_ros.synthesis.placement import rotation

#: The right arm's bones, their parents and where they begin, in decimetres; the left mirrors them.
_ARM = {
    "upperarm01": ("root", "shoulder", (-2, 5, 0)),
    "lowerarm01": ("upperarm01", "elbow", (-3, 3, 0)),
    "lowerarm02": ("lowerarm01", None, None),
    "wrist": ("lowerarm02", "hand", (-4, 2, 1)),
}
_LEG = {
    "upperleg01": ("root", "upper-leg", (-1, 0, 0)),
    "lowerleg01": ("upperleg01", "knee", (-1, -4, 0)),
}


def miniature():
    """Return joints by name, and the parent of each bone."""
    joints, parents = {"neck": (0, 6, 0)}, {"root": "", "neck01": "root"}
    for side, sign in (("r", 1), ("l", -1)):
        for bone, (parent, joint, place) in {**_ARM, **_LEG}.items():
            suffix = "" if parent == "root" else f".{side.upper()}"
            parents[f"{bone}.{side.upper()}"] = parent + suffix
            if joint:
                joints[f"{side}-{joint}"] = np.multiply(place, (sign, 1, 1))
        for number in range(1, 5):
            parents[f"metacarpal{number}.{side.upper()}"] = f"wrist.{side.upper()}"
        for finger in range(1, 6):
            for joint in range(1, 5):
                place = (-4 - 0.3 * joint, 2 - 0.1 * finger, 1 + 0.2 * (3 - finger))
                joints[f"{side}-finger-{finger}-{joint}"] = np.multiply(place, (sign, 1, 1))
            for bone in range(1, 4):
                before = f"finger{finger}-{bone - 1}" if bone > 1 else "wrist"
                parents[f"finger{finger}-{bone}.{side.upper()}"] = f"{before}.{side.upper()}"
    return joints, parents


@pytest.fixture
def body(tmp_path, monkeypatch):
    joints, parents = miniature()
    lines, vertices = ["vt 0 0", "vt 1 0", "vt 1 1"], 0
    weights = {bone: [] for bone in {*parents, *PALM_BONES, *(b for f in FINGER_BONES for b in f)}}
    for name, place in joints.items():
        lines += [f"v {place[0]} {place[1]} {place[2]}"] * 4 + [f"g joint-{name}"]
        lines += ["f " + " ".join(f"{vertices + k}/1" for k in range(1, 5))]
        vertices += 4
    lines += ["v -4 2 1", "v -4.5 2 1", "v -4.5 2.5 1", "v 0 3 0", "g body"]
    lines += ["f " + " ".join(f"{vertices + k}/{min(k, 3)}" for k in range(1, 5))]
    weights["wrist.R"] = [[vertices + k, 1.0] for k in range(3)]
    for group in ("helper-l-eye", "helper-hair", "helper-tights", "helper-skirt"):
        lines += [f"g {group}", "f 1/1 2/1 3/1 4/1"]
    for folder in ("3dobjs", "rigs/standard"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "3dobjs/base.obj").write_text("\n".join(lines))
    rig = {bone: {"parent": parent} for bone, parent in parents.items()}
    (tmp_path / "rigs/standard/rig.default.json").write_text(json.dumps(rig))
    (tmp_path / "rigs/standard/weights.default.json").write_text(json.dumps({"weights": weights}))
    monkeypatch.setattr(MpfbBody, "target", lambda self, name: np.zeros_like(self.vertices))
    return Body(tmp_path)


def test_at_rest_nothing_moves(body):
    vertices, joints = body.posed(body.rest, {})
    np.testing.assert_allclose(vertices, body.rest)
    np.testing.assert_allclose(joints["r"][0], [-0.4, 0.2, 0.1])
    np.testing.assert_allclose(joints["l"][0], [0.4, 0.2, 0.1])


def test_a_bent_elbow_turns_the_forearm_about_it_and_nothing_else(body):
    turn = rotation([0, 0, 1], 1.0)
    vertices, joints = body.posed(body.rest, {"lowerarm01.R": turn})
    elbow = body.joint(body.rest, "r-elbow")
    rest = body.posed(body.rest, {})[1]
    np.testing.assert_allclose(joints["r"], (rest["r"] - elbow) @ turn.T + elbow)
    np.testing.assert_allclose(joints["l"], rest["l"])
    np.testing.assert_allclose(vertices[-4:-1], (body.rest[-4:-1] - elbow) @ turn.T + elbow)
    np.testing.assert_allclose(vertices[-1], body.rest[-1])


def test_poses_keep_the_bones_lengths(body):
    bones = [(k, k - 1 if k % 4 != 1 else 0) for k in range(1, 21)]

    def lengths(joints):
        return np.array([np.linalg.norm(joints[a] - joints[b]) for a, b in bones])

    rest = body.posed(body.rest, {})[1]
    rng = np.random.default_rng(0)
    places = []
    for _ in range(10):
        joints = body.posed(body.rest, random_pose(body, body.rest, rng))[1]
        for side in "lr":
            np.testing.assert_allclose(lengths(joints[side]), lengths(rest[side]), atol=1e-9)
            places.append(joints[side][0])
    assert np.ptp(places, axis=0).min() > 0.2
