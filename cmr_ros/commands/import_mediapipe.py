"""`cmr import-mediapipe`: convert MediaPipe's hand networks to ONNX."""

from __future__ import annotations

from pathlib import Path


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "source", type=Path, help="wheel of mediapipe 0.10.21, or the folder it was unpacked to"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")


def run(args) -> None:
    """Convert the palm detector and both landmark networks."""
    from cmr_ros.network.mediapipe import import_networks

    for path in import_networks(args.source, args.output):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
