"""A real browser without a window, for tests of the page."""

import shutil
import time
from contextlib import contextmanager

import pytest

#: Drawing in software on a busy machine is slow.
PATIENCE_S = 60.0
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: A machine without a GPU draws WebGL in software; what Chromium looks up at home is cut off.
_SWITCHES = (
    "--no-sandbox --use-angle=swiftshader --enable-unsafe-swiftshader --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()


@contextmanager
def browser():
    """Yield a running Chromium; skip the test where none is installed."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip("no Chromium is installed (apt install chromium)")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=_SWITCHES)
        try:
            yield chromium
        finally:
            chromium.close()


def wait_until(page, expression: str):
    """Wait until a JavaScript expression is true in the page, and return its value."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = page.evaluate(expression)
        if value:
            return value
        page.wait_for_timeout(50)
    raise AssertionError(f"waited {PATIENCE_S:g} s in vain for {expression}")
