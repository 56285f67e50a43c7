"""One clock for tracks, whatever the stamps of the images do."""

from __future__ import annotations

#: What is taken to pass between two images whose stamps do not say.
_IMAGE_PERIOD_S = 1 / 30
#: Images farther apart than this show another scene: the camera paused, or a recording began
#: again.  USB drivers step back by milliseconds, clocks that are set right by some hundred.
_SAME_SCENE_S = 1.0


class ImageClock:
    """Turns the stamps of images into a time that never runs backwards."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._newest_s: float | None = None

    def advance(self, stamp_s: float | None) -> bool:
        """Take the next image's stamp; return whether the image goes on with the last scene.

        Images without stamps, and those whose stamp is not newer, are taken to come 30 times a
        second.
        """
        step_s = 0.0
        if stamp_s is not None and self._newest_s is not None:
            step_s = stamp_s - self._newest_s
        same_scene = abs(step_s) <= _SAME_SCENE_S
        if stamp_s is not None and (step_s > 0 or not same_scene or self._newest_s is None):
            self._newest_s = stamp_s
        self.now_s += step_s if 0 < step_s <= _SAME_SCENE_S else _IMAGE_PERIOD_S
        return same_scene
