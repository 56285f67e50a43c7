"""Measures a method over many pictures: in several processes, resumable, always the same numbers.

Pictures are taken in fixed parts, in processes with one thread each, however many there are; so
neither the number of processes nor an interruption shows in the results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cmr_ros.errors import InputError
from cmr_ros.evaluation.measure import Columns, Measurement, join, measure, stack
from cmr_ros.evaluation.methods import Finder, Method
from cmr_ros.evaluation.sample import Answer, Sample, nearest
from cmr_ros.files.output import write_bytes, write_npz
from cmr_ros.files.untrusted import read_json, read_npz
from cmr_ros.workers import Workers

#: Pictures in a part: what an interruption costs.
PART = 16
_find: Finder | None = None
#: What a process does with its part of the samples.
Work = Callable[[Finder, Sequence[Sample]], Any]


def measure_all(
    method: Method, samples: Sequence[Sample], jobs: int = 1, folder: Path | None = None
) -> Columns:
    """Return the measurements of all samples, in order.

    Args:
        method: what answers.
        samples: images and their truth.
        jobs: processes that work side by side.
        folder: where finished parts are kept and taken from.

    Raises:
        InputError: The folder holds the parts of another run.
    """
    parts = [samples[start : start + PART] for start in range(0, len(samples), PART)]
    done = {} if folder is None else _finished(folder, method, samples, len(parts))
    missing = [index for index in range(len(parts)) if index not in done]
    tasks = [(method, _measure_part, parts[index]) for index in missing]
    with (
        closing(Workers(jobs).map(_work, tasks)) as results,
        tqdm(total=len(samples), unit="image", desc=method.name) as progress,
    ):
        progress.update(sum(len(parts[index]) for index in done))
        for index, columns in zip(missing, results, strict=True):
            done[index] = columns
            if folder is not None:
                write_npz(folder / f"{index:05d}.npz", columns)
            progress.update(len(parts[index]))
    return join([done[index] for index in range(len(parts))])


def answer_all(method: Method, samples: Sequence[Sample], jobs: int = 1) -> list[Answer | None]:
    """Return the answer to each sample, None for misses."""
    parts = [samples[start : start + PART] for start in range(0, len(samples), PART)]
    answers: list[Answer | None] = []
    tasks = [(method, _answer_part, part) for part in parts]
    with (
        closing(Workers(jobs).map(_work, tasks)) as results,
        tqdm(total=len(samples), unit="image", desc=method.name) as progress,
    ):
        for part in results:
            answers += part
            progress.update(len(part))
    return answers


def _work(task: tuple[Method, Work, Sequence[Sample]]) -> Any:
    """Do one part; the method is started by the first one, so that its errors come through."""
    global _find
    method, work, part = task
    if _find is None:
        _find = method.start()
    return work(_find, part)


def _measure_part(find: Finder, part: Sequence[Sample]) -> Columns:
    return stack([measure(nearest(find(sample), sample), sample) for sample in part])


def _answer_part(find: Finder, part: Sequence[Sample]) -> list[Answer | None]:
    return [nearest(find(sample), sample) for sample in part]


def _finished(
    folder: Path, method: Method, samples: Sequence[Sample], count: int
) -> dict[int, Columns]:
    """Return the parts that a folder holds of this very run, which it is marked with."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample.fingerprint())
    marks = method.fingerprint() | {
        "samples": digest.hexdigest(),
        "measured": " ".join(field.name for field in fields(Measurement)),
    }
    mark = folder / "run.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if mark.exists() and read_json(mark, "name another folder") != marks:
            raise InputError(
                f"{folder}: holds the results of another data set, model or version; "
                "name another folder"
            )
        write_bytes(mark, (json.dumps(marks, indent=1) + "\n").encode())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: not a folder of results ({error})") from None
    parts = ((index, folder / f"{index:05d}.npz") for index in range(count))
    return {
        index: read_npz(path, "delete it to measure it again")
        for index, path in parts
        if path.exists()
    }
