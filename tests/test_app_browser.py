"""The demo in a headless Chromium: a slider that moves, two visitors at once, and pictures for the README."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
pytest.importorskip("playwright", reason="drives the browser; of the dependency group dev")
import browsing

APPS = Path(__file__).parents[1] / "apps"
sys.path.insert(0, str(APPS))  # as Streamlit does

from semcom_demo import calls, parts  # noqa: E402

from semcom.images import to_bytes  # noqa: E402

pytestmark = pytest.mark.skipif(browsing.CHROMIUM is None, reason="no chromium: apt-get install chromium")
SCREENSHOTS = {
    "": "send", "compare": "compare", "hide_a_file": "hide", "street_scene": "street", "candidates": "candidates",
    "many_users": "users", "run_a_scenario": "run",
}  # fmt: skip
if not calls.systems(["multimodal_generation"]):
    del SCREENSHOTS["candidates"]
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def address(folder):
    with browsing.demo(folder) as served:
        yield served


@pytest.fixture(scope="module")
def browser():
    with browsing.chromium() as started:
        yield started


def expected(photo, system, snr_db):
    """The bytes of a received picture, made without any page."""
    delivery = calls.send_photo(parts.photographs(parts.PIXELS)[photo], calls.point_of(system, "awgn", snr_db))
    return to_bytes(delivery.reception.images[0]).astype(int)


def test_a_slider_gives_another_picture_and_no_error(browser, address):
    page = browsing.opened(browser, address)
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    browsing.choose(page, "System", "analog")
    sent, first = browsing.pixels(page, 0), browsing.pixels(page, 1)
    for _ in range(3):
        browsing.move(page, "SNR in dB", "ArrowLeft")
    browsing.rest(page)
    assert np.array_equal(browsing.pixels(page, 0), sent)
    worse = browsing.pixels(page, 1)
    assert np.square(worse - sent).mean() > np.square(first - sent).mean()
    assert np.abs(worse - expected("astronaut.png", "analog", 7.0)).max() <= 1
    assert page.locator('[data-testid="stAlert"]').count() == 0
    assert not complaints
    page.context.close()


def test_two_visitors_at_once_each_see_their_own(browser, address):
    """Their sliders move in turn, the second before the first one's picture is there."""
    ours, theirs = (browsing.opened(browser, address) for _ in range(2))
    browsing.choose(ours, "System", "analog")
    browsing.choose(theirs, "Photograph", "coffee")
    browsing.choose(theirs, "System", "deepjscc")
    before = [browsing.sources(page) for page in (ours, theirs)]
    for _ in range(3):
        ours.get_by_role("slider", name="SNR in dB").press("ArrowLeft")
        theirs.get_by_role("slider", name="SNR in dB").press("ArrowRight")
    for page, snr_db, pictures in ((ours, 7, before[0]), (theirs, 13, before[1])):
        browsing.settle(page, f"{snr_db} dB", pictures)
    assert np.abs(browsing.pixels(ours, 1) - expected("astronaut.png", "analog", 7.0)).max() <= 1
    assert np.abs(browsing.pixels(theirs, 1) - expected("coffee.png", "deepjscc", 13.0)).max() <= 1
    for page in (ours, theirs):
        page.context.close()


def test_uploads_are_judged_and_leave_no_trace(browser, address, folder, tmp_path):
    page = browsing.opened(browser, address)
    files = sorted(folder.rglob("*"))
    page.locator('input[type="file"]').set_input_files(
        {"name": "notes.png", "mimeType": "image/png", "buffer": b"Dear diary"}
    )
    page.get_by_text("notes.png is not a picture").wait_for()
    for name, size_bytes, refusal in (
        ("large.png", 40_000_000, "File must be 10.0MB or smaller."),
        ("drawing.svg", 100, "image/svg+xml files are not allowed."),
    ):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size_bytes)
        page.locator('input[type="file"]').set_input_files(tmp_path / name)
        reason = page.get_by_role("alert").filter(has_text=refusal)
        reason.wait_for()
        assert reason.bounding_box()["width"] > 100, "said where everybody reads it"
    pixels = parts.photographs(parts.PIXELS)["chelsea.png"].pixels[:, :40, :48]
    photo = {"name": "cat.png", "mimeType": "image/png", "buffer": parts.png(pixels)}
    page.locator('input[type="file"]').set_input_files(photo)
    page.get_by_text("sent, 48 x 40 pixels").wait_for()
    browsing.rest(page)
    assert sorted(folder.rglob("*")) == files, "digital fits a file to the upload, and nobody writes it down"
    page.context.close()


@pytest.mark.parametrize("path", SCREENSHOTS)
def test_screenshots_of_each_page_at_desktop_and_phone_width(browser, address, tmp_path, path):
    out = Path(os.environ.get("SEMCOM_SCREENSHOTS", tmp_path))
    page = browsing.opened(browser, f"{address}/{path}")
    if path == "run_a_scenario":
        page.get_by_role("button", name="Run", exact=True).click()
        page.wait_for_selector("img")
        browsing.rest(page)
    for device, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(500)  # the layout follows
        inside = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
        page.set_viewport_size({"width": width, "height": inside})
        page.wait_for_timeout(500)
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), "nothing to scroll sideways"
        assert page.locator('[data-testid="stException"], [data-testid="stAlertContentError"]').count() == 0
        file = out / f"app_{SCREENSHOTS[path]}_{device}.png"
        file.write_bytes(browsing.small_png(page.screenshot()))
        assert file.stat().st_size < 300_000
    page.context.close()
