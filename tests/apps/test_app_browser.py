"""The demo in headless Chromium: slider moves, two visitors at once, uploads, and screenshots for the README."""

import io
import os
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
pytest.importorskip("playwright", reason="playwright is in the dependency group dev")
pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is in the dependency group dev")
import demo_browser
from demo_pages import received_pixels
from semcom_demo import calls, photos, words

pytestmark = pytest.mark.skipif(demo_browser.CHROMIUM is None, reason="chromium is missing: apt-get install chromium")
SCREENSHOTS = {
    "": "story", "send_a_photo": "send", "compare": "compare",
    "hide_a_file": "hide", "street_scene": "street", "candidates": "candidates",
    "many_users": "users", "budget": "budget", "recognition": "recognition", "run_a_scenario": "run",
}  # fmt: skip
if not calls.available_systems(["multimodal_generation"]):
    del SCREENSHOTS["candidates"]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def test_a_slider_move_changes_the_received_image_and_nothing_is_asked_of_other_servers(visit, address):
    errors, hosts = [], set()

    def record(page):
        page.on("pageerror", lambda error: errors.append(str(error)))
        # Streamlit first looks for its server below the address of the page, which gives errors 404.
        page.on("console", lambda line: line.type == "error" and "404" not in line.text and errors.append(line.text))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))

    page = visit("send_a_photo?system=analog", prepare=record)
    assert page.title() == "Send an image - semcom"
    assert page.locator('[data-testid="stMainMenu"], [data-testid="stAppDeployButton"]').count() == 0
    sent, first = demo_browser.pixels(page, 0), demo_browser.pixels(page, 1)
    for _ in range(3):
        demo_browser.move(page, "Actual SNR", "ArrowLeft")
    demo_browser.wait_until_idle(page)
    assert np.array_equal(demo_browser.pixels(page, 0), sent)
    worse = demo_browser.pixels(page, 1)
    assert np.square(worse - sent).mean() > np.square(first - sent).mean()
    assert np.abs(worse - received_pixels("astronaut.png", "analog", 7.0)).max() <= 1
    assert page.locator('[data-testid="stAlert"]').count() == 0
    assert not errors
    assert hosts <= {urlsplit(address).netloc, ""}


def test_the_address_is_restored_on_reload_and_kept_on_other_pages(visit):
    page = visit("send_a_photo")
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


def test_two_sliders_show_the_cliff(visit):
    """Designed for 10 dB, the digital transmission fails 3 dB below; together with the channel the rate falls too."""
    page = visit("send_a_photo")
    page.get_by_role("checkbox", name="Move together").uncheck()
    demo_browser.wait_until_exact(page)
    demo_browser.release(page, "Actual SNR", 7)
    page.get_by_text("Outage: the file could not be decoded").wait_for()
    assert demo_browser.slider(page, "Designed SNR").input_value() == "10"
    assert dict(parse_qsl(urlsplit(page.url).query)) == {"snr": "7", "designed": "10"}
    page.get_by_role("checkbox", name="Move together").check()
    page.get_by_text("Outage:").wait_for(state="hidden")
    demo_browser.wait_until_idle(page)
    assert demo_browser.slider(page, "Designed SNR").input_value() == "7"
    assert np.abs(demo_browser.pixels(page, 1) - received_pixels("astronaut.png", "digital", 7.0)).max() <= 1


def test_an_image_that_the_server_does_not_have_yet_is_loaded_again(visit):
    """Streamlit drops the images of a page whose script runs, until the script shows them again."""
    asked = []

    def lose_first(page):
        def answer(route):
            asked.append(route.request.url)
            route.fulfill(status=404) if asked.count(route.request.url) == 1 else route.continue_()

        page.route("**/media/*.png", answer)

    page = visit("send_a_photo?system=analog", prepare=lose_first)
    assert {asked.count(source) for source in demo_browser.image_addresses(page)} == {2}


