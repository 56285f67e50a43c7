"""What the registration is to assume of a network's meshes, measured on held-out renders.

One half of the pictures is measured, the other half checks the result.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.geometry.covariance import RADIUS_90, inside_90
from cmr_ros.hand import Cues
from cmr_ros.model import weights
from cmr_ros.model.card import ModelCard
from cmr_ros.model.cues import read_cues
from cmr_ros.model.inference import HandNetwork, load_network
from cmr_ros.registration import HandSize, Noise, RootEstimate, hand_length_m, register
from cmr_ros.registration.pose import pose_variances
from cmr_ros.synthesis.shards import Shards

_BATCH = 20
_FEWEST = 100
#: Registration divides by deviations; one that cannot be told from none is taken for this.
_LEAST_SD = 1e-5
_UNKNOWN = HandSize(deviation=np.inf)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", type=Path, help="exact (default), lite, or a model folder")
    parser.add_argument(
        "--renders", type=Path, required=True, metavar="DIR",
        help="set of `cmr synth render` that the model was not trained on",
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=1000, help="images (default: 1000)")
    parser.add_argument("--write", action="store_true", help="write the noise to the model's card")


def run(args: Namespace) -> None:
    """Measure, print, and write to the card if asked to."""
    folder = weights.hand_network(args.model)
    network = load_network(folder)
    views = look(network, Shards(args.renders), args.count)
    half = len(views.cues) // 2
    noise, rest = measure_noise(views[:half]), views[half:]
    known = [HandSize.measured(length) for length in rest.lengths_m]
    report = {
        "card so far": check(rest, Noise(**network.card.noise)),
        "measured": check(rest, noise),
        "as adults'": check(rest, noise, [HandSize()] * len(rest.cues)),
        "lengths known": check(rest, noise, known),
    }
    entries = {name: float(f"{value:.4g}") for name, value in asdict(noise).items()}
    print(f"noise measured on {half} images: {entries}")
    for name, row in report.items():
        print(f"{name:14s}" + "  ".join(f"{key} {value:.4g}" for key, value in row.items()))
    if args.write:
        path = Path(folder) / "model.json"
        card = ModelCard.load(path)
        measured = card.measured | {"registration": report["measured"]}
        replace(card, noise=entries, measured=measured).save(path)


@dataclass(frozen=True, eq=False)
class Views:
    """A network's predictions for B rendered hands, and the truth."""

    vertices_m: np.ndarray  # (B, V, 3) root-relative
    joints_m: np.ndarray  # (B, 21, 3) root-relative
    cues: Sequence[Cues]
    matrices: np.ndarray  # (B, 3, 3) of the crops' cameras
    true_joints_m: np.ndarray  # (B, 21, 3), the first are the wrists
    lengths_m: np.ndarray  # (B,) true lengths as `HandSize` defines them
    size_px: int  # side of the crops

    @property
    def roots_m(self) -> np.ndarray:
        """The true wrists (B, 3)."""
        return self.true_joints_m[:, 0]

    def __getitem__(self, part: slice) -> Views:
        arrays = ("vertices_m", "joints_m", "cues", "matrices", "true_joints_m", "lengths_m")
        return replace(self, **{name: getattr(self, name)[part] for name in arrays})


def look(network: HandNetwork, shards: Shards, count: int) -> Views:
    """Show a network the first pictures of a set; InputError if they are too few to measure."""
    count = min(count, len(shards))
    if count < _FEWEST:
        raise InputError(f"{count} images: at least {_FEWEST} are needed to measure the noise")
    vertices, cues, samples = [], [], []
    for first in range(0, count, _BATCH):
        batch = [shards[index] for index in range(first, min(first + _BATCH, count))]
        prediction = network(np.stack([sample.picture for sample in batch]))
        vertices.append(prediction.vertices_m)
        cues += read_cues(prediction, network.input_size, network.card.joint_cue)
        samples += [(s.matrix, s.joints, hand_length_m(s.joints)) for s in batch]
    meshes = np.concatenate(vertices)
    truth = map(np.array, zip(*samples, strict=True))
    return Views(meshes, network.template.joints(meshes), cues, *truth, network.input_size)


