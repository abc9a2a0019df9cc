"""Gestures in headless Chromium: curtain, zoom, play, other realizations, the quiz and the story."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
pytest.importorskip("playwright", reason="playwright is in the dependency group dev")
import demo_browser
from demo_pages import received_pixels
from semcom_demo import calls

pytestmark = pytest.mark.skipif(demo_browser.CHROMIUM is None, reason="chromium is missing: apt-get install chromium")


def shown(page):
    """Pixels of a screenshot of the frame of the first image."""
    return np.asarray(Image.open(io.BytesIO(page.locator(".semcom-stage .frame").first.screenshot())).convert("RGB"))


def test_the_curtain_moves_by_mouse_and_by_keys(visit):
    page = visit("send_a_photo?system=analog&snr=-10")
    demo_browser.frames_are_ready(page)  # a run with new frames would draw the edges of the image anew
    page.get_by_role("combobox", name="View").select_option("curtain")
    demo_browser.wait_until_idle(page)
    handle = page.get_by_role("slider", name="Curtain")
    box = handle.bounding_box()
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    at_quarter, value = shown(page), int(handle.input_value())
    assert 20 <= value <= 30
    handle.press("ArrowRight")
    assert int(handle.input_value()) == value + 1
    for _ in range(3):
        handle.press("PageUp")
    at_more = shown(page)
    width = at_quarter.shape[1]
    left, middle, right = slice(0, width // 5), slice(width * 32 // 100, width * 40 // 100), slice(width * 4 // 5, None)
    assert np.array_equal(at_quarter[:, left], at_more[:, left]), "the original stays to the left of the curtain"
    assert np.array_equal(at_quarter[:, right], at_more[:, right])
    assert not np.array_equal(at_quarter[:, middle], at_more[:, middle])


def test_zoom_is_the_same_for_all_images(visit):
    page = visit("send_a_photo?system=analog")
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Zoom in").click()
    page.locator(".semcom-stage .frame").first.press("ArrowRight")
    transforms = page.evaluate(
        "[...document.querySelectorAll('.semcom-stage .frame img')].map(image => image.style.transform)"
    )
    assert len(transforms) == 2
    assert transforms[0] == transforms[1]
    assert "scale(2.25)" in transforms[0]


def test_frames_follow_the_slider_before_it_is_released_and_equal_the_transmissions(visit):
    page = visit("send_a_photo?system=analog")
    demo_browser.frames_are_ready(page)
    for snr_db in (-6, 15):
        demo_browser.drag(page, "Actual SNR", snr_db)
        assert page.locator(".semcom-stage img").nth(1).get_attribute("data-snr") == str(snr_db)
        difference = demo_browser.pixels(page, 1) - received_pixels("astronaut.png", "analog", float(snr_db))
        assert np.abs(difference).max() <= 1
    page.get_by_role("button", name="Play: SNR 20 to -10 dB").click()
    page.wait_for_function("document.querySelectorAll('.semcom-stage img')[1].dataset.snr < 15")
    page.locator(".semcom-stage").get_by_role("button", name="Stop").click()  # not Streamlit's, which stops the script
    page.get_by_text("Downloads:").click()
    sent, received = demo_browser.pixels(page, 0), demo_browser.pixels(page, 1)
    assert np.array_equal(opened(demo_browser.download(page, "Received by Analog DCT (PNG)")), received)
    difference = opened(demo_browser.download(page, "Difference of Analog DCT, 4 times (PNG)")).astype(int)
    assert np.abs(difference - np.clip(4 * np.abs(sent - received), 0, 255)).max() <= 4
    assert opened(demo_browser.download(page, "Side by side with captions (PNG)")).shape[1] > 2 * sent.shape[1]
    (line,) = csv.DictReader(io.StringIO(demo_browser.download(page, "Numbers (CSV)").decode()))
    assert (line["system"], line["snr_db"]) == ("analog", "10.0")
    assert f"PSNR {float(line['psnr']):.1f} dB" in page.locator("figcaption").nth(1).inner_text()
    for kind in ("GIF", "WEBP"):
        movie = Image.open(io.BytesIO(demo_browser.download(page, f"Animation ({kind})")))
        assert (movie.n_frames, movie.format) == (31, kind)


def opened(content):
    """Pixels of an image file."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_an_outage_is_gray_or_concealed_by_the_last_decoded_image(visit):
    page = visit("send_a_photo?snr=10&designed=10")
    decoded = demo_browser.pixels(page, 1)
    demo_browser.release(page, "Actual SNR", 6)
    page.get_by_text("Outage: the file could not be decoded").wait_for()
    assert np.ptp(demo_browser.pixels(page, 1)) <= 1
    page.get_by_role("combobox", name="Show an outage as").select_option("concealed")
    page.get_by_text("Concealed: the image decoded at 10 dB.").wait_for()
    assert np.array_equal(demo_browser.pixels(page, 1), decoded)


