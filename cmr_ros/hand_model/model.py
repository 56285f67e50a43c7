"""The parametric hand that training pictures show: shape, skeleton and skin.

Frame: origin at the wrist joint, x along the hand towards the middle finger's base, z out of the
back of the hand, y towards the thumb; a right hand, metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from cmr_ros.files.output import write_npz
from cmr_ros.files.untrusted import read_npz
from cmr_ros.geometry.skeleton import JOINT_PARENTS, TIPS
from cmr_ros.hand_model.mpfb import ANCESTRIES
from cmr_ros.registration import hand_length_m

#: Length from wrist to middle tip of the men and women that are rendered: mean and standard
#: deviation, metres.  Surveys have women 3 mm longer (`settings.POPULATIONS`), but the shipped
#: weights and what is known of their noise are about these.
MEN_LENGTH_M, WOMEN_LENGTH_M = (0.193, 0.010), (0.178, 0.009)
_CHILDREN = 0.06
#: Standard deviation of each trait that is drawn from a normal distribution.
_TRAITS = {
    "muscle": 0.4,
    "weight": 0.5,
    "finger_length": 0.25,
    "finger_diameter": 0.49,
    "finger_distance": 0.35,
}
#: From a finger's tip back to the middle of its end's flesh, as a share of its last bone.
_INTO_FLESH = 0.2


@dataclass(frozen=True, eq=False)
class PosedHand:
    """A hand in the model's frame."""

    vertices: np.ndarray  # (V, 3) with forearm, metres
    joints: np.ndarray  # (21, 3) metres
    template_vertices: np.ndarray  # (V_0, 3) metres


@dataclass(frozen=True, eq=False)
class HandModel:
    """The arrays of hand_model.npz."""

    #: (V, 3) of the mean hand with forearm, and the template's vertices that no face uses; metres
    vertices: np.ndarray
    faces: np.ndarray  # (F, 3), counter-clockwise from outside
    uvs: np.ndarray  # (F, 3, 2) of the corners in MPFB2's layout, v up
    hand_faces: np.ndarray  # (F,) bool, false on the forearm
    modes: np.ndarray  # (M, V, 3) displacement in metres per unit of each trait
    traits: np.ndarray  # (M,) their names: male, child, weight, finger_length, ...
    #: (V, 21); column j moves with the bone that ends in joint j, column 0 with the forearm
    skin_weights: np.ndarray
    pivots: np.ndarray  # (21, V) weights that give the joints of any shape at rest
    template_index: np.ndarray  # (V_0,) the template's vertices among `vertices`

    @classmethod
    def load(cls, path: Path | str) -> HandModel:
        """Read a hand_model.npz; InputError when it is missing, damaged or incomplete."""
        names = [field.name for field in fields(cls)]
        arrays = read_npz(path, "`cmr template build` makes a hand_model.npz", names)
        return cls(
            **{
                name: array.astype(np.float64) if array.dtype == np.float16 else array
                for name, array in arrays.items()
            }
        )

    def save(self, path: Path | str) -> None:
        """Write the model; displacements and skin weights in half precision."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("modes", "skin_weights"):
            arrays[name] = arrays[name].astype(np.float16)
        write_npz(path, arrays)

    def sample_shape(self, rng: np.random.Generator) -> np.ndarray:
        """Return a random person's shape (1 + M,): hand length in metres, then the traits."""
        male = rng.choice([-1.0, 1.0]) * min(abs(rng.normal(1, 0.3)), 1.2)
        drawn = {"male": male, "old": rng.random() if rng.random() < 0.3 else 0.0}
        drawn |= dict(zip(ANCESTRIES, rng.dirichlet([0.4] * 3) - 1 / 3, strict=True))
        drawn |= {trait: spread * rng.normal() for trait, spread in _TRAITS.items()}
        mean, spread = MEN_LENGTH_M if male > 0 else WOMEN_LENGTH_M
        length = mean + spread * np.clip(rng.normal(), -2.5, 2.5)
        if rng.random() < _CHILDREN:
            drawn["child"] = rng.uniform(0.2, 0.8)
            length *= 1 - 0.4 * drawn["child"]
        return np.array([length, *(drawn.get(str(trait), 0.0) for trait in self.traits)])

    def mean_shape(self) -> np.ndarray:
        """Return the shape (1 + M,) of the mean grown person."""
        length = (MEN_LENGTH_M[0] + WOMEN_LENGTH_M[0]) / 2
        return np.array([length, *np.zeros(len(self.traits))])

    @cached_property
    def mean_joints(self) -> np.ndarray:
        """The joints (21, 3) of the mean grown person at rest."""
        return self.rest().joints

    def rest(self, shape: np.ndarray | None = None) -> PosedHand:
        """Return the hand of a shape (default: the mean), unbent."""
        shape = self.mean_shape() if shape is None else shape
        vertices = self.vertices + np.tensordot(shape[1:], self.modes, axes=1)
        joints = self.pivots @ vertices
        scale = shape[0] / hand_length_m(joints)
        vertices, joints = scale * (vertices - joints[0]), scale * (joints - joints[0])
        return PosedHand(vertices, joints, vertices[self.template_index])

    def pose(self, shape: np.ndarray, rotations: np.ndarray) -> PosedHand:
        """Return the hand of a shape, bent by linear blend skinning.

        rotations: (21, 3, 3); entry j turns the bone that ends in joint j about the joint it starts
        from, in the axes of the hand at rest; entry 0 turns the forearm about the wrist.
        """
        rest = self.rest(shape)
        motions, joints = bone_motions(rest.joints, rotations)
        blended = np.tensordot(self.skin_weights, motions, 1)
        vertices = np.einsum("vab,vb->va", blended[..., :3], rest.vertices) + blended[..., 3]
        return PosedHand(vertices, joints, vertices[self.template_index])


