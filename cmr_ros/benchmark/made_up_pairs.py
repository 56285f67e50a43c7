"""Made-up hands in two views, with the errors that the shipped network makes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from cmr_ros.benchmark.cases import SIZE_PX, Cases
from cmr_ros.benchmark.simulate import bend, draw_depth, draw_silhouette, project, random_rotation
from cmr_ros.geometry.stereo_matching import MatchedDepth, matching_scale
from cmr_ros.registration import HandSize, Noise, View, hand_length_m

#: Where the kinds of pairs are compared.
_BASELINE_M, _DISTANCE_M = 0.12, 0.6
#: All errors follow Student's t: now and then a network is quite wrong.
_FREEDOM = 3


@dataclass(frozen=True)
class _Errors:
    """Scales of what errs in all views alike (first number) and in each on its own (second)."""

    joint_m: tuple[float, float]  # of a joint seen, at the hand
    hand_m: tuple[float, float] = (0.0, 0.0)  # of all joints seen together
    turn_rad: tuple[float, float] = (0.0, 0.0)  # of the mesh about x and y, half that about z
    scale_log: tuple[float, float] = (0.0, 0.0)  # of the mesh's scale at its right length


#: The shipped network on 190 pairs at 0.6 m like those of `cmr synth manifest --baseline 0.12`.
_MEASURED = _Errors(
    (0.0019, 0.001), (0.0011, 0.0005), (np.radians(3.4), np.radians(1.7)), (0.028, 0.012)
)
#: What matching errs there near a joint, in pixels of disparity: everywhere alike (standard
#: deviation) and in each place on its own, and the share of pixels it leaves open.
_MATCHING_PX, _HOLES = (0.26, 0.33), 0.08
#: The same of a depth camera, metres at `_DISTANCE_M`; the second grows with the distance's square.
_DEPTH_CAMERA_M = 0.004, 0.002
#: Of the camera: 60 degrees across 640 pixels.
_FOCAL_PX = 554.0
#: Places on the hand that err on their own lie that far apart, in crop pixels.
_PLACE_PX = 19
_KINDS = {
    "errors as measured": _MEASURED,
    "half hidden in one view": _MEASURED,
    "another hand in one view": _MEASURED,
    "joints alone, not matched": _MEASURED,
    "independent joints, 2 px": _Errors((0.0, 0.0015), scale_log=(0.023, 0.0)),
}
STEREO_KINDS = tuple(_KINDS)
_HALF_HIDDEN, _ANOTHER_HAND, _UNMATCHED = 1, 2, (2, 3, 4)
#: What is assumed of the network: its card's entries that matter here.
NOISE = Noise(length_log_sd=0.08, length_m=0.1865, scale_log_sd=0.046, root_m=0.0039)
ADULT = HandSize()
_HAND_PX = 150.0  # the hand's extent in crops


@dataclass(frozen=True, eq=False)
class Pairs:
    """N hands in two views; roots and meshes are in each crop's own frame."""

    first: Cases
    second: Cases
    rotations: np.ndarray  # (N, 3, 3): second crop's frame = rotation @ first + translation
    translations_m: np.ndarray  # (N, 3)
    matched: tuple[MatchedDepth | None, ...]  # N depths by matching in the first crop
    depths_m: tuple[np.ndarray, ...]  # N depths by a depth camera there, (224, 224)
    lengths_m: tuple[float, ...]  # N true lengths

    def __len__(self) -> int:
        return len(self.first)

    def view(self, index: int) -> View:
        """Return the second view of a case."""
        return View(
            self.second.vertices_m[index],
            self.second.joints_m[index],
            self.second.cues(index),
            self.second.matrices[index],
            self.rotations[index],
            self.translations_m[index],
            self.matched[index],
        )


