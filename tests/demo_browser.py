"""Helpers to test the demo in a browser: a server, and headless Chromium."""

import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress

import numpy as np
from PIL import Image, ImageColor

CHROMIUM = shutil.which("chromium")
COMMAND = [sys.executable, "-m", "semcom", "app"]
TIMEOUT_MS = 90_000  # the demo imports torch, which is slow on a loaded machine


@contextmanager
def demo(folder):
    """Serve the demo while the context lasts and give its address; caches and temporary files go to `folder`."""
    for name in ("cache", "temporary"):
        (folder / name).mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"SEMCOM_CACHE": str(folder / "cache"), "TMPDIR": str(folder / "temporary")}
    command = [*COMMAND, "--no-browser", "--port", str(port)]
    with (
        (folder / "server.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True) as server,
    ):
        try:
            address = f"http://localhost:{port}"
            _wait_until_healthy(address, server, folder / "server.log")
            yield address
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)  # stops `semcom app` and its server without waiting for requests


def _wait_until_healthy(address, server, log):
    end = time.monotonic() + TIMEOUT_MS / 1000
    while time.monotonic() < end and server.poll() is None:
        if is_healthy(address, 2):
            return
        time.sleep(0.2)
    raise AssertionError(f"the demo does not respond; exit status {server.poll()}: {log.read_text()[-2000:]}")


def is_healthy(address, timeout_s=30):
    """Whether the server responds."""
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=timeout_s):
            return True
    except OSError:
        return False


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


