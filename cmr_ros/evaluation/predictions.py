"""Predictions in files, in the form that FreiHAND's server takes: `[joints, vertices]`, metres.

Both are lists with an entry per picture, (21, 3) and (778, 3), in the order of the data set.  The
server's joints are in this package's order and its vertices are MANO's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.evaluation.datasets.files import points
from cmr_ros.evaluation.datasets.freihand import MANO_VERTICES
from cmr_ros.evaluation.sample import Answer, Sample
from cmr_ros.files.output import write_bytes
from cmr_ros.files.untrusted import read_json

_DIGITS = 6
_REMEDY = (
    "expected JSON of the form [joints, vertices], metres, an entry per image in the order of the "
    "data set"
)


def write_submission(path: Path, answers: Sequence[Answer | None]) -> int:
    """Write FreiHAND's submission; return how many misses it fills with the mean of all answers.

    Raises InputError for a template that the server does not know.
    """
    found = [answer for answer in answers if answer is not None]
    if not found:
        raise InputError("no hand was found, so there is nothing to submit")
    count = 0 if found[0].vertices_m is None else len(found[0].vertices_m)
    if count != MANO_VERTICES:
        raise InputError(
            f"FreiHAND's server scores MANO's {MANO_VERTICES} vertices, this template has "
            f"{count}; "
            "`cmr import-checkpoint ... --mano MANO_RIGHT.pkl` makes a model that has them"
        )
    both = [
        [getattr(answer, name) if answer else None for answer in answers]
        for name in ("joints_m", "vertices_m")
    ]
    filled = []
    for rows in both:
        mean = np.mean([row for row in rows if row is not None], axis=0)
        filled.append([np.round(mean if r is None else r, _DIGITS).tolist() for r in rows])
    write_bytes(path, json.dumps(filled).encode())
    return len(answers) - len(found)


def read_predictions(path: Path, samples: Sequence[Sample]) -> list[Answer]:
    """Return the answers in a file to the samples, their 2D joints by projection.

    The list of vertices may be empty, for methods without meshes.
    """
    content = read_json(path, _REMEDY, max_memory=1 << 30)
    try:
        joints, vertices = content
        if len(joints) != len(samples) or len(vertices) not in (0, len(samples)):
            raise ValueError(f"{len(joints)} predictions for {len(samples)} images")
        meshes = [points(mesh) for mesh in vertices] or [None] * len(samples)
        return [
            _answer(points(hand, len(sample.joints_m)), mesh, sample)
            for hand, mesh, sample in zip(joints, meshes, samples, strict=True)
        ]
    except (ValueError, TypeError, ArithmeticError) as error:
        raise InputError(f"{path}: {error}; {_REMEDY}") from None


def _answer(joints_m: np.ndarray, vertices_m: np.ndarray | None, sample: Sample) -> Answer:
    return Answer(
        joints_m=joints_m,
        joints_px=sample.camera.project(joints_m),
        confidence=np.ones(len(joints_m)),
        handedness=sample.handedness,
        was_told_side=True,
        vertices_m=vertices_m,
    )
