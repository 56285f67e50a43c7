"""`cmr demo`: play a recording through the running node and show what it finds."""

from __future__ import annotations

import os
from pathlib import Path

from cmr_ros.errors import InputError
from cmr_ros.files import playback
from cmr_ros.model import weights
from cmr_ros.viewing.viewer import RerunViewer

#: Both hands; a person at 0.5, 1.5 and 3 m, an object in the hand, grey images.
_RECORDINGS = ("demo.mcap", "demo_conditions.mcap")
HEADING = (
    "second  hands missed  extra  depth m  error mm  of depth  latency ms  p90 ms  dropped\n"
    "                             median    median    median      median"
)


#: Playing that takes longer than the recording by this factor is said to be slow.
_SLOW = 1.1


def add_arguments(parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--recording", type=Path, help="MCAP to play (default: the package's own two)"
    )
    parser.add_argument("--stereo", action="store_true", help="play a recording of two cameras")
    parser.add_argument("--model", type=Path, help="exact (default), lite, or a model folder")
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
        from cmr_ros.demo.output import MESHES, RECORDING, SHEET, VIDEO, write_all
        from cmr_ros.demo.play import Demo
    except ModuleNotFoundError as error:
        raise InputError(
            f"the demo needs the Python package {error.name!r}: `make demo` in this package's "
            "folder brings it"
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
        recordings = [args.recording] if args.recording else map(weights.find, _RECORDINGS)
        camera, frames = playback.read_all(list(recordings))
    show = args.viewer == "rerun" or args.save is not None
    model = ["-p", f"model:={weights.hand_network(args.model).resolve()}"] if args.model else []
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

    for line in write_all(args.output, demo.sent, demo.faces, demo.recorded_ns):
        print(line)
    rate_hz = (len(frames) - 1) * 1e9 / max(frames[-1].stamp_ns - frames[0].stamp_ns, 1)
    if demo.pace > _SLOW:
        print(
            f"This machine, which also plays and listens, keeps up with {rate_hz / demo.pace:.0f} "
            f"of {rate_hz:.0f} images a second: the recording was played that slowly."
        )
    if not total.hands:
        print("No hand was found.")
        return 1
    print(
        f"{total.sent - total.dropped} of {total.sent} images answered, {total.hands} hands; "
        f"medians: {total.error_mm:.0f} mm from the truth in camera space, "
        f"{100 * total.error_share:.0f} % of the distance; {total.latency_ms:.0f} ms from image "
        f"to hands, {total.latency_ms * rate_hz / 1000:.1f} of the time between two images"
    )
    print(
        f"Look at {args.output / VIDEO} and {args.output / SHEET}; "
        f"Foxglove and Rerun open {args.output / RECORDING}, any 3D viewer {args.output / MESHES}."
    )
    return 0


def _row(label: str, s: playback.Summary) -> str:
    return (
        f"{label:>6} {s.hands:6d} {s.missed:6d} {s.extra:6d} {s.depth_m:8.3f} {s.error_mm:9.1f} "
        f"{100 * s.error_share:7.1f} % {s.latency_ms:11.1f} {s.latency_p90_ms:7.1f} {s.dropped:8d}"
    )
