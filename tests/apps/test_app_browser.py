"""The demo in headless Chromium: slider moves, two visitors at once, uploads, and screenshots for the README."""

import os
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
pytest.importorskip("playwright", reason="playwright is in the dependency group dev")
pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is in the dependency group dev")
import demo_browser

APPS = Path(__file__).parents[2] / "apps"
sys.path.insert(0, str(APPS))  # as Streamlit does

from semcom_demo import calls, photos, words  # noqa: E402

from semcom.images.files import to_bytes  # noqa: E402

pytestmark = pytest.mark.skipif(demo_browser.CHROMIUM is None, reason="chromium is missing: apt-get install chromium")
SCREENSHOTS = {
    "": "story", "send_a_photo": "send", "compare": "compare",
    "hide_a_file": "hide", "street_scene": "street", "candidates": "candidates",
    "many_users": "users", "budget": "budget", "recognition": "recognition", "run_a_scenario": "run",
}  # fmt: skip
if not calls.available_systems(["multimodal_generation"]):
    del SCREENSHOTS["candidates"]
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def address(folder):
    with demo_browser.demo(folder) as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    with demo_browser.chromium() as instance:
        yield instance


def expected(photo, system, snr_db, **inputs):
    """Pixels of a received image, computed without the demo."""
    delivery = calls.send_photo(
        photos.photographs(photos.PIXELS)[photo], calls.make_point(system, "awgn", snr_db, **inputs)
    )
    return to_bytes(delivery.reception.images[0]).astype(int)


def test_a_slider_move_changes_the_received_image_and_nothing_is_asked_of_other_servers(browser, address):
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(demo_browser.TIMEOUT_MS)
    errors, hosts = [], set()
    page.on("pageerror", lambda error: errors.append(str(error)))
    # Streamlit first looks for its server below the address of the page, which gives errors 404.
    page.on(
        "console", lambda line: errors.append(line.text) if line.type == "error" and "404" not in line.text else None
    )
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(f"{address}/send_a_photo?system=analog")
    demo_browser.wait_until_loaded(page)
    assert page.title() == "Send an image - semcom"
    sent, first = demo_browser.pixels(page, 0), demo_browser.pixels(page, 1)
    for _ in range(3):
        demo_browser.move(page, "Actual SNR", "ArrowLeft")
    demo_browser.wait_until_idle(page)
    assert np.array_equal(demo_browser.pixels(page, 0), sent)
    worse = demo_browser.pixels(page, 1)
    assert np.square(worse - sent).mean() > np.square(first - sent).mean()
    assert np.abs(worse - expected("astronaut.png", "analog", 7.0)).max() <= 1
    assert page.locator('[data-testid="stAlert"]').count() == 0
    assert not errors
    assert hosts <= {urlsplit(address).netloc, ""}
    page.context.close()


def test_the_address_is_restored_on_reload_and_kept_on_other_pages(browser, address):
    page = demo_browser.open_page(browser, f"{address}/send_a_photo")
    demo_browser.choose(page, "System", "analog")
    demo_browser.release(page, "Actual SNR", 4)
    query = dict(parse_qsl(urlsplit(page.url).query))
    assert query == {"snr": "4", "system": "analog"}
    shown = demo_browser.pixels(page, 1)
    page.reload()
    demo_browser.wait_until_loaded(page)
    assert demo_browser.slider(page).input_value() == "4"
    assert np.array_equal(demo_browser.pixels(page, 1), shown)
    page.get_by_role("button", name="Pages").click()
    page.get_by_role("menuitem", name="Compare systems").click()
    page.get_by_role("heading", name="Compare systems").wait_for()
    page.wait_for_function("document.querySelectorAll('.semcom-stage figure').length == 4")
    assert demo_browser.slider(page).input_value() == "4"
    assert dict(parse_qsl(urlsplit(page.url).query)) == query
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Link copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.context.close()


def test_two_sliders_show_the_cliff(browser, address):
    """Designed for 10 dB, the digital transmission fails 3 dB below; together with the channel the rate falls too."""
    page = demo_browser.open_page(browser, f"{address}/send_a_photo")
    with demo_browser.script_run(page):
        page.get_by_role("checkbox", name="Move together").uncheck()
    demo_browser.release(page, "Actual SNR", 7)
    page.get_by_text("Outage: the file could not be decoded").wait_for()
    assert demo_browser.slider(page, "Designed SNR").input_value() == "10"
    assert dict(parse_qsl(urlsplit(page.url).query)) == {"snr": "7", "designed": "10"}
    page.get_by_role("checkbox", name="Move together").check()
    page.get_by_text("Outage:").wait_for(state="hidden")
    demo_browser.wait_until_idle(page)
    assert demo_browser.slider(page, "Designed SNR").input_value() == "7"
    assert np.abs(demo_browser.pixels(page, 1) - expected("astronaut.png", "digital", 7.0)).max() <= 1
    page.context.close()


