"""`cmr live`: the command, its page and a real browser."""

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")

from cmr_ros import cli
from cmr_ros.model import weights
from cmr_ros.viewing.drawing import MESH_COLORS
from support.browser import PATIENCE_S, browser, wait_until
from support.shared import ROOT

SHOWN = "Number(document.body.dataset.shown ?? 0)"


@contextmanager
def playing(source, log):
    """Yield the page of a `cmr live` that plays a recording or video; it must not complain."""
    command = [sys.executable, "-m", "cmr_ros", "live", str(source), "--web", "--port", "0"]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, env=surroundings, text=True
        )
    try:
        said = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", said)
        assert found, said + log.read_text()
        yield found[0]
    finally:
        process.send_signal(2)
        assert process.wait(PATIENCE_S) == 0, log.read_text()
        assert log.read_text() == ""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The page of `cmr live` that plays the package's recording."""
    with playing(weights.find("demo.mcap"), tmp_path_factory.mktemp("live") / "live.log") as url:
        yield url


@pytest.fixture(scope="module")
def chromium():
    with browser() as chromium:
        yield chromium


@pytest.fixture
def opened(chromium):
    """Open pages; they must not complain of anything."""
    pages, complaints = [], []

    def open_page(url, width=800, height=600):
        page = chromium.new_page(viewport={"width": width, "height": height})
        page.on("console", lambda said: complaints.append(said.text) if is_bad(said) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: pages_requests.append(request.url))
        page.goto(url, timeout=1000 * PATIENCE_S)
        pages.append(page)
        return page

    def is_bad(said):
        return said.type in ("error", "warning") and "GPU stall due to ReadPixels" not in said.text

    pages_requests = []
    open_page.requests = pages_requests
    yield open_page
    for page in pages:
        page.close()
    assert complaints == []


def screenshot(locator) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(locator.screenshot(), np.uint8), cv2.IMREAD_COLOR_RGB)


def has_color_of_a_hand(picture) -> bool:
    """Whether a stretch of the picture has the hue of a mesh's colour."""
    hues = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    wanted = cv2.cvtColor(np.uint8([list(MESH_COLORS.values())]), cv2.COLOR_RGB2HSV)[0, 1:, 0]
    strong = hues[..., 0][(hues[..., 1] > 90) & (hues[..., 2] > 90)].astype(int)
    return any((np.abs(strong - int(hue)) < 6).sum() > 200 for hue in wanted)


def test_the_recording_plays_in_the_page(opened, url):
    page = opened(url)
    wait_until(page, f"{SHOWN} > 2 && document.querySelector('.card')")
    assert page.locator("#state").inner_text() == "live"
    assert float(page.locator("#rate").inner_text()) > 0
    assert page.locator("#size").inner_text() == "640 × 480"
    card = page.locator(".card").first
    assert re.search(r"(Left|Right) hand\s+#\d+\s+0\.\d{3} m ± \d+ mm", card.inner_text())
    image = screenshot(page.locator("#image"))
    assert image.std() > 30
    # The recording goes on meanwhile: now and then it shows no hand.
    wait_until_shown(page.locator("#scene"), has_color_of_a_hand)
    count = page.evaluate(SHOWN)
    wait_until(page, f"{SHOWN} > {count + 3}")
    later = screenshot(page.locator("#image"))
    # A second hand's card takes some of its height.
    assert later.shape != image.shape or (later != image).any(), "it stands still"
    assert all(request.startswith((url, "data:")) for request in opened.requests)


def test_the_mouse_turns_the_view_and_a_double_click_turns_it_back(opened, tmp_path):
    # Without hands, which the view follows, nothing else moves it.
    video = tmp_path / "empty.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 30, (320, 240))
    for _ in range(30):
        writer.write(np.full((240, 320, 3), 90, np.uint8))
    writer.release()
    with playing(video, tmp_path / "live.log") as url:
        page = opened(url)
        wait_until(page, f"{SHOWN} > 2")
        scene = page.locator("#scene")
        before = screenshot(scene)
        wait_until(page, f"{SHOWN} > {page.evaluate(SHOWN) + 3}")
        assert (screenshot(scene) == before).all(), "it moves by itself"
        box = scene.bounding_box()
        page.mouse.move(box["x"] + 100, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 220, box["y"] + 60, steps=4)
        page.mouse.up()
        wait_until_shown(scene, lambda picture: (picture != before).any(axis=2).mean() > 0.05)
        scene.dblclick(position={"x": 100, "y": 100})
        wait_until_shown(scene, lambda picture: (picture == before).all())


def wait_until_shown(scene, is_right):
    """Wait for a picture of the scene that is right: it is drawn some time after the event."""
    end = time.monotonic() + PATIENCE_S
    while not is_right(screenshot(scene)):
        assert time.monotonic() < end, "waited in vain for what the scene shows"
        scene.page.wait_for_timeout(50)


def test_several_pages_play_at_once_on_a_phone_too(opened, url):
    pages = [opened(url), opened(url, 390, 844)]
    for page in pages:
        wait_until(page, f"{SHOWN} > 2")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    counts = [page.evaluate(SHOWN) for page in pages]
    for page, count in zip(pages, counts, strict=True):
        wait_until(page, f"{SHOWN} > {count + 2}")


def test_a_taken_port_and_wrong_files_are_one_line(capsys, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        recording = str(weights.find("demo.mcap"))
        assert cli.main(["live", recording, "--web", "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert "in use; name another" in error and error.count("\n") == 1
    picture = tmp_path / "picture.png"
    picture.touch()
    assert cli.main(["live", str(picture)]) == 2
    assert "`cmr infer` takes pictures" in capsys.readouterr().err
    assert cli.main(["live", "--camera", "/dev/none"]) == 2
    assert "no camera" in capsys.readouterr().err
