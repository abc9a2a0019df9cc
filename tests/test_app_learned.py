"""Pages of the demo for systems whose networks may not be there."""

import re

import pytest

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
import visiting
from semcom_demo import calls, parts
from visiting import ALWAYS, captions, numbers, opened, registered

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    visiting.made_small(monkeypatch)


def test_pages_of_systems_that_are_not_there_do_not_appear(monkeypatch):
    monkeypatch.setattr(calls, "_bundled", lambda name: False)
    there = registered(visiting.started())
    assert set(ALWAYS) <= there
    assert "street_scene" not in there
    assert ("candidates" in there) == bool(calls.systems(["multimodal_generation"]))
    monkeypatch.setattr(calls, "_bundled", lambda name: name == "scene_segmenter")
    assert "street_scene" in registered(visiting.started())


def test_the_street_page_shows_map_restoration_and_webp(monkeypatch):
    """With networks that have learnt nothing: the page does not look at what they say."""
    monkeypatch.setattr(calls, "scene_settings", lambda: ["scene.weights=none"])
    monkeypatch.setattr(parts, "STREETS", ("streets:test:64x48", 1))
    app = opened("street_scene", street_snr=20, street_cbr=1 / 8)
    shown = captions(app)
    sizes = {int(size) for caption in shown for size in re.findall(r"(\d+) bytes", caption)}
    assert len(shown) == 5
    assert len(sizes) == 1, "the WebP file has as many bytes as the map"
    assert numbers(app)["Label map"] == f"{sizes.pop()} bytes"


def test_the_street_page_shows_the_coarse_map_that_was_sent_and_stays_where_none_was(monkeypatch):
    """A shrunk map is shown shrunk; where not even the coarsest fits the rest is there, without a WebP file."""
    monkeypatch.setattr(calls, "scene_settings", lambda: ["scene.weights=none", "scene.coarseness=2"])
    monkeypatch.setattr(parts, "STREETS", ("streets:test:64x48", 1))
    app = opened("street_scene", street_snr=20, street_cbr=1 / 8)
    assert any(re.fullmatch(r"map as sent, \d+ bytes, shrunk 4 times", caption) for caption in captions(app))
    point = calls.point_of("scene", "awgn", 20, medium_cbr=1 / 8, settings=calls.scene_settings())
    delivery = calls.send_photo(parts.streets(*parts.STREETS)[0], point)
    sent, received = calls.maps_of(delivery)
    assert (sent == received).all()
    assert (sent[:, ::4, ::4].repeat_interleave(4, 1).repeat_interleave(4, 2) == sent).all()
    app = opened("street_scene", street_snr=-4, street_cbr=min(parts.BUDGETS))
    shown = captions(app)
    assert "no map is small enough to be sent" in shown
    assert len(shown) == 4
    assert numbers(app)["Smaller than raw by"] == "none"


GENERATES = '''
import torch
from semcom import Receiver, Reception, System
from semcom.systems import analog

class Several(Receiver):
    def __init__(self, one):
        self.one = one

    def decode(self, received, size, rng):
        images = self.one.decode(received, size, rng).images
        candidates = torch.stack([images, 1 - images, images / 2], 1)
        scores = torch.tensor([[0.5, 2.0, 0.25]]).expand(len(images), -1)
        return Reception(candidates[:, 2], received.uses, candidates=candidates, scores=scores,
                         chosen=torch.full((len(images),), 2))

def build(cbr: float) -> System:
    """Three candidates."""
    inner = analog.build(cbr)
    return System("several", "a toy", inner.transmitter, Several(inner.receiver), "cbr")
'''


def test_the_page_of_candidates_marks_the_chosen_one(tmp_path, monkeypatch):
    (tmp_path / "several.py").write_text(GENERATES)
    monkeypatch.setattr(calls, "systems", list)
    app = opened("candidates", candidates_system=str(tmp_path / "several.py"))
    shown = captions(app)
    assert shown[0] == "sent"
    assert shown[1:] == ["candidate 1: score 0.5", "candidate 2: score 2", "**CHOSEN**, candidate 3: score 0.25"]
    assert numbers(app)["Chosen"] == "number 3"
