"""`cmr demo`: play a recording through the running node and show what it finds."""

from __future__ import annotations

import os
from pathlib import Path

from cmr_ros.errors import InputError
from cmr_ros.files import playback
from cmr_ros.model import weights
from cmr_ros.viewing.viewer import RerunViewer

HEADING = (
    "second  hands missed  extra  depth m  error mm  latency  p90 ms  dropped\n"
    "                               median    median  median ms"
)


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--recording", type=Path, help="MCAP to play (default: the package's own)")
    parser.add_argument("--stereo", action="store_true", help="play a recording of two cameras")
    parser.add_argument("--model", type=Path, help="model folder (default: the package's own)")
    parser.add_argument("-o", "--output", type=Path, default=Path("demo_out"), metavar="DIR")
    parser.add_argument(
        "--viewer",
        default=os.environ.get("VIEWER") or "none",
        help="rerun: show the hands live (default: the environment's VIEWER, or none)",
    )
    parser.add_argument(
        "--save", type=Path, metavar="RRD", help="write what Rerun would show, open no window"
    )


def run(args) -> int:
    """Print a line per second and a summary; 1 when no hand was found."""
    if args.viewer not in ("none", "rerun"):
        raise InputError(f"viewer {args.viewer!r}: there is only rerun")
    try:
        from cmr_ros.demo.bag import check_bag
        from cmr_ros.demo.output import RECORDING, write_all
        from cmr_ros.demo.play import Demo
    except ModuleNotFoundError as error:
        raise InputError(
            f"the demo needs the Python package {error.name!r}: source ROS 2 or "
            "pip install 'cmr_ros[ros,demo]'"
        ) from error

    bag = args.output / RECORDING
    check_bag(bag)
    if args.recording and bag.resolve() in args.recording.resolve().parents:
        raise InputError(f"{args.recording}: would be replaced; name another --output")
    if args.stereo:
        cameras, *_, frames = playback.read_stereo(
            args.recording or weights.find("demo_stereo.mcap")
        )
        camera = cameras[0]
    else:
        camera, frames = playback.read(args.recording or weights.find("demo.mcap"))
    show = args.viewer == "rerun" or args.save is not None
    model = ["-p", f"model:={args.model.resolve()}"] if args.model else []
    print(f"Starting the node; {len(frames)} images of {camera.width}x{camera.height} follow.")
    print(HEADING)
    with Demo(args.output / "node.log", model, args.stereo) as demo:
        if show:
            viewer = RerunViewer(demo.faces, args.save)

            def show_hands(index: int, hands: list[playback.FoundHand]) -> None:
                frame = frames[index]
                viewer.show(frame.picture(), frame.stamp_ns, camera, hands, frame.truth)

            demo.on_hands = show_hands
        for second, answers in enumerate(demo.play(frames), start=1):
            print(_row(f"{second}", playback.summarise(answers)), flush=True)
    total = playback.summarise(demo.answers)
    print(_row("all", total))

    for path in write_all(args.output, demo.sent, demo.faces):
        print(f"wrote {path}")
    if not total.hands:
        print("No hand was found.")
        return 1
    print(
        f"{total.sent - total.dropped} of {total.sent} images answered, {total.hands} hands; "
        f"medians: {total.error_mm:.0f} mm from the truth in camera space, "
        f"{total.latency_ms:.0f} ms from image to hands"
    )
    return 0


def _row(label: str, s: playback.Summary) -> str:
    return (
        f"{label:>6} {s.hands:6d} {s.missed:6d} {s.extra:6d} {s.depth_m:8.3f} {s.error_mm:9.1f} "
        f"{s.latency_ms:8.1f} {s.latency_p90_ms:8.1f} {s.dropped:8d}"
    )