def test_another_realization_is_another_fade(visit):
    page = visit("compare?systems=analog&channel=rayleigh&cbr=1/96")
    with demo_browser.new_image(page, 1):
        page.get_by_role("button", name="Another realization").click()
    page.wait_for_url("**seed=1**")


def test_what_crossed_the_channel_is_drawn(visit):
    page = visit("send_a_photo?channel=tdl")
    demo_browser.switch(page, "What crossed the channel")
    for text in ("Modulation and code rate", "Budget of", "Symbols sent", "white: pilots"):
        page.get_by_text(text).first.wait_for()
    budget = page.locator('[data-testid="stVegaLiteChart"]').first
    budget.locator(".mark-rect path").first.wait_for()
    bars = np.asarray(Image.open(io.BytesIO(budget.screenshot())).convert("RGB")).astype(int)
    blue = np.abs(bars - [0, 114, 178]).max(2) <= 8
    assert blue.any(1).sum() > 20, "the bar of the budget is more than a line"


@pytest.mark.skipif(not calls.available_systems(["scene"]), reason="weights are missing")
def test_the_street_quiz_hides_the_scene_until_it_is_answered(visit):
    page = visit("street_scene")
    demo_browser.switch(page, "Quiz")
    page.wait_for_function("document.querySelectorAll('.semcom-stage figure').length == 2")
    groups = page.get_by_role("radiogroup")
    groups.nth(3).wait_for()  # the questions come after the images
    for number in range(groups.count()):
        groups.nth(number).locator("label").first.click()
    page.get_by_text("answers are correct").wait_for()
    page.wait_for_function("document.querySelectorAll('.semcom-stage figure').length == 4")
    demo_browser.switch(page, "Show the road")
    page.get_by_text("IoU of the road").first.wait_for()
    for index in (0, 2, 3):
        red, _, blue = demo_browser.pixels(page, index).transpose(2, 0, 1)
        assert (red > blue + 40).mean() > 0.1, "a tenth of the image is yellow"


def test_the_story_kills_the_digital_image_and_goes_on(visit):
    page = visit()
    page.get_by_text("Drag the actual SNR to the left").wait_for()
    demo_browser.release(page, "Actual SNR", 6)
    page.get_by_text("Outage: the file could not be decoded").wait_for()
    page.get_by_role("button", name="Next step: 2. The graceful curve").click()
    page.get_by_text("compare the analog transmission").wait_for()
    page.wait_for_function("document.querySelector('[data-testid=stMain]').scrollTop === 0")  # the task is seen
    page.locator("label").filter(has_text="4. Fading").click()
    page.get_by_role("button", name="Another realization").wait_for()
    page.wait_for_url("**channel=rayleigh**step=4")
    page.get_by_text("Notebook: notebooks/09").click()
    page.get_by_role("link", name="Continue on the page Compare systems").click()
    page.get_by_role("heading", name="Compare systems").wait_for()
    page.wait_for_url("**channel=rayleigh**")


def test_a_step_of_the_story_stays_while_its_frames_are_computed(visit):
    """The page asks for new frames every second; the request has the inputs of an earlier run."""
    page = visit()
    for number in (2, 3, 4):
        button = page.get_by_role("button", name=f"Next step: {number}.")
        box = button.bounding_box()
        assert box["y"] + box["height"] <= 900, "on the first screen"
        button.click()
        page.wait_for_url(f"**step={number}**")
        page.wait_for_timeout(2500)
        assert page.locator("strong").first.inner_text().startswith(f"{number}. ")
        demo_browser.wait_until_idle(page)


def test_nothing_moves_while_an_image_is_computed(visit):
    page = visit("send_a_photo?system=deepjscc&seed=7")
    page.evaluate("""() => {
        window.positions = new Set();
        const record = () => {
            for (const part of document.querySelectorAll('.semcom-stage .tools, [data-testid=stSelectbox]'))
                window.positions.add(`${part.className.slice(0, 5)} ${part.getBoundingClientRect().y}`);
            requestAnimationFrame(record);
        };
        record();
    }""")
    before = page.evaluate("window.positions.size")
    for snr_db in (-7, 17):
        demo_browser.release(page, "Actual SNR", snr_db)
    demo_browser.frames_are_ready(page)
    assert page.evaluate("window.positions.size") == before