def open_page(browser, address, width=1280, height=900, theme="light", prepare=None):
    """Open a page in a new session and wait until it is idle; a page that does not come is closed again.

    `prepare` is called with the empty page.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
    try:
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        if prepare is not None:
            prepare(page)
        page.goto(address)
        wait_until_loaded(page)
    except BaseException:
        context.close()
        raise
    return page


def wait_until_loaded(page):
    """Wait until a page that has just been opened is complete."""
    page.wait_for_function(
        "document.querySelector('.semcom-stage figure, .st-key-scenario_text, [data-testid=stVegaLiteChart],"
        " [data-testid=stAlertContentError], [data-testid=stException]')"
    )
    wait_until_idle(page)
    errors = page.locator('[data-testid="stAlertContentError"]').all_inner_texts()
    assert not errors, errors


def wait_until_idle(page):
    """Wait until the script has run and all images are loaded; check that no exception is shown."""
    page.wait_for_function(
        """document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        && [...document.images].every(image => image.complete && image.naturalWidth)"""
    )
    assert page.locator('[data-testid="stException"]').count() == 0


@contextmanager
def new_image(page, index):
    """Context with an action that changes an image of the page; it ends when the new image is there.

    The state of the script does not show it: the browser may draw the end of a short run without its beginning.
    """
    before = image_addresses(page)[index]
    yield
    page.wait_for_function(
        "([index, before]) => document.images[index] && document.images[index].src !== before", arg=[index, before]
    )
    wait_until_idle(page)


def choose(page, label, option):
    """Select the option of a select box whose label begins with `option`."""
    from playwright.sync_api import Error

    entry = page.get_by_role("option", name=option).first
    for _ in range(TIMEOUT_MS // 10_000):
        page.get_by_role("combobox", name=label).click()
        try:
            entry.click(timeout=10_000)
            break
        except Error:  # a script run that ended at this moment has closed the list
            continue
    else:
        raise AssertionError(f"select box {label!r} has no option {option!r}")
    wait_until_idle(page)


def slider(page, label="Actual SNR"):
    """A slider of the component that shows the images."""
    return page.get_by_role("slider", name=label, exact=True)


def release(page, label, value):
    """Set a slider at once, as a drag that ends there, and wait for the exact images."""
    slider(page, label).evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input'));"
        " input.dispatchEvent(new Event('change')); }",
        str(value),
    )
    wait_until_exact(page)


def wait_until_exact(page):
    """Wait until the images are those of the sliders."""
    page.wait_for_function("!document.querySelector('.semcom-stage .status').textContent")
    wait_until_idle(page)


def drag(page, label, value):
    """Move a slider without releasing it."""
    slider(page, label).evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", str(value)
    )


def follows(page, label, value):
    """Drag a slider without releasing it until the last image is that of another SNR, from one of the first frames.

    The status states the SNR of the frame, if it is not that of the slider.
    """
    frames_are_ready(page, r"The images follow the slider|: ([3-9]|\d\d) of")
    page.wait_for_function(
        "([label, value]) => { const input = document.querySelector(`input[aria-label='${label}']`);"
        " const images = document.querySelectorAll('.semcom-stage img'), last = images[images.length - 1];"
        " window.firstSnr ??= last.dataset.snr; input.value = value; input.dispatchEvent(new Event('input'));"
        " return last.dataset.snr !== window.firstSnr; }",
        arg=[label, str(value)],
    )
    shown = page.locator(".semcom-stage img").last.get_attribute("data-snr")
    expected = "" if shown == str(value) else f"Images at {shown} dB, the nearest computed SNR"
    assert page.locator(".semcom-stage .status").inner_text() == expected


def switch(page, text):
    """Press a toggle; its state shows when the page has run."""
    page.locator('[data-testid="stCheckbox"]').filter(has_text=text).locator("label").first.click()


def settled_screenshot(page):
    """Screenshot of a page whose layout has come to rest: equal to the one before it, but for the progress."""
    before = None
    for _ in range(50):
        now = page.screenshot(animations="disabled", style=".st-key-progress { visibility: hidden; }")
        if now == before:
            return page.screenshot(
                animations="disabled", style='[data-testid="stStatusWidget"] { visibility: hidden; }'
            )
        before = now
    raise AssertionError("the page does not come to rest")


def frames_are_ready(page, pattern="The images follow the slider"):
    """Wait until all frames of the slider are computed, or the progress matches; after all, the page runs no more.

    A slow machine may take long for all, but not for the next ones.
    """
    progress = page.locator(".st-key-progress")
    while not re.search(pattern, before := progress.inner_text()):
        page.wait_for_function("before => document.querySelector('.st-key-progress')?.innerText !== before", arg=before)
    wait_until_idle(page)


def download(page, label):
    """Content of the file of a download button."""
    with page.expect_download() as event:
        page.get_by_role("button", name=label, exact=True).click()
    with open(event.value.path(), "rb") as file:
        return file.read()


def move(page, label, key):
    """Press a key on a slider and wait until an image has changed."""
    before = image_addresses(page)
    slider(page, label).press(key)
    page.wait_for_function(
        "before => { const now = [...document.images].map(image => image.src);"
        " return now.length == before.length && now.join() != before.join()"
        " && !document.querySelector('.semcom-stage .status').textContent"
        " && [...document.images].every(image => image.complete && image.naturalWidth); }",
        arg=before,
    )


def check_tab_stops(page, label):
    """Check that the fifth press of the Tab key on a page just opened reaches the slider with this label."""
    wanted, stops = page.get_by_role("slider", name=label), []
    while len(stops) < 5:
        page.keyboard.press("Tab")
        stop = page.evaluate("document.activeElement.outerHTML.slice(0, 80)")
        if wanted.evaluate("element => element === document.activeElement"):
            return
        # Streamlit shows a button that stops the script while it runs.
        if page.evaluate("!document.activeElement.closest('[data-testid=stStatusWidget]')"):
            stops.append(stop)
    raise AssertionError(stops)


def serious_findings(page):
    """Serious findings of the accessibility scan axe-core."""
    from axe_playwright_python.sync_playwright import Axe

    # The list of pages in the closed sidebar is Streamlit's own, with elements between list and items.
    context = {"exclude": ['[data-testid="stSidebarNav"]']}
    # Browsers make wide tables reachable with the Tab key themselves; the rule asks for an attribute.
    options = {"resultTypes": ["violations"], "rules": {"scrollable-region-focusable": {"enabled": False}}}
    found = Axe().run(page, context, options).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")]


def small_png(content, colors):
    """Reduce a screenshot to 256 colors for a small file, with `colors` among them: "#rrggbb" of marks and curves."""
    screenshot, palette = Image.open(io.BytesIO(content)).convert("RGB"), Image.new("P", (1, 1))
    exact = [channel for color in colors for channel in ImageColor.getrgb(color)]
    palette.putpalette(exact + screenshot.quantize(256 - len(colors), kmeans=3).getpalette())
    image = screenshot.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def image_addresses(page):
    """Addresses of the images of a page; each contains a hash of the image."""
    return page.evaluate("[...document.images].map(image => image.src)")


def pixels(page, index):
    """Pixels of an image of a page, as sent by the server."""
    for _ in range(TIMEOUT_MS // 500):
        try:  # a new connection: a reused one may be closed
            with urllib.request.urlopen(image_addresses(page)[index]) as answer:
                return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGB")).astype(int)
        except urllib.error.HTTPError:  # the script runs again and has not shown the image yet
            page.wait_for_timeout(500)
    raise AssertionError("the server has no such image")
