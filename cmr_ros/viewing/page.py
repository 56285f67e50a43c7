"""A page in the browser that shows images and hands while they come, served with aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cmr_ros.errors import InputError
from cmr_ros.viewing import packets
from cmr_ros.viewing.shown import ShownImage

if TYPE_CHECKING:
    from aiohttp import web

HOST, PORT = "127.0.0.1", 8080
_FILES = Path(__file__).parent / "web"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
#: Addresses that mean all of the machine's.
_ALL = ("0.0.0.0", "::")
#: More would compete with the pipeline for the processor.
_MAX_VIEWERS = 8
#: What a viewer may ask for ahead: the next image travels while the last is drawn.
_MAX_ASKED = 2
#: The page sends nothing but this word, when it is ready for another image.
_NEXT = "next"
#: A viewer that does not answer for so long is gone.
_HEARTBEAT_S = 10.0
#: How long viewers are waited for at the end.
_GOODBYE_S = 1.0
#: Images whose rate is shown, and what is a pause between them.
_RATE_IMAGES, _PAUSE_S = 30, 10.0


class Page:
    """Serves the page in a thread of its own; a context manager.

    Each viewer asks for an image when it is ready for one and gets the newest: one that is slow or
    stalled misses images and holds nobody up.
    """

    def __init__(self, host: str = HOST, port: int = PORT, note: str = ""):
        """Start to serve.

        Args:
            host: address to listen on; 0.0.0.0 for all.
            port: to listen on; 0 for any.
            note: shown beside the title.

        Raises:
            InputError: aiohttp is missing, or the port is taken.
        """
        try:
            from aiohttp import web
        except ModuleNotFoundError as error:
            raise InputError("the page needs aiohttp: pip install aiohttp") from error
        self._web = web
        self._note = note
        self._faces: np.ndarray | None = None
        self._newest = b"", b""  # faces, image
        self._count = 0
        self._times: deque[float] = deque(maxlen=_RATE_IMAGES)
        self._sockets: set[web.WebSocketResponse] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="page", daemon=True)
        self._thread.start()
        try:
            port = self._wait(self._start(host, port))
        except OSError as error:
            self._end()
            raise InputError(
                f"the page cannot be served on {host}:{port}: {error.strerror or error}; name "
                "another address or port, or end what uses it"
            ) from error
        name = socket.gethostname() if host in _ALL else f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{port}/"
        self.invitation = f"Open {self.url} in a browser."

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @property
    def viewers(self) -> int:
        """How many pages are open."""
        return len(self._sockets)

    @property
    def is_watched(self) -> bool:
        """Whether a page is open."""
        return self.viewers > 0

    def show(self, image: ShownImage) -> None:
        """Show an image and its hands to all viewers."""
        rate_hz = self._rate_hz(time.monotonic())
        if image.faces is not self._faces:
            self._faces, self._faces_packet = image.faces, packets.of_faces(image.faces)
        if self.is_watched:
            newest = self._faces_packet, packets.of_image(image, rate_hz, self._note)
            asyncio.run_coroutine_threadsafe(self._offer(newest), self._loop)

    def close(self) -> None:
        """Say goodbye to all viewers and stop serving."""
        self._wait(self._stop())
        self._end()

    def _rate_hz(self, now_s: float) -> float:
        if self._times and now_s - self._times[-1] > _PAUSE_S:
            self._times.clear()
        self._times.append(now_s)
        duration_s = self._times[-1] - self._times[0]
        return round((len(self._times) - 1) / duration_s, 1) if duration_s > 0 else 0.0

    def _wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self, host: str, port: int) -> int:
        web = self._web
        self._changed = asyncio.Condition()
        app = web.Application(middlewares=[self._guard()])
        # Each file has a route of its own, so that no path is ever looked up.
        for file in _FILES.rglob("*"):
            if file.suffix in _TYPES:
                name = file.relative_to(_FILES).as_posix().replace("index.html", "")
                app.router.add_get(f"/{name}", self._answer(file.read_bytes(), _TYPES[file.suffix]))
        app.router.add_get("/stream", self._serve_viewer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GOODBYE_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        return self._runner.addresses[0][1]

    async def _stop(self) -> None:
        await asyncio.gather(*(viewer.close(code=1001) for viewer in self._sockets))
        await self._runner.cleanup()

    def _guard(self):
        web = self._web

        @web.middleware
        async def guard(request: web.Request, handler):
            # Names of others that resolve to this machine would let their pages in.
            if not _is_own_name(request.host):
                raise web.HTTPForbidden(text="this page is served under the machine's own name")
            response = await handler(request)
            if not response.prepared:
                response.headers.update(_HEADERS)
            return response

        return guard

    def _answer(self, content: bytes, kind: str):
        async def answer(_: web.Request) -> web.Response:
            return self._web.Response(body=content, content_type=kind, charset="utf-8")

        return answer

    async def _serve_viewer(self, request: web.Request) -> web.WebSocketResponse:
        web = self._web
        # Browsers let every page open a WebSocket to every server, but say which page it is.
        if request.headers.get("Origin") != f"{request.scheme}://{request.host}":
            raise web.HTTPForbidden(text="only the page itself may open the stream")
        if len(self._sockets) >= _MAX_VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{_MAX_VIEWERS} viewers are here already")
        viewer = web.WebSocketResponse(
            timeout=_GOODBYE_S, heartbeat=_HEARTBEAT_S, max_msg_size=64, compress=False
        )
        self._sockets.add(viewer)
        try:
            await viewer.prepare(request)
            await self._talk(viewer)
        finally:
            self._sockets.discard(viewer)
        return viewer

    async def _talk(self, viewer: web.WebSocketResponse) -> None:
        asked: asyncio.Queue[None] = asyncio.Queue(_MAX_ASKED)
        feed = asyncio.ensure_future(self._feed(viewer, asked))
        try:
            async for message in viewer:
                if message.data != _NEXT:
                    await viewer.close(code=1008)
                elif not asked.full():
                    asked.put_nowait(None)
        finally:
            feed.cancel()

    async def _feed(self, viewer: web.WebSocketResponse, asked: asyncio.Queue[None]) -> None:
        """Send the newest image as often as the viewer asks."""
        seen, told = 0, b""
        with contextlib.suppress(ConnectionError):
            while True:
                await asked.get()
                async with self._changed:
                    while seen == self._count:
                        await self._changed.wait()
                    seen = self._count
                faces, image = self._newest
                if faces is not told:
                    await viewer.send_bytes(faces)
                    told = faces
                await viewer.send_bytes(image)

    async def _offer(self, newest: tuple[bytes, bytes]) -> None:
        async with self._changed:
            self._newest, self._count = newest, self._count + 1
            self._changed.notify_all()


def _is_own_name(host: str) -> bool:
    """Whether a request's Host is an address or a name of this machine's, with any port."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    machine = socket.gethostname()
    if name.lower() in ("localhost", machine.lower(), f"{machine}.local".lower()):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
