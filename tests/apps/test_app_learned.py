"""Pages of the demo for systems whose bundled weights may be missing."""

import pytest

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
import demo_pages
from demo_pages import ALWAYS_LISTED, captions, listed_pages, numbers, open_page
from semcom_demo import calls, photos, scenes, state

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _small_images(monkeypatch):
    demo_pages.use_small_images(monkeypatch)


def test_pages_without_weights_are_not_listed(monkeypatch):
    monkeypatch.setattr(calls, "_bundled", lambda name: False)
    pages = listed_pages(demo_pages.start_demo())
    assert set(ALWAYS_LISTED) <= pages
    assert "street_scene" not in pages
    assert ("candidates" in pages) == bool(calls.available_systems(["multimodal_generation"]))
    monkeypatch.setattr(calls, "_bundled", lambda name: name == "scene_segmenter")
    assert "street_scene" in listed_pages(demo_pages.start_demo())


@pytest.fixture
def _small_scene(monkeypatch):
    demo_pages.use_small_scene(monkeypatch)


def table(app):
    """Columns of the table of the street page, by their title."""
    (text,) = [block.value for block in app.markdown if block.value.startswith("|  | Label map")]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    head, _, *rows = lines
    return {name: {row[0]: row[column] for row in rows} for column, name in enumerate(head) if name}


@pytest.mark.usefixtures("_small_scene")
def test_the_street_page_compares_at_equal_channel_uses_and_scores_meaning():
    app = open_page("street_scene", {"snr": 20, "cbr": "1/8"})
    assert len(captions(app)) == 4
    rows = table(app)
    assert rows["Label map"]["Channel uses"] == rows["WebP"]["Channel uses"]
    point = calls.make_point("scene", "awgn", 20, medium_cbr=1 / 8, settings=calls.scene_settings())
    delivery = calls.send_photo(photos.street_scenes(*photos.STREET_SOURCE)[0], point)
    assert rows["Label map"]["mIoU"] == f"{calls.metric_value('miou', delivery):.2f}"
    assert rows["Label map"]["Size"] == f"{int(delivery.truth['map_bytes'][0])} bytes"
    person = calls.metric_value("person_presence_accuracy", delivery)
    assert rows["Label map"]["Pedestrians"] == ("correct" if person else "wrong")


@pytest.mark.usefixtures("_small_scene")
def test_the_street_page_shows_the_coarse_label_map_or_that_none_fits(monkeypatch):
    """Where not even the coarsest label map fits, the page says so."""
    monkeypatch.setattr(calls, "scene_settings", lambda: ["scene.weights=none", "scene.downsampling=4"])
    app = open_page("street_scene", {"snr": 20, "cbr": "1/8"})
    assert any("bytes, at 1/4 of the width and height" in caption for caption in captions(app))
    point = calls.make_point("scene", "awgn", 20, medium_cbr=1 / 8, settings=calls.scene_settings())
    delivery = calls.send_photo(photos.street_scenes(*photos.STREET_SOURCE)[0], point)
    sent, received = calls.label_maps(delivery)
    assert (sent == received).all()
    assert (sent[:, ::4, ::4].repeat_interleave(4, 1).repeat_interleave(4, 2) == sent).all()
    app = open_page("street_scene", {"snr": state.SNR_RANGE_DB[0], "cbr": "1/96"})
    assert any("even the coarsest one exceeds the available channel uses" in caption for caption in captions(app))
    assert table(app)["Label map"]["Compression ratio"] == "none"


@pytest.mark.usefixtures("_small_scene")
def test_the_quiz_hides_the_scene_and_knows_it():
    app = open_page("street_scene", {"snr": 20, "cbr": "1/8"}, street_quiz=True)
    assert [caption.split(":")[0] for caption in captions(app)] == [
        "Generated from the label map",
        "WebP, equal channel uses",
    ]
    (image,) = photos.street_scenes(*photos.STREET_SOURCE)
    asked = scenes.questions(image)
    for question, _, answer in asked:
        app.radio(key=f"quiz {image.name} {question}").set_value(answer)
    app.run()
    assert next(message.value for message in app.info).startswith(f"{len(asked)} of {len(asked)} answers are correct.")
    present = {question: answer for question, _, answer in asked}
    assert (present["Is there a car?"] == "yes") == (int((image.labels == 8).sum()) >= image.labels.numel() / 1600)


THREE_CANDIDATES = '''
import torch
from semcom import Receiver, Reception, System
from semcom.systems import analog

class ThreeCandidates(Receiver):
    def __init__(self, inner):
        self.inner = inner

    def decode(self, received, size, rng):
        images = self.inner.decode(received, size, rng).images
        candidates = torch.stack([images, 1 - images, images / 2], 1)
        scores = torch.tensor([[0.5, 2.0, 0.25]]).expand(len(images), -1)
        return Reception(candidates[:, 2], received.uses, candidates=candidates, scores=scores,
                         chosen=torch.full((len(images),), 2))

def build(cbr: float) -> System:
    """Three candidates."""
    inner = analog.build(cbr)
    return System("three", "a toy", inner.transmitter, ThreeCandidates(inner.receiver), "cbr")
'''


def test_the_candidates_page_marks_the_selected_one(tmp_path, monkeypatch):
    (tmp_path / "three.py").write_text(THREE_CANDIDATES)
    monkeypatch.setattr(calls, "available_systems", list)
    app = open_page("candidates", candidates_system=str(tmp_path / "three.py"))
    shown = captions(app)
    assert shown[0].startswith("Image sent")
    assert shown[1:] == ["Candidate 1: Score 0.5", "Candidate 2: Score 2", "Candidate 3, selected: Score 0.25"]
    assert numbers(app)["Selected candidate"] == "number 3"


def test_a_typed_sentence_is_in_the_command_and_the_address(tmp_path, monkeypatch):
    (tmp_path / "three.py").write_text(THREE_CANDIDATES)
    monkeypatch.setattr(calls, "available_systems", list)
    app = open_page("candidates", {"caption": "a woman in a suit"}, candidates_system=str(tmp_path / "three.py"))
    assert app.text_input(key="input_caption").value == "a woman in a suit"
    assert "--caption 'a woman in a suit'" in demo_pages.code(app)
