"""Builds the parametric hand and the template from the MPFB2 arm.

MPFB2's bones serve animation: its finger bases lie in the webs and its wrist in the forearm.  The
joints here are anatomical centres, and hands bend about them.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from cmr_ros.geometry.skeleton import JOINT_PARENTS, TIPS
from cmr_ros.hand_model.hierarchy import build_template, decimate
from cmr_ros.hand_model.model import HandModel
from cmr_ros.hand_model.mpfb import ArmMesh
from cmr_ros.hand_model.poses import sample_pose
from cmr_ros.model.template import HandTemplate

TEMPLATE_NAME = "mpfb2_hand"
TEMPLATE_VERTICES = 800
#: Joint centres on the mean MPFB2 hand, in its frame, millimetres.  Found by triangulating a
#: landmark network's joints over 400 renders of the hand at rest; the finger bases were then moved
#: along the finger to the published lengths of the proximal phalanges (Buryanov and Kotiuk 2010).
#: That network's finger tips lie under the nail: only the direction of the last bones is theirs.
_JOINTS_MM = np.array(
    [
        [15.6, -1.8, -0.9],
        [35.8, 29.9, -19.1], [57.1, 47.3, -30.0], [75.2, 58.1, -42.8], [92.4, 67.7, -55.0],
        [93.6, 22.9, -9.3], [129.8, 29.4, -19.3], [150.0, 32.4, -28.3], [165.4, 33.2, -36.4],
        [95.3, 1.4, -8.6], [135.8, -3.1, -16.7], [157.9, -5.5, -26.5], [175.2, -7.9, -34.6],
        [89.0, -17.9, -9.1], [124.8, -28.3, -15.3], [145.2, -33.9, -23.6], [161.3, -38.4, -30.9],
        [79.6, -34.0, -11.0], [104.5, -46.6, -17.0], [117.8, -52.9, -23.8], [129.8, -57.6, -30.5],
    ]
)  # fmt: skip
#: Half the length over which skin passes from one bone to the next, at each joint, mm; 0: no bend.
_BLEND_MM = {0: 18, 1: 14, 2: 9, 3: 7} | {
    base + k: (11, 7, 5.5)[k] for base in (5, 9, 13, 17) for k in range(3)
}
#: How far behind the wrist joint the template ends.
_CUFF_M = 0.010
_FIT_POSES = 60


def build_hand(arm: ArmMesh) -> tuple[HandModel, HandTemplate]:
    """Return the parametric hand and its closed template; the same for the same arm."""
    joints = _with_tips(_JOINTS_MM / 1000, arm)
    faces = _triangles(arm.quads)
    hand_faces = (arm.vertices[faces][..., 0] > joints[0, 0] - _CUFF_M).all(axis=1)
    hand_faces = _largest_part(faces, hand_faces)
    cap = faces[hand_faces]
    rim = _rim(cap)
    # The cap's centre belongs to the template alone.
    center = len(arm.vertices)
    mean_of_rim = np.zeros(len(arm.vertices))
    mean_of_rim[rim[:, 0]] = 1 / len(rim)
    append = np.vstack([np.eye(len(arm.vertices)), mean_of_rim])
    closed = np.concatenate([cap, np.column_stack([rim[:, ::-1], np.full(len(rim), center)])])
    vertices = append @ arm.vertices
    used = np.unique(closed)
    kept, template_faces = decimate(
        vertices[used], np.searchsorted(used, closed), TEMPLATE_VERTICES
    )
    model = HandModel(
        vertices=vertices.astype(np.float32),
        faces=faces.astype(np.int32),
        uvs=np.ascontiguousarray(_triangles(arm.uvs), np.float32),
        hand_faces=hand_faces,
        modes=np.stack([append @ mode for mode in arm.modes.values()]),
        traits=np.array(list(arm.modes)),
        skin_weights=_skin_weights(vertices, append @ arm.membership, joints),
        pivots=_pivots(vertices, append @ arm.membership, joints).astype(np.float32),
        template_index=used[kept].astype(np.int32),
    )
    rest = model.rest()
    regressor = _joint_regressor(model)
    template = build_template(TEMPLATE_NAME, rest.template_vertices, template_faces, regressor)
    return model, template


def _with_tips(joints: np.ndarray, arm: ArmMesh) -> np.ndarray:
    """Return joints (21, 3) with each tip moved along its bone to where the flesh ends.

    That is how hand lengths are measured (to the dactylion), where meshes of the field have their
    tip vertices, and what touches things.
    """
    joints = joints.copy()
    for finger, tip in enumerate(TIPS):
        last = joints[tip] - joints[tip - 1]
        last /= np.linalg.norm(last)
        flesh = arm.vertices[arm.membership[:, finger] > 0.5]
        joints[tip] = joints[tip - 1] + last * ((flesh - joints[tip - 1]) @ last).max()
    return joints


def _triangles(corners: np.ndarray) -> np.ndarray:
    """Return two triangles (2 F, 3, ...) for each quad's corners (F, 4, ...)."""
    return np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])