def measure_noise(views: Views) -> Noise:
    """Return the noise with which depths are right on average, and errors as large as seen.

    Deviations are those that explain the 90th percentiles, not the variances: a few meshes that
    are all wrong would make all others uncertain.  Raises InputError if most cannot be placed.
    """
    plain = replace(Noise(), length_log_sd=0.0, root_m=0.0)
    answers = _place(views, plain, [_UNKNOWN] * len(views.cues))
    found = np.array([isinstance(answer, RootEstimate) for answer in answers])
    placed = [answer for answer in answers if isinstance(answer, RootEstimate)]
    if len(placed) <= len(answers) / 2:
        raise InputError(
            f"{len(placed)} of {len(answers)} hands can be placed: train the model further, or "
            "give renders of hands such as it was trained on"
        )
    fitted_m = np.array([answer.translation_m for answer in placed])
    covariance_m2 = np.array([answer.covariance_m2 for answer in placed])
    roots_m = views.roots_m[found]
    depth_m = roots_m[:, 2:]
    growth = np.log(depth_m / fitted_m[:, 2:])[:, 0]
    across_m = np.linalg.norm((roots_m / depth_m - fitted_m / fitted_m[:, 2:])[:, :2], axis=1)
    across_m *= depth_m[:, 0]
    across_fit_m2 = np.median(covariance_m2[:, [0, 1], [0, 1]])
    fit = np.median(covariance_m2[:, 2, 2] / fitted_m[:, 2] ** 2)
    # The network sees shape and pose but not size: what is left of growth beside the true length.
    stands_for = np.log(views.lengths_m[found]) - growth
    scale_log_sd = _beyond(np.abs(stands_for - np.median(stands_for)), 1, fit)
    bone_across_m, bone_along_m = _bone_deviations(views)
    return replace(
        plain,
        bone_across_m=bone_across_m,
        bone_along_m=bone_along_m,
        length_log_sd=_beyond(np.abs(growth - np.median(growth)), 1, fit + scale_log_sd**2),
        length_log_mean=-float(np.log(np.exp(-growth).mean())),
        length_m=float(np.exp(stands_for).mean()),
        scale_log_sd=scale_log_sd,
        root_m=_beyond(across_m, 2, across_fit_m2),
    )


def _bone_deviations(views: Views) -> tuple[float, float]:
    """Return the deviation of a confident bone's end, across the line of sight and along it."""
    predicted_m = views.joints_m - views.joints_m[:, :1]
    true_m = views.true_joints_m - views.true_joints_m[:, :1]
    # At the size that fits best: what is unknown of the size is counted elsewhere.
    scales = (predicted_m * true_m).sum((1, 2)) / (predicted_m**2).sum((1, 2))
    errors_m = (scales[:, None, None] * predicted_m - true_m)[:, 1:]
    deviations = np.sqrt(pose_variances(np.array([cue.confidence for cue in views.cues])))[:, 1:]
    across_m = np.linalg.norm(errors_m[..., :2], axis=-1) / deviations
    return _beyond(across_m, 2, 0.0), _beyond(np.abs(errors_m[..., 2]) / deviations, 1, 0.0)


def _beyond(distances: np.ndarray, dimensions: int, variance: float) -> float:
    """Return the deviation, above 0, that explains distances besides a variance that is known."""
    deviation = np.percentile(distances, 90) / RADIUS_90[dimensions - 1]
    return float(np.sqrt(max(deviation**2 - variance, _LEAST_SD**2)))


def check(views: Views, noise: Noise, sizes: Sequence[HandSize] | None = None) -> dict:
    """Return failures, root errors, the relative bias of depth, and the 90 % ellipsoids' share."""
    answers = _place(views, noise, sizes)
    pairs = [
        (
            answer.translation_m - true_m[0],
            answer.covariance_m2,
            true_m[0, 2],
            answer.translation_m + answer.scale * (joints_m - joints_m[0]) - true_m,
            answer.joint_covariances_m2,
        )
        for answer, joints_m, true_m in zip(
            answers, views.joints_m, views.true_joints_m, strict=True
        )
        if isinstance(answer, RootEstimate)
    ]
    error_m, covariance_m2, depth_m, joint_error_m, joint_covariance_m2 = map(
        np.array, zip(*pairs, strict=True)
    )
    length_mm = 1e3 * np.linalg.norm(error_m, axis=1)
    return {
        "pictures": len(answers),
        "failures": len(answers) - len(pairs),
        "root_mean_mm": float(length_mm.mean()),
        "root_median_mm": float(np.median(length_mm)),
        "root_p90_mm": float(np.percentile(length_mm, 90)),
        "depth_bias": float((error_m[:, 2] / depth_m).mean()),
        "coverage_90": float(inside_90(error_m, covariance_m2).mean()),
        "joint_coverage_90": float(inside_90(joint_error_m, joint_covariance_m2).mean()),
    }


def _place(views: Views, noise: Noise, sizes: Sequence[HandSize] | None) -> list:
    answers = []
    for first in range(0, len(views.cues), _BATCH):
        part = slice(first, first + _BATCH)
        answers += register(
            views.vertices_m[part], views.joints_m[part], views.cues[part], views.matrices[part],
            views.size_px, noise=noise, sizes=None if sizes is None else sizes[part],
        )  # fmt: skip
    return answers