def test_two_visitors_at_once_see_their_own_images(visit):
    """Both sliders move before either image is computed."""
    first = visit("send_a_photo?system=analog")
    second = visit("send_a_photo?system=deepjscc&image=coffee.png")
    for _ in range(3):
        demo_browser.slider(first).press("ArrowLeft")
        demo_browser.slider(second).press("ArrowRight")
    for page, photo, system, snr_db in (
        (first, "astronaut.png", "analog", 7),
        (second, "coffee.png", "deepjscc", 13),
    ):
        demo_browser.wait_until_exact(page)
        assert demo_browser.slider(page).input_value() == str(snr_db)
        assert np.abs(demo_browser.pixels(page, 1) - received_pixels(photo, system, float(snr_db))).max() <= 1


def test_uploads_are_checked_and_not_written_to_disk(visit, folder, tmp_path):
    page = visit("send_a_photo?system=analog")  # which writes no files
    demo_browser.frames_are_ready(page)  # nor does the server for earlier pages any more
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
    page.locator("figcaption").filter(has_text="Image file").wait_for()
    demo_browser.frames_are_ready(page)
    assert sorted(folder.rglob("*")) == files, "the image file that digital makes of the upload is not written to disk"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("path", "track", "share"),
    [
        ("recognition", '[data-testid="stSlider"] [role="group"]:has([aria-label="SNR (dB)"])', 0.9),
        ("send_a_photo?system=analog", ".semcom-stage .slider input", 0.9),
        ("send_a_photo?system=analog", '[data-testid="stCheckbox"] label:has(input) > div:first-of-type', 0.7),
        ("recognition", '[data-testid="stCheckbox"] label:has(input) > div:first-of-type', 0.2),  # the knob
        ("", '[data-testid="stRadioOption"]:not([data-selected]) > div > div:first-child', 0.5),
    ],
)
def test_sliders_toggles_and_radio_buttons_are_seen_on_the_page(visit, path, track, share, theme):
    """The part of a control at a share of its width has a contrast of 3:1 to the page next to it."""
    page = visit(path, theme=theme)
    control = page.locator(track).first
    control.scroll_into_view_if_needed()
    if path.startswith("send"):
        demo_browser.frames_are_ready(page)  # a run with new frames would move the page
    box = control.bounding_box()
    content = page.screenshot(
        clip={"x": box["x"] + share * box["width"], "y": box["y"] - 4, "width": 4, "height": box["height"] + 8}
    )
    column = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))[:, 2]
    luminances = sorted(luminance(color) for color in column)
    background = luminance(column[0])
    assert max((luminances[-1] + 0.05) / (background + 0.05), (background + 0.05) / (luminances[0] + 0.05)) >= 3