#: The joint each bone starts from; the forearm's is the wrist too.
_STARTS: Sequence[int] = (0, *JOINT_PARENTS[1:])


def forward(joints: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bones' turns (..., 21, 3, 3) and the joints (..., 21, 3) of a bent hand.

    joints: (..., 21, 3) at rest.  rotations: (..., 21, 3, 3) as `HandModel.pose` takes them.
    """
    turns, moved = np.array(rotations), np.zeros((*rotations.shape[:-3], 21, 3))
    moved[..., 0, :] = joints[..., 0, :]
    for joint, parent in enumerate(JOINT_PARENTS[1:], start=1):
        if parent > 0:
            turns[..., joint, :, :] = turns[..., parent, :, :] @ rotations[..., joint, :, :]
        bone = joints[..., joint, :] - joints[..., parent, :]
        bent = (turns[..., joint, :, :] @ bone[..., None])[..., 0]
        moved[..., joint, :] = moved[..., parent, :] + bent
    return turns, moved


def bone_motions(joints: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bones' rigid motions (..., 21, 3, 4) and the joints (..., 21, 3) of a bent hand.

    joints: (21, 3) at rest.  rotations: (..., 21, 3, 3) as `HandModel.pose` takes them.
    """
    turns, moved = forward(joints, rotations)
    starts, moved_starts = (points[..., list(_STARTS), :] for points in (joints, moved))
    shifts = moved_starts - np.einsum("...jab,jb->...ja", turns, starts)
    return np.concatenate([turns, shifts[..., None]], -1), moved


def with_tips_inside(joints: np.ndarray) -> np.ndarray:
    """Return joints (..., 21, 3) with each tip, which lies on the skin, moved into the flesh."""
    joints, tips = np.array(joints), np.array(TIPS)
    joints[..., tips, :] += _INTO_FLESH * (joints[..., tips - 1, :] - joints[..., tips, :])
    return joints