def simulate_pairs(
    like: Cases,
    count: int,
    seed: int,
    *,
    kind: int = 0,
    baseline_m: float = _BASELINE_M,
    distance_m: float = _DISTANCE_M,
) -> Pairs:
    """Return new pairs of views of the hands of `like`.

    Args:
        like: cases that have the hands.
        count: of pairs.
        seed: of all that is random.
        kind: index of `STEREO_KINDS`.
        baseline_m: between the cameras.
        distance_m: of the hands.
    """
    rng = np.random.default_rng([seed, kind])
    errors = _KINDS[STEREO_KINDS[kind]]
    rows = [_Scene(like, errors, baseline_m, distance_m, rng).pair(kind) for _ in range(count)]
    first, second, rotations, translations, *others = zip(*rows, strict=True)
    kinds = np.full(count, kind)
    return Pairs(
        *(
            replace(like, **_columns(view), kinds=kinds, published_m=None)
            for view in (first, second)
        ),
        np.array(rotations),
        np.array(translations),
        *others,
    )


def _columns(rows: tuple[dict, ...]) -> dict[str, np.ndarray]:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


class _Scene:
    """One hand before two cameras side by side; its frame is that of the first one's crop."""

    def __init__(
        self,
        like: Cases,
        errors: _Errors,
        baseline_m: float,
        distance_m: float,
        rng: np.random.Generator,
    ):
        self._like, self._errors, self._rng = like, errors, rng
        self._enter()
        angle = rng.uniform(0, 2 * np.pi)  # crops are rolled as the hand is
        self._baseline_m = baseline_m * np.array([np.cos(angle), np.sin(angle), 0])
        self._middle_m = np.array([0, 0, distance_m])

    def pair(self, kind: int) -> tuple:
        """Return what `Pairs` has of one pair, the views as fields of `Cases`."""
        rotation = _looking_at(self._middle_m - self._baseline_m, self._rng)
        first = self._view(np.eye(3), np.zeros(3))
        translation_m = -rotation @ self._baseline_m
        depth_m = draw_depth(self._shape_m + self._middle_m, first["matrices"], self._like.faces)
        matched = None if kind in _UNMATCHED else self._match(depth_m)
        measured_m = self._measure(depth_m)
        length_m = float(hand_length_m(self._like.joint_regressor @ self._shape_m))
        if kind == _ANOTHER_HAND:
            self._enter()
            self._middle_m = self._middle_m + self._aside()
        second = self._view(rotation, translation_m, half=kind == _HALF_HIDDEN)
        return first, second, rotation, translation_m, matched, measured_m, length_m

    def _enter(self) -> None:
        """Draw a true hand (V, 3), its middle at 0, and what networks take it for in any view."""
        like, rng, errors = self._like, self._rng, self._errors
        shape = like.vertices_m[rng.integers(len(like))] @ random_rotation(rng).T
        shape = shape - shape.mean(0)
        length = hand_length_m(like.joint_regressor @ shape)
        mesh = shape * NOISE.length_m / length + bend(shape, rng)
        scale = np.exp(errors.scale_log[0] * rng.standard_t(_FREEDOM))
        self._shape_m = (
            shape * ADULT.length_m * np.exp(ADULT.deviation * rng.standard_normal()) / length
        )
        self._mesh_m = scale * mesh @ self._turn(0).T
        self._joints_m = self._joint_errors(0)

    def _aside(self) -> np.ndarray:
        """Return how far another hand is, (3,) metres, whose crop is cut by mistake."""
        away = self._rng.uniform(0, 2 * np.pi)
        beside = np.array([np.cos(away), np.sin(away), self._rng.normal(0, 0.3)])
        return self._rng.uniform(0.1, 0.4) * beside

    def _turn(self, which: int) -> np.ndarray:
        """Return a rotation (3, 3) by which meshes err: in all views (0) or in one (1)."""
        deviations = self._errors.turn_rad[which] * np.array([1, 1, 0.5])
        return cv2.Rodrigues(deviations * self._rng.standard_t(_FREEDOM, 3))[0]

    def _joint_errors(self, which: int) -> np.ndarray:
        """Return errors (21, 3) in metres of joints seen: in all views (0) or in one (1)."""
        own = self._errors.joint_m[which] * self._rng.standard_t(_FREEDOM, (21, 3))
        return own + self._errors.hand_m[which] * self._rng.standard_t(_FREEDOM, 3)

    def _view(self, rotation: np.ndarray, translation_m: np.ndarray, half: bool = False) -> dict:
        """Return one view as the fields of `Cases`."""
        like, rng = self._like, self._rng
        truth = (self._shape_m + self._middle_m) @ rotation.T + translation_m
        joints = like.joint_regressor @ truth
        focal = _HAND_PX * truth[:, 2].mean() / np.ptp(truth[:, :2], axis=0).max()
        matrix = np.array([[focal, 0, 0], [0, focal, 0], [0, 0, 1.0]])
        matrix[:2, 2] = 111.5 - project(truth.mean(0), matrix) + rng.normal(0, 6, 2)
        errors = self._joints_m @ rotation.T + self._joint_errors(1)
        seen = project(joints, matrix) + focal / joints[:, 2:] * errors[:, :2]
        confidence = rng.uniform(0.5, 1, 21)
        silhouette = draw_silhouette(project(truth, matrix), like.faces).astype(bool)
        scale = np.exp(self._errors.scale_log[1] * rng.standard_t(_FREEDOM))
        mesh = scale * self._mesh_m @ (self._turn(1) @ rotation).T
        if half:
            self._hide(seen, confidence, silhouette)
        vertices = mesh - like.joint_regressor[0] @ mesh
        return {
            "vertices_m": vertices,
            "joints_m": like.joint_regressor @ vertices,
            "seen_px": seen,
            "confidence": confidence,
            "silhouettes": silhouette,
            "matrices": matrix,
            "roots_m": joints[0],
        }

    def _match(self, depth_m: np.ndarray) -> MatchedDepth | None:
        """Return true depths in the first crop (224, 224) with the errors of matching."""
        apart_m = float(np.linalg.norm(self._baseline_m))
        scale = matching_scale(_FOCAL_PX, float(self._middle_m[2]), apart_m)
        if scale is None:
            return None
        *_, step_m = scale
        alike_m, each_m = step_m * np.array(_MATCHING_PX)
        return MatchedDepth(self._with_errors(depth_m, alike_m, each_m), step_m)

    def _measure(self, depth_m: np.ndarray) -> np.ndarray:
        """Return true depths with the errors of a depth camera."""
        alike_m, each_m = _DEPTH_CAMERA_M
        return self._with_errors(depth_m, alike_m, each_m * (self._middle_m[2] / _DISTANCE_M) ** 2)

    def _with_errors(self, depth_m: np.ndarray, alike_m: float, each_m: float) -> np.ndarray:
        rng, places = self._rng, -(-SIZE_PX // _PLACE_PX)
        off_m = cv2.resize(each_m * rng.standard_t(_FREEDOM, (places, places)), (SIZE_PX, SIZE_PX))
        known = (depth_m > 0) & (rng.random(depth_m.shape) > _HOLES)
        return np.where(known, depth_m + off_m + alike_m * rng.standard_normal(), 0)

    def _hide(self, seen: np.ndarray, confidence: np.ndarray, silhouette: np.ndarray) -> None:
        """Cover one half of the hand: joints there are guessed, and known to be."""
        rng = self._rng
        angle = rng.uniform(0, 2 * np.pi)
        normal = np.array([np.cos(angle), np.sin(angle)])
        middle = seen.mean(0)
        hidden = (seen - middle) @ normal > 0
        seen[hidden] += rng.normal(0, 12, (hidden.sum(), 2))
        confidence[hidden] *= rng.uniform(0.1, 0.6, hidden.sum())
        grid = np.stack(np.meshgrid(np.arange(SIZE_PX), np.arange(SIZE_PX)), axis=-1)
        silhouette[(grid - middle) @ normal > 0] = False


def _looking_at(middle_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the rotation (3, 3) into the frame of a crop that looks at a point."""
    ahead = middle_m / np.linalg.norm(middle_m)
    down = np.cross(ahead, [1.0, 0, 0])
    down /= np.linalg.norm(down)
    roll, _ = cv2.Rodrigues(np.array([0, 0, rng.normal(0, 0.1)]))
    return roll @ np.stack([np.cross(down, ahead), down, ahead])