def luminance(color):
    """Relative luminance of sRGB values 0 to 255 (WCAG 2.2)."""
    share = np.asarray(color) / 255
    return float(np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("size", [{}, {"width": 390, "height": 844}])
def test_a_constellation_has_equal_scales(visit, size):
    page = visit("recognition?snr=18", **size)
    page.locator('[data-testid="stVegaLiteChart"] .mark-symbol path').first.wait_for()
    pixels_per_unit = []
    for title, side in (("In-phase", "left"), ("Quadrature", "top")):
        labels = page.locator(f'[data-testid="stVegaLiteChart"] [aria-label*="{title}"] .role-axis-label text').all()
        first, *_, last = [
            (float(label.text_content().replace("\u2212", "-")), middle(label, side)) for label in labels
        ]
        pixels_per_unit.append(abs((last[1] - first[1]) / (last[0] - first[0])))
    assert pixels_per_unit[0] == pytest.approx(pixels_per_unit[1], rel=0.03)  # positions of labels are rounded


def middle(label, side):
    """Position of the middle of a label, from the left or the top of the page."""
    box = label.bounding_box()
    return box["x"] + box["width"] / 2 if side == "left" else box["y"] + box["height"] / 2


IN_README = ("compare", "hide_a_file", "send_a_photo")  # see the target `screenshots` of the Makefile
SLIDERS = {"budget": "Radiated power (mW)", "recognition": "SNR (dB)"}


@pytest.mark.parametrize("path", SCREENSHOTS)
def test_each_page_in_both_widths_and_both_themes(visit, tmp_path, path):
    """Keyboard, accessibility scan, a phone's first screen, and the screenshots of `make screenshots`."""
    page, label = visit(path), SLIDERS.get(path, "Actual SNR")
    if path == "run_a_scenario":
        page.get_by_role("button", name="Run scenario", exact=True).click()
        page.locator("img").first.wait_for()
        demo_browser.wait_until_idle(page)
    else:
        demo_browser.check_tab_stops(page, label)
    assert not demo_browser.serious_findings(page)
    save_screenshot(page, path, "desktop", tmp_path)
    page.set_viewport_size(PHONE)
    save_screenshot(page, path, "phone", tmp_path)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(DESKTOP)
    page.wait_for_function("getComputedStyle(document.querySelector('.stApp')).colorScheme === 'dark'")
    assert not demo_browser.serious_findings(page)
    save_screenshot(page, path, "desktop_dark", tmp_path)
    page.set_viewport_size(PHONE)
    if path == "run_a_scenario":
        assert not demo_browser.serious_findings(page)
        shown = [image.bounding_box() for image in page.locator("img").all() if image.is_visible()]
        assert len(shown) == 1
        assert shown[0]["height"] > shown[0]["width"], "one panel a row on a phone"
        return
    page.reload()
    demo_browser.wait_until_loaded(page)
    images = page.locator(".semcom-stage img")
    chart = page.locator('[data-testid="stVegaLiteChart"]').first
    introduction = page.locator(".st-key-introduction p")
    for place in (introduction, page.get_by_role("slider", name=label), chart if path in SLIDERS else images.nth(1)):
        box = place.bounding_box()
        assert box["y"] + box["height"] <= PHONE["height"]
    assert not demo_browser.serious_findings(page)
    save_screenshot(page, path, "phone_dark", tmp_path)
    if path not in SLIDERS:
        zoom = page.locator(".semcom-stage .zoom").bounding_box()
        assert zoom["height"] <= 40, "on one line"
    if path in SLIDERS:
        before = chart.inner_html()
        page.get_by_role("slider", name=label).press("ArrowLeft")
        page.wait_for_function("([chart, before]) => chart.innerHTML !== before", arg=[chart.element_handle(), before])
    else:  # the images follow the slider as soon as the first frames are computed
        demo_browser.follows(page, label, -10 if int(demo_browser.slider(page).input_value()) > 0 else 20)


def save_screenshot(page, path, kind, folder):
    """Save a screenshot of the whole page; one of the page Compare if none are asked for."""
    page.wait_for_function("document.scrollingElement.scrollWidth <= innerWidth")  # no wider than the window
    page.evaluate("document.activeElement.blur()")
    asked = "SEMCOM_SCREENSHOTS" in os.environ
    if not asked and (path, kind) != ("compare", "desktop"):
        return
    if asked and path in IN_README and page.get_by_text("Images for dragging").count():
        demo_browser.frames_are_ready(page)
    size = page.viewport_size
    height_px = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": height_px})
    screenshot = demo_browser.settled_screenshot(page)
    page.set_viewport_size(size)
    file = Path(os.environ.get("SEMCOM_SCREENSHOTS", folder)) / f"app_{SCREENSHOTS[path]}_{kind}.png"
    file.write_bytes(demo_browser.small_png(screenshot, sorted(set(words.SYSTEM_COLORS.values()))))
    marked = {
        tuple(color) for color in np.unique(np.asarray(Image.open(file).convert("RGB")).reshape(-1, 3), axis=0).tolist()
    }
    for color in page.eval_on_selector_all("strong.colored", "all => all.map(one => one.style.borderColor)"):
        assert tuple(int(part) for part in color[4:-1].split(",")) in marked
    assert file.stat().st_size < 300_000
