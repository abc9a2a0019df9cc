"""The Tab key on every page: each element with the focus is in the window and shows the focus."""

import io

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
pytest.importorskip("playwright", reason="playwright is in the dependency group dev")
import demo_browser
from demo_pages import PAGES
from semcom_demo import calls

pytestmark = pytest.mark.skipif(demo_browser.CHROMIUM is None, reason="chromium is missing: apt-get install chromium")
NEEDS = {"street_scene": "scene", "candidates": "multimodal_generation"}
PATHS = ["", *(page for page in PAGES if page != "story" and calls.available_systems([NEEDS.get(page, "digital")]))]
MARGIN = 6  # pixels around an element, in which its outline is
# Inputs of toggles, radio buttons and files are not displayed: a parent is seen in their place.
FOCUSED = """() => {
  let seen = document.activeElement;
  if (seen === document.body) return null;
  if (seen.tagName === "MAIN") return { whole: true }; // it scrolls
  window.stops ??= [];
  if (!window.stops.includes(seen)) window.stops.push(seen);
  const stop = window.stops.indexOf(seen), html = seen.outerHTML.slice(0, 120);
  while (seen.getBoundingClientRect().width < 14) seen = seen.parentElement;
  const { x, y, width, height } = seen.getBoundingClientRect();
  const top = document.elementFromPoint(x + width / 2, y + Math.min(height / 2, 50));
  return { stop, html, x, y, width, height, covered: !(seen.contains(top) || top?.contains(seen)) };
}"""


def stops(page, key):
    """What each press of a key gives the focus, until the focus leaves the page or is where it was first."""
    first = None
    for _ in range(150):
        page.keyboard.press(key)
        focused = page.evaluate(FOCUSED)
        if focused is None or focused.get("stop", -1) == first:
            return
        if "whole" not in focused:
            first = focused["stop"] if first is None else first
            yield focused
    raise AssertionError(f"{key} does not leave the page")


def around(page, focused):
    """Pixels of an element and of its outline."""
    size = page.viewport_size
    left, top = max(0, focused["x"] - MARGIN), max(0, focused["y"] - MARGIN)
    right = min(size["width"], focused["x"] + focused["width"] + MARGIN)
    bottom = min(size["height"], focused["y"] + focused["height"] + MARGIN)
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    content = page.screenshot(clip=clip, animations="disabled", caret="hide")
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


@pytest.mark.parametrize("path", PATHS)
def test_each_stop_of_the_tab_key_is_seen(visit, path):
    phone = path in ("send_a_photo", "street_scene")
    page = visit(path, **({"width": 390, "height": 844, "theme": "dark"} if phone else {}))
    if page.get_by_text("Images for dragging").count():
        demo_browser.frames_are_ready(page)  # no further run, which could move the focus
    count = 0
    for focused in stops(page, "Tab"):
        count += 1
        assert_in_window(page, focused)
        with_focus = around(page, focused)
        page.evaluate("(window.last = document.activeElement).blur()")
        without = around(page, focused)
        page.evaluate("window.last.focus({ preventScroll: true })")
        assert (np.abs(with_focus - without).max(2) > 40).sum() >= 40, focused
    assert count >= 8
    for focused in stops(page, "Shift+Tab"):  # upwards, where the menu covers the page
        assert_in_window(page, focused)


def assert_in_window(page, focused):
    """Check that an element is in the window, the upper part of one that is higher than it, and not covered."""
    assert not focused["covered"], focused
    assert focused["y"] >= 0, focused
    assert focused["y"] + min(focused["height"], 400) <= page.viewport_size["height"] + 1, focused
