"""Every file that the pages offer to download, opened."""

import csv
import io
import zipfile

import numpy as np
import pytest
import yaml
from PIL import Image

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
pytest.importorskip("playwright", reason="playwright is in the dependency group dev")
import demo_browser
from demo_pages import received_pixels
from semcom_demo import calls

from semcom.scenario.load import load_scenario

pytestmark = pytest.mark.skipif(demo_browser.CHROMIUM is None, reason="chromium is missing: apt-get install chromium")
NEEDS = {"street_scene": "scene", "candidates": "multimodal_generation"}
FILES = {
    "send_a_photo?system=analog": {
        "received_analog.png", "difference_analog.png", "comparison.png", "numbers.csv", "animation.gif",
        "animation.webp", "scenario.zip", "astronaut.png",
    },
    "compare?systems=analog": {
        "received_analog.png", "difference_analog.png", "comparison.png", "numbers.csv", "animation.gif",
        "animation.webp", "scenario.zip", "astronaut.png",
    },
    "hide_a_file": {
        "message.txt", "images.zip", "comparison.png", "numbers.csv", "animation.gif", "animation.webp", "scenario.zip",
        "astronaut.png",
    },
    "many_users?system=analog&users=2": {
        "images.zip", "comparison.png", "numbers.csv", "animation.gif", "animation.webp", "scenario.yaml",
    },
    "street_scene": {"images.zip", "comparison.png", "numbers.csv", "scenario.yaml", "test000.png"},
    "candidates": {"images.zip", "comparison.png", "numbers.csv", "scenario.zip", "astronaut.png"},
    "budget?systems=analog": {"numbers.csv", "scenario.yaml"},
    "recognition": {"numbers.csv", "scenario.yaml"},
}  # fmt: skip


@pytest.mark.parametrize("path", FILES)
def test_every_file_of_a_page_opens(visit, path, tmp_path):
    if not calls.available_systems([NEEDS.get(path, "digital")]):
        pytest.skip("weights are missing")
    page = visit(path)
    if "animation.gif" in FILES[path]:
        demo_browser.frames_are_ready(page)
    for summary in page.locator("summary").filter(has_text="ownload").all():
        summary.click()
    page.locator("summary").filter(has_text="Open as scenario").click()
    found = {}
    for button in page.locator('[data-testid="stDownloadButton"] button').all():
        with page.expect_download() as event:
            button.click()
        with open(event.value.path(), "rb") as file:
            found[event.value.suggested_filename] = file.read()
    # The frames of the slow pages may be computed before the page is read.
    assert FILES[path] <= found.keys() <= FILES[path] | {"animation.gif", "animation.webp"}
    if "received_analog.png" in found:
        received = np.asarray(Image.open(io.BytesIO(found["received_analog.png"])).convert("RGB")).astype(int)
        assert np.abs(received - received_pixels("astronaut.png", "analog", 10.0)).max() <= 1
    shown = page.locator(".semcom-stage figure").count()
    for name, content in found.items():
        check(name, content, shown, tmp_path)


def check(name, content, shown, folder):
    """Check that a file is complete and of its kind."""
    kind = name.rsplit(".", 1)[1]
    if kind in ("png", "gif", "webp"):
        image = Image.open(io.BytesIO(content))
        assert image.format.lower() == kind
        for frame in range(getattr(image, "n_frames", 1)):
            image.seek(frame)
            image.load()
        assert (getattr(image, "n_frames", 1) > 1) == (kind != "png")
    elif kind == "csv":
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert rows
        assert all(None not in row and None not in row.values() for row in rows)
    elif name == "images.zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert len(archive.namelist()) == shown
            for entry in archive.namelist():
                Image.open(io.BytesIO(archive.read(entry))).load()
    elif name == "scenario.zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(folder)
        assert load_scenario(folder / "scenario.yaml").points()
    elif kind == "yaml":
        assert yaml.safe_load(content)
    else:
        assert (name, content) == ("message.txt", b"Meet me at the harbor at nine.")
