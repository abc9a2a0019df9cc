"""The demo in a real browser: a server, and Debian's headless Chromium."""

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import numpy as np
from PIL import Image

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 240_000  # for a loaded machine: the demo imports torch


@contextmanager
def demo(folder):
    """The address of a demo that is served while the context lasts; caches and temporary files go to a folder."""
    for name in ("cache", "temporary"):
        (folder / name).mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"SEMCOM_CACHE": str(folder / "cache"), "TMPDIR": str(folder / "temporary")}
    command = [sys.executable, "-m", "semcom", "app", "--no-browser", "--port", str(port)]
    with (
        (folder / "server.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True) as server,
    ):
        try:
            address = f"http://localhost:{port}"
            _wait_until_healthy(address, server)
            yield address
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # `semcom app` and its server, which would finish its sending first


def _wait_until_healthy(address, server):
    end = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the demo does not answer, status {server.poll()}")


@contextmanager
def chromium():
    """A headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def opened(browser, address, width=1280, height=900):
    """A page of a visitor of its own, when it has come to rest."""
    page = browser.new_context(viewport={"width": width, "height": height}).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    page.wait_for_selector("h1")
    rest(page)
    return page


def rest(page):
    """Wait until the script has run and its pictures are there; nothing may have gone wrong meanwhile."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth)")
    assert page.locator('[data-testid="stException"]').count() == 0


def choose(page, label, option):
    """Choose an option of a select box by the beginning of its words."""
    from playwright.sync_api import Error

    wanted = page.get_by_role("option", name=option).first
    for _ in range(PATIENCE_MS // 10_000):
        page.get_by_role("combobox", name=label).click()
        try:
            wanted.click(timeout=10_000)
            break
        except Error:  # a run that ended just then has closed the list
            continue
    else:
        raise AssertionError(f"no option {option} of {label}")
    rest(page)


def move(page, label, key):
    """Press a key on a slider and return when another picture has come."""
    before = sources(page)
    page.get_by_role("slider", name=label).press(key)
    page.wait_for_function(
        "before => { const now = [...document.images].map(image => image.src);"
        " return now.length == before.length && now.join() != before.join()"
        " && [...document.images].every(image => image.complete && image.naturalWidth); }",
        arg=before,
    )


def settle(page, reading, before):
    """Wait until a slider reads so, its pictures are there, and the last of them is another than before."""
    page.get_by_text(reading, exact=True).wait_for()
    page.wait_for_function("before => document.images[1].src != before[1]", arg=before)
    rest(page)
    page.wait_for_timeout(500)  # a run that is due has begun by now
    rest(page)


def small_png(content):
    """A screenshot in 256 colours, which a repository can hold; k-means keeps the rare ones, as those of curves."""
    image = Image.open(io.BytesIO(content)).convert("RGB").quantize(256, kmeans=3, dither=Image.Dither.FLOYDSTEINBERG)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def sources(page):
    """Addresses of the pictures of a page, which name their content."""
    return page.evaluate("[...document.images].map(image => image.src)")


def pixels(page, index):
    """The pixels of a picture of a page, as the server gives them."""
    with urllib.request.urlopen(sources(page)[index]) as answer:  # a connection of its own: no kept one that has closed
        return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGB")).astype(int)
