"""`cmr infer`: find the hands in a picture of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.files.calibration import read_calibration
from cmr_ros.files.output import write_bytes, write_ply
from cmr_ros.files.pictures import read_picture, write_picture
from cmr_ros.geometry.camera import Camera
from cmr_ros.geometry.skeleton import JOINT_NAMES
from cmr_ros.hand import Hand
from cmr_ros.pipeline import HandPipeline
from cmr_ros.viewing.drawing import outward_faces, overlay


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("picture", type=Path)
    camera = parser.add_mutually_exclusive_group(required=True)
    camera.add_argument(
        "--camera-info",
        type=Path,
        metavar="FILE",
        help="calibration: camera_calibration, a dump of camera_info, OpenCV, Kalibr, RealSense, K",
    )
    camera.add_argument(
        "--hfov",
        type=float,
        metavar="DEG",
        help="horizontal field of view, if not calibrated; depth is only as good as this number",
    )
    parser.add_argument(
        "--rectified", action="store_true", help="the image is rectified: use P instead of K and D"
    )
    parser.add_argument("--model", type=Path, help="model folder (default: the package's own)")
    parser.add_argument("--max-hands", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, metavar="PNG", help="draw the hands there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write joints and figures there")
    parser.add_argument("--ply", type=Path, metavar="DIR", help="write a mesh per hand there")


def run(args) -> None:
    """Print a line per hand and write what was asked for."""
    for output in filter(None, (args.output, args.json)):
        if output.resolve() == args.picture.resolve():
            raise InputError(f"{output}: is the image itself; name another file to write")
    picture = read_picture(args.picture)
    height, width = picture.shape[:2]
    if args.camera_info:
        camera = read_calibration(args.camera_info, (width, height), args.rectified)
    else:
        camera = Camera.from_fov(width, height, args.hfov)
    pipeline = HandPipeline(args.model, max_hands=args.max_hands)
    hands = pipeline.search(picture, camera)

    print(_table(hands) if hands else "no hand found")
    if args.output:
        write_picture(args.output, overlay(picture, hands, pipeline.template, camera))
    if args.json:
        entries = {"hands": [_entry(hand) for hand in hands]}
        write_bytes(args.json, json.dumps(entries, indent=1).encode())
    if args.ply:
        for hand in hands:
            faces = outward_faces(pipeline.template, hand)
            write_ply(args.ply / f"hand_{hand.track_id}.ply", hand.vertices_m, faces)


def _sigma_mm(hand: Hand) -> np.ndarray:
    return 1000 * np.sqrt(np.diag(hand.root_covariance_m2))


def _table(hands: list[Hand]) -> str:
    lines = ["hand     score   wrist x, y, z [m]          +- [mm]         rms [px]  registration"]
    for hand in hands:
        xyz = " ".join(f"{value:7.3f}" for value in hand.joints_m[0])
        sigma = " ".join(f"{value:4.0f}" for value in _sigma_mm(hand))
        lines.append(
            f"{hand.handedness.name.lower():8s} {hand.score:5.2f}  {xyz}    {sigma}"
            f"   {hand.rms_px:8.1f}  {hand.registration}"
        )
    return "\n".join(lines)


def _entry(hand: Hand) -> dict:
    """Return a hand for JSON: metres in the camera's optical frame, pixels of the picture."""
    return {
        "handedness": hand.handedness.name.lower(),
        "score": hand.score,
        "joint_names": list(JOINT_NAMES),
        "joints_m": hand.joints_m.tolist(),
        "joints_px": hand.joints_px.tolist(),
        "joint_confidence": hand.joint_confidence.tolist(),
        "root_covariance_m2": hand.root_covariance_m2.tolist(),
        "rms_px": hand.rms_px,
        "registration": hand.registration,
    }
