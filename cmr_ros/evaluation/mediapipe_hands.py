"""MediaPipe Hands on pictures from a pipe, in an environment of its own without this package.

In: a line with height and width, then that many RGB bytes.  Out: a line of JSON, a list of hands.
"""

import json
import sys

import mediapipe
import numpy as np


def main() -> None:
    """Answer pictures until there are no more."""
    hands = mediapipe.solutions.hands.Hands(static_image_mode=True, max_num_hands=2)
    while line := sys.stdin.buffer.readline():
        height, width = map(int, line.split())
        code = sys.stdin.buffer.read(3 * height * width)
        seen = hands.process(np.frombuffer(code, np.uint8).reshape(height, width, 3))
        found = zip(
            seen.multi_hand_landmarks or (),
            seen.multi_hand_world_landmarks or (),
            seen.multi_handedness or (),
            strict=True,
        )
        answer = [
            {
                "landmarks": [[point.x, point.y] for point in landmarks.landmark],
                "world_m": [[point.x, point.y, point.z] for point in world.landmark],
                "label": side.classification[0].label,
                "score": side.classification[0].score,
            }
            for landmarks, world, side in found
        ]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
