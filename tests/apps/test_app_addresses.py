"""Addresses of the demo with parts that are not valid: one clear line on every page, and the page works."""

import pytest

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
import demo_pages
from demo_pages import open_page, stage
from semcom_demo import calls

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

WRONG = {
    "snr": "abc",
    "designed": "1e3",
    "system": "nothing",
    "systems": "nothing",
    "channel": "",
    "cbr": "2",
    "seed": "-1",
    "users": "0",
    "step": "6",
    "access": "nothing",
    "power": "3",
    "frame": "1.5",
    "wave": "1",
}
NEEDS = {"street_scene": "scene", "candidates": "multimodal_generation"}
LISTED = [page for page in demo_pages.PAGES if calls.available_systems([NEEDS.get(page, "digital")])]


@pytest.fixture(autouse=True)
def _small_images(monkeypatch):
    demo_pages.use_small_images(monkeypatch)
    demo_pages.use_small_scene(monkeypatch)


def warnings(app):
    return [element.value for element in app.warning]


@pytest.mark.parametrize("page", LISTED)
def test_each_page_names_what_is_wrong_in_one_line_and_works(page):
    app = open_page(page, WRONG | {"size": "64"})  # without an exception; the size of the page Budget is a valid one
    (line,) = warnings(app)
    for name, text in WRONG.items():
        assert f"{name}={text}" in line
    assert "\n" not in line
    assert not app.error


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("send_a_photo", "image"),
        ("compare", "image"),
        ("hide_a_file", "image"),
        ("budget", "hardware"),
        ("recognition", "modulation"),
        ("street_scene", "street"),
    ],
)
def test_a_name_that_no_page_offers_is_reported(page, name):
    if page not in LISTED:
        pytest.skip("weights are missing")
    (line,) = warnings(open_page(page, {name: "nothing", "systems": "analog"}))
    assert f"{name}=nothing" in line


def test_the_line_stays_while_the_page_runs_by_itself_and_goes_with_the_next_input():
    app = open_page("send_a_photo", {"snr": "abc", "system": "analog"})
    app.run()  # as when frames are ready
    assert "snr=abc" in warnings(app)[0]
    assert stage(app)["values"]["snr"] == 10
    app.selectbox(key="input_channel").set_value("rician").run()
    assert not warnings(app)
