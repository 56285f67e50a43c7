#!/usr/bin/env python3
"""Feeds damaged files and random messages to all that reads strangers' data, until time is up.

Each target runs in a process of its own, driven by hypothesis.  A finding is anything but an answer
or an InputError: another exception, a crash, a hang.  Hypothesis prints the smallest input that
fails; what a process died of lies in the folder.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import itertools
import json
import multiprocessing
import pickle
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from cmr_ros.errors import InputError
from cmr_ros.files import mcap
from cmr_ros.files.calibration import read_calibration
from cmr_ros.files.exif import horizontal_fov_deg
from cmr_ros.files.matlab import read_matlab
from cmr_ros.files.pickles import read_pickle
from cmr_ros.files.pictures import read_picture
from cmr_ros.files.untrusted import read_json
from cmr_ros.geometry.crop import CropCamera, Region, picture_edges
from cmr_ros.model import weights
from cmr_ros.model.card import ModelCard
from cmr_ros.model.template import HandTemplate

ROOT = Path(__file__).parents[1]
_ROUND = 200
_HANG_S = 20
_MEMORY_BYTES = 4 << 30

#: What a target gives: inputs, and what is done with one of them.
Target = tuple[st.SearchStrategy, Callable]


def edits_of(pieces: st.SearchStrategy) -> st.SearchStrategy:
    """Return edits, each a kind, a place as a share of the file's length, and some bytes."""
    kinds = st.sampled_from(["put", "insert", "delete", "repeat", "cut"])
    return st.lists(st.tuples(kinds, st.floats(0, 1), pieces), max_size=6)


EDITS = edits_of(
    st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 8, b"\0" * 8]))
)
_WORDS = b"- : [ ] { } , 0 -1 1e999 nan null '' \" & * ! # true 9999999999".split()
TEXTS = edits_of(st.sampled_from([*_WORDS, b"\n", b"\n  "]))


def edited(data: bytes, edits: Sequence[tuple[str, float, bytes]]) -> bytes:
    """Return the data with edits made one after the other."""
    for kind, place, piece in edits:
        at = round(place * len(data))
        before, after = data[:at], data[at:]
        data = {
            "put": before + piece + after[len(piece) :],
            "insert": before + piece + after,
            "delete": before + after[len(piece) :],
            "repeat": before + after[: 16 * len(piece)] + after,
            "cut": before,
        }[kind]
    return data


def of_files(
    read: Callable[[Path], object], make: Callable[[], list[bytes]], edits=EDITS
) -> Callable[[Path], Target]:
    """Return what makes the target of a reader of files, from what makes good ones."""

    def target(folder: Path) -> Target:
        path = folder / "input"

        def test(content):
            path.write_bytes(content)
            answered(lambda: read(path))

        return st.builds(edited, st.sampled_from(make()), edits), test

    return target


def answered(work: Callable) -> None:
    """Do it; an InputError is an answer, if it is one line."""
    try:
        work()
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000, str(error)


def pictures() -> list[bytes]:
    """Return a picture in each format."""
    picture = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    codes = [cv2.imencode(ending, picture)[1].tobytes() for ending in (".jpg", ".png", ".webp")]
    deep = picture[..., 0].astype(np.uint16) * 200
    return codes + [cv2.imencode(ending, deep)[1].tobytes() for ending in (".png", ".tiff")]


def photographs() -> list[bytes]:
    """Return a JPEG that says its focal length."""
    from PIL import Image

    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 28
    file = io.BytesIO()
    Image.new("RGB", (32, 24)).save(file, "JPEG", exif=exif)
    return [file.getvalue()]


def calibrations() -> list[bytes]:
    """Return calibrations in the formats that people have."""
    from files.test_calibration import CALIBRATION, TOPIC_DUMP

    k = [[600.0, 0, 320], [0, 600.0, 240], [0, 0, 1]]
    kalibr = {
        "cam0": {"intrinsics": [600, 600, 320, 240], "resolution": [640, 480],
                 "distortion_model": "radtan", "distortion_coeffs": [0.1, 0, 0, 0]}
    }  # fmt: skip
    texts = [CALIBRATION, TOPIC_DUMP, json.dumps(k), json.dumps(kalibr)]
    return [text.encode() for text in texts]


def pickles() -> list[bytes]:
    """Return pickles of arrays, in all protocols."""
    content = {
        "f": np.arange(6).reshape(2, 3),
        "v": np.eye(3),
        "text": "hand",
        "nested": [{"a": 1}],
    }
    return [pickle.dumps(content, protocol) for protocol in range(6)]


def matrices() -> list[bytes]:
    """Return MATLAB files, plain and compressed."""
    from scipy.io import savemat

    files = []
    for compressed in (False, True):
        file = io.BytesIO()
        savemat(file, {"handPara": np.ones((3, 21, 2))}, do_compression=compressed)
        files.append(file.getvalue())
    return files


def recordings() -> list[bytes]:
    """Return a short recording."""
    from support.recordings import write_recording

    with tempfile.TemporaryDirectory() as folder:
        grey = [np.full((24, 32, 3), 90, np.uint8)] * 3
        hand = np.arange(63.0).reshape(21, 3)
        return [write_recording(Path(folder) / "bag", grey, [[hand]] * 3, 30).read_bytes()]


def own(name: str) -> list[bytes]:
    """Return a file of the package's own model."""
    return [weights.find(f"{weights.HAND_NETWORK}/{name}").read_bytes()]


