"""Helpers to test pages of the demo in Streamlit's AppTest, without a browser."""

import json
import re
import sys
from pathlib import Path

from streamlit.testing.v1 import AppTest

APPS = Path(__file__).parents[1] / "apps"
sys.path.insert(0, str(APPS))  # as Streamlit does
PAGES = sorted(path.stem for path in (APPS / "pages_").glob("*.py"))
ALWAYS_LISTED = [page for page in PAGES if page not in ("street_scene", "candidates")]


def start_demo():
    """The demo after its first run, at its default page."""
    return _demo().run()


def _demo():
    return AppTest.from_file(str(APPS / "demo.py"), default_timeout=90)


def open_page(page, inputs=None, **state):
    """A page after its first run, with inputs set by the address and other widgets set by key."""
    app = _demo()
    for name, text in (inputs or {}).items():
        app.query_params[name] = str(text)
    for key, value in state.items():
        app.session_state[key] = value
    app.switch_page(f"pages_/{page}.py").run()
    assert not app.exception, app.exception[0].stack_trace
    return app


def stage(app):
    """The data of the component that shows the images."""
    (found,) = [
        element.proto for element in app.get("bidi_component") if element.proto.component_name == "semcom_stage"
    ]
    return json.loads(found.json)


def numbers(app):
    """Values of the metric widgets of a page, as text, by label."""
    return {metric.label: metric.value for metric in app.metric}


def captions(app):
    """Captions of the images of a page, in order."""
    return [f"{panel['name']}: {panel['caption']}" for panel in stage(app)["panels"]]


def code(app):
    """All code blocks of a page."""
    return "\n".join(block.value for block in app.code)


def listed_pages(app):
    """File names of the pages in the navigation."""
    return set(re.findall(r"pages_/(\w+)\.py", " ".join(str(page) for page in app._registered_pages.values())))


def use_small_images(monkeypatch):
    """Reduce the images to 64 x 64 pixels, so that a page runs in about a second, and compute no frames ahead."""
    from semcom_demo import photos, prefetch

    monkeypatch.setattr(prefetch, "ask", lambda jobs: None)
    monkeypatch.setattr(photos, "PIXELS", 64 * 64)


def use_small_scene(monkeypatch):
    """One small street scene; the networks are untrained, which changes the images but not the page."""
    from semcom_demo import calls, photos

    monkeypatch.setattr(calls, "scene_settings", lambda: ["scene.weights=none"])
    monkeypatch.setattr(photos, "STREET_SOURCE", ("streets:test:64x48", 1))


def received_pixels(photo, system, snr_db):
    """Pixels of an image received over AWGN, computed without the demo, at the size of its pages."""
    from semcom_demo import calls, photos

    from semcom.images.files import to_bytes

    image = photos.photographs(photos.PIXELS)[photo]
    return to_bytes(calls.send_photo(image, calls.make_point(system, "awgn", snr_db)).reception.images[0]).astype(int)
