"""MediaPipe Hands on pictures from a pipe, in an environment of its own without this package.

Arguments: "photographs" or "video", 0 for the lite model or 1 for the full one, the most hands.
In: a line with height and width, then that many RGB bytes.  Out: a line of JSON with the hands, the
seconds that MediaPipe took, those of the processor, and the most memory of the process so far.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np


def main() -> None:
    """Answer pictures until there are no more."""
    import mediapipe  # the package has use for `peak_bytes` alone

    kind, complexity, most = sys.argv[1:]
    hands = mediapipe.solutions.hands.Hands(
        static_image_mode=kind == "photographs",
        model_complexity=int(complexity),
        max_num_hands=int(most),
    )
    while line := sys.stdin.buffer.readline():
        height, width = map(int, line.split())
        code = sys.stdin.buffer.read(3 * height * width)
        picture = np.frombuffer(code, np.uint8).reshape(height, width, 3)
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        seen = hands.process(picture)
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
        found = zip(
            seen.multi_hand_landmarks or (),
            seen.multi_hand_world_landmarks or (),
            seen.multi_handedness or (),
            strict=True,
        )
        answer = {
            "hands": [
                {
                    "landmarks": [[point.x, point.y] for point in landmarks.landmark],
                    "world_m": [[point.x, point.y, point.z] for point in world.landmark],
                    "label": side.classification[0].label,
                    "score": side.classification[0].score,
                }
                for landmarks, world, side in found
            ],
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "peak_bytes": peak_bytes(),
        }
        print(json.dumps(answer), flush=True)


def peak_bytes() -> int:
    """Return the most memory that this process has had at once, of what it shares, too."""
    # getrusage would count what the process was before it became this program.
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


if __name__ == "__main__":
    main()