def camera_infos(folder: Path) -> Target:
    """Return the target of camera_info: what is accepted must be a camera that works."""
    from sensor_msgs.msg import CameraInfo, RegionOfInterest

    from cmr_ros.ros.messages import to_camera

    numbers = st.one_of(st.floats(), st.floats(-2000, 2000), st.sampled_from([0.0, 1.0, 600.0]))
    sizes = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([480, 640]))
    models = ["plumb_bob", "rational_polynomial", "equidistant", "fisheye", "none", "", "x"]
    info = st.builds(
        CameraInfo,
        width=sizes,
        height=sizes,
        k=st.one_of(
            st.lists(numbers, min_size=9, max_size=9),
            st.builds(
                lambda fx, fy, cx, cy: [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
                numbers, numbers, numbers, numbers,
            ),
        ),
        d=st.one_of(st.lists(numbers, max_size=15), st.lists(st.floats(-1, 1), max_size=14)),
        distortion_model=st.sampled_from(models),
        p=st.lists(numbers, min_size=12, max_size=12),
        binning_x=sizes,
        binning_y=sizes,
        roi=st.builds(RegionOfInterest, x_offset=sizes, y_offset=sizes, width=sizes, height=sizes),
    )  # fmt: skip

    def use(info, rectified):
        camera = to_camera(info, rectified)
        region = Region(((camera.width - 1) / 2, (camera.height - 1) / 2), camera.height / 2)
        crop = CropCamera.looking_at(camera, region, 64)
        assert np.isfinite(crop.matrix).all() and np.isfinite(picture_edges([crop])).all()
        if camera.width * camera.height < 1 << 22:
            crop.cut(np.zeros((camera.height, camera.width, 3), np.uint8))

    return st.tuples(info, st.booleans()), lambda values: answered(lambda: use(*values))


def images(folder: Path) -> Target:
    """Return the target of raw images and depth images."""
    from sensor_msgs.msg import Image

    from cmr_ros.ros import pictures

    known = [*pictures._ENCODINGS, *pictures._DEPTH_ENCODINGS]
    sizes = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))
    image = st.builds(
        Image,
        encoding=st.one_of(st.sampled_from(known), st.text(max_size=12)),
        height=sizes,
        width=sizes,
        step=sizes,
        is_bigendian=st.integers(0, 1),
        data=st.binary(max_size=6000),
    )

    def test(message):
        answered(lambda: pictures.to_rgb(message))
        answered(lambda: pictures.to_depth(message))

    return image, test


def compressed_images(folder: Path) -> Target:
    """Return the target of compressed images and compressed depth images."""
    from sensor_msgs.msg import CompressedImage

    from cmr_ros.ros.pictures import decompress, to_depth

    known = ["jpeg", "png", "bgr8; jpeg compressed bgr8", "16UC1; png", "bayer_rggb8; jpeg"]
    known += ["16UC1; compressedDepth png", "32FC1; compressedDepth"]
    image = st.builds(
        CompressedImage,
        format=st.one_of(st.sampled_from(known), st.text(max_size=30)),
        data=st.builds(edited, st.sampled_from(pictures()), EDITS),
    )

    def test(message):
        answered(lambda: decompress(message))
        message.data = bytes(12) + bytes(message.data)  # as compressedDepth writes it
        answered(lambda: to_depth(message))

    return image, test


#: What makes each target in its process, given a folder for files.
TARGETS: dict[str, Callable[[Path], Target]] = {
    "image message": images,
    "compressed image message": compressed_images,
    "camera_info message": camera_infos,
    "calibration": of_files(lambda path: read_calibration(path, (640, 480)), calibrations, TEXTS),
    "picture": of_files(read_picture, pictures),
    "EXIF": of_files(lambda path: horizontal_fov_deg(path, 32, 24), photographs),
    "model card": of_files(ModelCard.load, lambda: own("model.json"), TEXTS),
    "template": of_files(HandTemplate.load, lambda: own("template.npz")),
    "JSON": of_files(lambda path: read_json(path, "r"), lambda: [b'[[1, {"a": 2e3}]]'], TEXTS),
    "pickle": of_files(read_pickle, pickles),
    "MATLAB file": of_files(lambda path: read_matlab(path, ["handPara"], "r"), matrices),
    "recording": of_files(lambda path: list(mcap.messages(path, "r")), recordings),
}


def fuzz(name: str, start: int, seconds: float, folder: Path, tried, most: int = 10**9) -> None:
    """Try inputs for so long, or so many; raises what was found.

    tried: a shared number that counts them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    strategy, test = TARGETS[name](folder)
    end_s = time.monotonic() + seconds

    def counted(value):
        tried.value += 1
        faulthandler.dump_traceback_later(_HANG_S, exit=True)
        try:
            test(value)
        finally:
            faulthandler.cancel_dump_traceback_later()

    options = settings(
        max_examples=min(_ROUND, most),
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    for number in itertools.count(start):
        if time.monotonic() > end_s or tried.value >= most:
            return
        options(seed(number)(given(strategy)(counted)))()


def _limited(*args) -> None:
    sys.path.append(str(ROOT / "test"))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    fuzz(*args)


def main() -> int:
    """Fuzz all targets in turn, print a table, and return 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"by default all of: {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=600, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=Path(tempfile.mkdtemp(prefix="fuzz")))
    args = parser.parse_args()
    args.output.mkdir(exist_ok=True)
    names = args.targets or list(TARGETS)
    context = multiprocessing.get_context("spawn")
    found = 0
    print(f"{'target':26s}{'inputs':>10s}  found")
    for name in names:
        tried = context.Value("q", 0)
        folder = args.output / name.replace(" ", "_")
        work = (name, args.seed, args.seconds / len(names), folder, tried)
        process = context.Process(target=_limited, args=work)
        process.start()
        process.join()
        found += process.exitcode != 0
        what = "nothing" if process.exitcode == 0 else f"exit code {process.exitcode}, see {folder}"
        print(f"{name:26s}{tried.value:10d}  {what}", flush=True)
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
