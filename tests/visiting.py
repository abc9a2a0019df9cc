"""Pages of the demo in Streamlit's own tester, without a browser."""

import re
import sys
from pathlib import Path

from streamlit.testing.v1 import AppTest

APPS = Path(__file__).parents[1] / "apps"
sys.path.insert(0, str(APPS))  # as Streamlit does
PAGES = sorted(path.stem for path in (APPS / "pages_").glob("*.py"))
ALWAYS = [page for page in PAGES if page not in ("street_scene", "candidates")]


def started():
    """The demo after its first run, at the page that it opens with."""
    return AppTest.from_file(str(APPS / "demo.py"), default_timeout=240).run()


def opened(page, **state):
    """A page after its first run, with some of its widgets set."""
    app = started()
    for key, value in state.items():
        app.session_state[key] = value
    app.switch_page(f"pages_/{page}.py").run()
    assert not app.exception, app.exception[0].stack_trace
    return app


def numbers(app):
    """Of the page, as they are written, by their labels."""
    return {metric.label: metric.value for metric in app.metric}


def captions(app):
    """Of the pictures, in their order."""
    return [caption for picture in app.get("image") for caption in picture.captions]


def code(app):
    """All that the page shows as code."""
    return "\n".join(block.value for block in app.code)


def registered(app):
    """The pages that a visitor can go to."""
    return set(re.findall(r"pages_/(\w+)\.py", " ".join(str(page) for page in app._registered_pages.values())))


def made_small(monkeypatch):
    """Pictures of a size that matters to nobody, so that a page takes a second."""
    from semcom_demo import parts

    monkeypatch.setattr(parts.photo, "__defaults__", (64 * 64,))
    parts.photographs.clear()
