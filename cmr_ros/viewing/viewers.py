"""The viewers that show images and hands while they come, by name."""

from __future__ import annotations

from importlib.util import find_spec

from cmr_ros.errors import InputError
from cmr_ros.geometry.camera import Camera
from cmr_ros.viewing.shown import ShownImage, Viewer
from cmr_ros.viewing.viewer import RerunViewer

WEB, RERUN, FOXGLOVE = VIEWERS = ("web", "rerun", "foxglove")
#: Nothing but the size of the image in space depends on it, where the camera is not known.
_ANY_HFOV_DEG = 60.0


def installed_viewer() -> str:
    """Return Rerun if it is installed, else the page in the browser."""
    return RERUN if find_spec("rerun") else WEB


def open_viewer(
    kind: str, host: str = "127.0.0.1", port: int | None = None, note: str = ""
) -> Viewer:
    """Return a viewer that is ready.

    Args:
        kind: one of VIEWERS.
        host: address to serve on; 0.0.0.0 for all of the machine's.
        port: to serve on, by default the viewer's usual one; 0: any.
        note: a line about what is shown.

    Raises:
        InputError: the viewer is unknown or not installed, or its port is taken.
    """
    if kind == WEB:
        from cmr_ros.viewing.page import PORT, Page

        return Page(host, PORT if port is None else port, note)
    if kind == FOXGLOVE:
        from cmr_ros.viewing.foxglove_server import PORT, FoxgloveServer

        return FoxgloveServer(host, PORT if port is None else port)
    if kind == RERUN:
        return _RerunWindow()
    raise InputError(f"viewer {kind!r}: there are {', '.join(VIEWERS)}")


class _RerunWindow:
    """The Rerun viewer, opened with the first image."""

    invitation = "The Rerun viewer opens with the first image."
    is_watched = True

    def __init__(self):
        if find_spec("rerun") is None:
            raise InputError("the Rerun viewer is not installed: pip install rerun-sdk")
        self._viewer: RerunViewer | None = None

    def show(self, image: ShownImage) -> None:
        if self._viewer is None:
            self._viewer = RerunViewer(image.faces)
        height, width = image.picture.shape[:2]
        camera = image.camera or Camera.from_fov(width, height, _ANY_HFOV_DEG)
        self._viewer.show(image.picture, image.stamp_ns, camera, image.hands, is_drawn=True)

    def close(self) -> None:
        if self._viewer is not None:
            self._viewer.__exit__()
