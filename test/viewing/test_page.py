"""The page's server, spoken to as browsers and as others do."""

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed")
import aiohttp

from cmr_ros.errors import InputError
from cmr_ros.geometry.skeleton import Handedness
from cmr_ros.viewing import page as page_module
from cmr_ros.viewing.page import Page
from cmr_ros.viewing.shown import ShownImage
from support.made_up_hands import hand

FACES = np.array([[0, 1, 2], [2, 1, 3], [99, 3, 1]], np.int32)
PICTURE = np.full((48, 64, 3), (200, 30, 60), np.uint8)
WAIT_S = 60


@pytest.fixture
def page():
    with Page(port=0, note="a note") as page:
        yield page


def shown(picture=PICTURE, hands=()) -> ShownImage:
    return ShownImage(picture, hands, FACES, stamp_ns=0)


def speak(page, talk):
    """Run `talk(session)` against the page."""

    async def main():
        async with aiohttp.ClientSession(page.url) as session:
            return await asyncio.wait_for(talk(session), WAIT_S)

    return asyncio.run(main())


async def viewers_are(page, count):
    """Wait until so many are connected."""
    while page.viewers != count:
        await asyncio.sleep(0.01)


def connected(session, page, **options):
    headers = {"Origin": page.url.rstrip("/")}
    return session.ws_connect("/stream", headers=headers, **options)


def unpack(data: bytes):
    length = struct.unpack_from("<I", data)[0]
    head = json.loads(data[4 : 4 + length])
    start = 4 + length
    end = start + head["jpeg"]
    return head, data[start:end], data[end + -end % 4 :]


def test_a_viewer_gets_the_faces_and_then_an_image_with_its_hands(page):
    hands = [hand(3), hand(5, Handedness.LEFT, depth_m=0.9)]

    async def talk(session):
        async with connected(session, page) as viewer:
            await viewer.send_str("next")
            page.show(shown(hands=hands))
            return [unpack((await viewer.receive()).data) for _ in range(2)]

    (about, _, corners), (head, jpeg, vertices) = speak(page, talk)
    assert (about["faces"], head["note"]) == (3, "a note")
    np.testing.assert_array_equal(np.frombuffer(corners, "<u4").reshape(-1, 3), FACES)
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture.shape == PICTURE.shape and np.abs(picture.astype(int) - PICTURE).max() < 12
    meshes = np.frombuffer(vertices, "<f4").reshape(2, -1, 3)
    np.testing.assert_allclose(meshes, [one.vertices_m for one in hands], rtol=1e-6)
    assert head["size"] == [64, 48]
    first, second = head["hands"]
    assert (first["id"], first["side"], first["score"]) == (3, "right", 0.875)
    assert (second["id"], second["side"], second["depth_m"]) == (5, "left", 0.9)
    assert first["sigma_m"] == pytest.approx(np.sqrt(9e-5), abs=1e-4)
    assert first["color"] != second["color"]


def test_large_images_are_scaled_down(page):
    async def talk(session):
        async with connected(session, page) as viewer:
            await viewer.send_str("next")
            page.show(shown(np.zeros((1080, 1920, 3), np.uint8)))
            await viewer.receive()
            return unpack((await viewer.receive()).data)

    head, jpeg, _ = speak(page, talk)
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert head["size"] == [1920, 1080] and picture.shape == (720, 1280, 3)


@contextlib.contextmanager
def stalled_viewer(page):
    """Connect as a viewer that asks for images and reads nothing."""
    host, port = page.url.split("/")[2].split(":")
    request = (
        f"GET /stream HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: http://{host}:{port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    next_ = b"\x81\x84\0\0\0\0next"  # a masked text frame
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect((host, int(port)))
        stalled.sendall(request.encode() + 2 * next_)
        yield


def test_a_viewer_that_stalls_holds_nobody_up(page):
    """One asks and never reads, one never asks; a third gets the newest image each time."""
    noise = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)

    async def talk(session):
        with stalled_viewer(page):
            async with connected(session, page), connected(session, page) as viewer:
                await viewers_are(page, 3)
                page.show(shown())
                await viewer.send_str("next")
                for _ in range(2):
                    await viewer.receive()
                numbers = []
                for number in range(8):
                    for track_id in (100 * number, 100 * number + 1):
                        page.show(shown(noise, [hand(track_id)]))
                    await asyncio.sleep(0.02)
                    await viewer.send_str("next")
                    numbers.append(unpack((await viewer.receive()).data)[0]["hands"][0]["id"])
                assert page.viewers == 3
                return numbers

    assert speak(page, talk) == [100 * number + 1 for number in range(8)]