def _largest_part(faces: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the chosen faces (F,) without those that hang on by a corner only."""
    chosen = chosen.copy()
    while True:
        rim = _rim(faces[chosen])
        corners, counts = np.unique(rim[:, 0], return_counts=True)
        # A rim that passes a vertex twice pinches: its faces there are given up.
        loose = corners[counts > 1]
        edge_faces = np.isin(faces, np.unique(rim)).sum(axis=1) == 3
        drop = chosen & (np.isin(faces, loose).any(axis=1) & edge_faces)
        if not drop.any():
            return chosen
        chosen &= ~drop


def _rim(faces: np.ndarray) -> np.ndarray:
    """Return the edges (E, 2) that only one face has, in that face's direction."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    have = {tuple(edge) for edge in edges}
    return np.array([edge for edge in edges if (edge[1], edge[0]) not in have])


def _pivots(vertices: np.ndarray, membership: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Return weights (21, V) whose means of nearby skin are the joints of the mean hand."""
    weights = np.zeros((len(joints), len(vertices)))
    for joint in range(len(joints)):
        finger = (joint - 1) // 4
        own = np.full(len(vertices), True)
        if joint and joint != 1 and (joint - 1) % 4:
            own = membership[:, finger] > 0.5
        near = _nearest(vertices, joints[joint], own, 40 if joint else 120)
        weights[joint, near] = _mean_weights(vertices[near][None], joints[joint][None])
    return weights


def _nearest(vertices: np.ndarray, point: np.ndarray, own: np.ndarray, count: int) -> np.ndarray:
    """Return the indices (count,) of the vertices nearest to a point (3,), of the own ones (V,)."""
    candidates = np.flatnonzero(own)
    distance = np.linalg.norm(vertices[candidates] - point, axis=1)
    return candidates[np.argsort(distance)[:count]]


def _mean_weights(samples: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return weights (V,) >= 0 of sum 1 so that weighted means of samples (N, V, 3) fit (N, 3)."""
    count = samples.shape[1]
    rows = np.concatenate(np.moveaxis(samples, 2, 1))
    # Even weights move most smoothly from shape to shape.
    even = 1e-3 * np.eye(count)
    total = np.ones((1, count))
    matrix = np.concatenate([rows, 10 * total, even])
    goal = np.concatenate([targets.ravel(), [10], np.full(count, 1e-3 / count)])
    weights, _ = nnls(matrix, goal)
    return weights / weights.sum()


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _skin_weights(vertices: np.ndarray, membership: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Return weights (V, 21): across the hand by finger, along each finger by the joints."""
    palm = membership[:, 5]
    distance = np.stack(
        [_distance(vertices, joints[[0, *range(base, base + 4)]]) for base in (5, 9, 13, 17)], 1
    )
    near = np.exp(-((distance - distance.min(axis=1, keepdims=True)) / 0.006))
    rays = membership[:, :5].copy()
    rays[:, 1:] += palm[:, None] * near / near.sum(axis=1, keepdims=True)

    weights = np.zeros((len(vertices), 21))
    for finger in range(5):
        left = rays[:, finger]
        for joint in range(4 * finger + 1, 4 * finger + 4):
            beyond = left * _beyond(vertices, joints, joint)
            weights[:, joint] += left - beyond
            left = beyond
        weights[:, 4 * finger + 4] += left
    hand = _smoothstep(0.5 + (vertices[:, 0] - joints[0, 0]) / (2e-3 * _BLEND_MM[0]))
    weights *= hand[:, None]
    weights[:, 0] = 1 - hand
    return weights


def _beyond(vertices: np.ndarray, joints: np.ndarray, joint: int) -> np.ndarray:
    """Return the share (V,) of each vertex that moves with the bone after a joint."""
    before, after = joints[joint] - joints[JOINT_PARENTS[joint]], joints[joint + 1] - joints[joint]
    along = before / np.linalg.norm(before) + after / np.linalg.norm(after)
    along /= np.linalg.norm(along)
    return _smoothstep(0.5 + (vertices - joints[joint]) @ along / (2e-3 * _BLEND_MM[joint]))


def _distance(points: np.ndarray, chain: np.ndarray) -> np.ndarray:
    """Return the distance (N,) of points to a chain (K, 3) of bones."""
    nearest = np.full(len(points), np.inf)
    for start, end in zip(chain, chain[1:], strict=False):
        bone = end - start
        share = np.clip((points - start) @ bone / (bone @ bone), 0, 1)
        nearest = np.minimum(
            nearest, np.linalg.norm(points - start - share[:, None] * bone, axis=1)
        )
    return nearest


def _joint_regressor(model: HandModel) -> np.ndarray:
    """Return weights (21, V_0) that give the joints of bent hands of all shapes."""
    rng = np.random.default_rng(0)
    hands = [model.rest()]
    for _ in range(_FIT_POSES):
        shape = model.sample_shape(rng)
        hands.append(model.pose(shape, sample_pose(model, rng)))
    vertices = np.stack([hand.template_vertices for hand in hands])
    joints = np.stack([hand.joints for hand in hands])
    regressor = np.zeros((21, len(model.template_index)))
    for joint in range(21):
        near = _nearest(vertices[0], joints[0, joint], np.full(vertices.shape[1], True), 90)
        regressor[joint, near] = _mean_weights(vertices[:, near], joints[:, joint])
    return regressor