def test_two_visitors_at_once_see_their_own_images(browser, address):
    """Both sliders move before either image is computed."""
    first = demo_browser.open_page(browser, f"{address}/send_a_photo?system=analog")
    second = demo_browser.open_page(browser, f"{address}/send_a_photo?system=deepjscc&image=coffee.png")
    for _ in range(3):
        demo_browser.slider(first).press("ArrowLeft")
        demo_browser.slider(second).press("ArrowRight")
    for page, photo, system, snr_db in (
        (first, "astronaut.png", "analog", 7),
        (second, "coffee.png", "deepjscc", 13),
    ):
        page.wait_for_function("!document.querySelector('.semcom-stage .status').textContent")
        demo_browser.wait_until_idle(page)
        assert demo_browser.slider(page).input_value() == str(snr_db)
        assert np.abs(demo_browser.pixels(page, 1) - expected(photo, system, float(snr_db))).max() <= 1
    for page in (first, second):
        page.context.close()


def test_uploads_are_checked_and_not_written_to_disk(browser, address, folder, tmp_path):
    page = demo_browser.open_page(browser, f"{address}/send_a_photo?system=analog")  # which writes no files
    files = sorted(folder.rglob("*"))
    page.get_by_role("button", name="Upload").click()
    page.locator('input[type="file"]').set_input_files(
        {"name": "notes.png", "mimeType": "image/png", "buffer": b"Dear diary"}
    )
    page.get_by_text("notes.png is not an image").wait_for()
    for name, size_bytes, message in (
        ("large.png", 40_000_000, "File must be 10.0MB or smaller."),
        ("drawing.svg", 100, "image/svg+xml files are not allowed."),
    ):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size_bytes)
        page.locator('input[type="file"]').set_input_files(tmp_path / name)
        alert = page.get_by_role("alert").filter(has_text=message)
        alert.wait_for()
        assert alert.bounding_box()["width"] > 100, "the error is visible, not only a tooltip"
    pixels = photos.photographs(photos.PIXELS)["chelsea.png"].pixels[:, :40, :48]
    photo = {"name": "cat.png", "mimeType": "image/png", "buffer": photos.to_png(pixels)}
    page.locator('input[type="file"]').set_input_files(photo)
    page.get_by_text("48 x 40 pixels").wait_for()
    page.keyboard.press("Escape")  # closes the popover
    demo_browser.choose(page, "System", "Image file")
    demo_browser.frames_are_ready(page)
    assert sorted(folder.rglob("*")) == files, "the image file that digital makes of the upload is not written to disk"
    page.context.close()


@pytest.mark.parametrize("path", SCREENSHOTS)
def test_screenshots_of_each_page_at_desktop_and_phone_width(browser, address, tmp_path, path):
    out = Path(os.environ.get("SEMCOM_SCREENSHOTS", tmp_path))
    page = demo_browser.open_page(browser, f"{address}/{path}")
    if path == "run_a_scenario":
        page.get_by_role("button", name="Run scenario", exact=True).click()
        page.wait_for_selector("img")
        demo_browser.wait_until_idle(page)
    assert not demo_browser.serious_findings(page)
    if "SEMCOM_SCREENSHOTS" in os.environ and page.get_by_text("Images for dragging").count():
        demo_browser.frames_are_ready(page)
    for device, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        demo_browser.settled_screenshot(page)
        height_px = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
        page.set_viewport_size({"width": width, "height": height_px})
        screenshot = demo_browser.settled_screenshot(page)
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), (
            "the page is no wider than the window"
        )
        assert page.locator('[data-testid="stException"], [data-testid="stAlertContentError"]').count() == 0
        file = out / f"app_{SCREENSHOTS[path]}_{device}.png"
        file.write_bytes(demo_browser.small_png(screenshot, sorted(set(words.SYSTEM_COLORS.values()))))
        marked = {
            tuple(color)
            for color in np.unique(np.asarray(Image.open(file).convert("RGB")).reshape(-1, 3), axis=0).tolist()
        }
        for color in page.eval_on_selector_all("strong.colored", "all => all.map(one => one.style.borderColor)"):
            assert tuple(int(part) for part in color[4:-1].split(",")) in marked
        assert file.stat().st_size < 300_000
    page.context.close()