def test_the_end_does_not_wait_for_a_viewer_that_stalls():
    page = Page(port=0)
    with stalled_viewer(page):
        end = time.monotonic() + WAIT_S
        while not page.is_watched and time.monotonic() < end:
            time.sleep(0.01)
        assert page.is_watched
        closing = threading.Thread(target=page.close, daemon=True)
        closing.start()
        closing.join(8)  # less than the 10 s of aiohttp
        assert not closing.is_alive()


def test_viewers_come_and_go(page):
    async def talk(session):
        for _ in range(3):
            async with connected(session, page):
                await viewers_are(page, 1)
            await viewers_are(page, 0)

    speak(page, talk)


def test_a_taken_port_is_one_clear_error(page):
    port = int(page.url.rsplit(":")[-1].strip("/"))
    with pytest.raises(InputError, match=f"127.0.0.1:{port}.*in use; name another"):
        Page(port=port)


def test_only_the_page_itself_may_look(page):
    """Browsers let any page connect to any server, and any name point at this machine."""
    own = page.url.rstrip("/")
    cases = [
        ("/", {}, 200),
        ("/", {"Host": "evil.example"}, 403),
        ("/", {"Host": "evil.example:8080"}, 403),
        ("/", {"Host": "localhost:8080"}, 200),
        ("/", {"Host": "[::1]:8080"}, 200),
        ("/stream", {"Origin": "http://evil.example"}, 403),
        ("/stream", {"Origin": "null"}, 403),
        ("/stream", {"Origin": own.replace("http", "https")}, 403),
        ("/stream", {}, 403),
        ("/stream", {"Origin": own}, 400),  # no WebSocket
    ]

    async def talk(session):
        return [(await session.get(path, headers=headers)).status for path, headers, _ in cases]

    assert speak(page, talk) == [status for *_, status in cases]


@pytest.mark.parametrize(
    "path",
    [
        "/../page.py",
        "/../../errors.py",
        "/..%2fpage.py",
        "/%2e%2e/page.py",
        "/three/../../page.py",
        "//etc/passwd",
        "/three/",
        "/index.html/..",
        "/style.css%00.html",
    ],
)
def test_nothing_but_the_pages_files_is_served(page, path):
    host, port = page.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), WAIT_S) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    status = answer.split(b" ", 2)[1]
    assert status in (b"404", b"400"), answer[:200]


def test_the_page_is_told_to_load_nothing_from_elsewhere(page):
    async def talk(session):
        async with session.get("/") as answer:
            return dict(answer.headers), await answer.text()

    headers, text = speak(page, talk)
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    "send, code",
    [
        (lambda viewer: viewer.send_str("x" * 1000), aiohttp.WSCloseCode.MESSAGE_TOO_BIG),
        (lambda viewer: viewer.send_bytes(b"\0" * 100_000), aiohttp.WSCloseCode.MESSAGE_TOO_BIG),
        (lambda viewer: viewer.send_str("more"), aiohttp.WSCloseCode.POLICY_VIOLATION),
        (lambda viewer: viewer.send_bytes(b"next"), aiohttp.WSCloseCode.POLICY_VIOLATION),
    ],
)
def test_a_viewer_that_says_something_else_is_shown_out(page, send, code):
    async def talk(session):
        async with connected(session, page) as viewer:
            await send(viewer)
            await viewer.receive()
            return viewer.close_code

    assert speak(page, talk) == code
    end = time.monotonic() + WAIT_S
    while page.viewers and time.monotonic() < end:
        time.sleep(0.01)
    assert page.viewers == 0


def test_asking_a_thousand_times_gives_three_images(page):
    async def talk(session):
        async with connected(session, page, autoping=False) as viewer:
            for _ in range(1000):
                await viewer.send_str("next")
            await viewer.ping()  # the answer comes when all that was asked has been read
            assert (await viewer.receive()).type is aiohttp.WSMsgType.PONG
            for _ in range(10):
                page.show(shown())
                await asyncio.sleep(0.02)
            received = [await viewer.receive() for _ in range(2)]
            with pytest.raises(asyncio.TimeoutError):
                while True:
                    received.append(await viewer.receive(timeout=0.5))
            return len(received)

    # The faces; and at most what is being answered, and two more.
    assert 2 <= speak(page, talk) <= 1 + 3


def test_there_is_room_for_so_many_viewers(page, monkeypatch):
    monkeypatch.setattr(page_module, "_MAX_VIEWERS", 2)

    async def talk(session):
        async with connected(session, page), connected(session, page):
            await viewers_are(page, 2)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await connected(session, page)
            return refused.value.status

    assert speak(page, talk) == 503
