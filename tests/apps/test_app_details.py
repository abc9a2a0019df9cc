"""Details of the demo's pages: the story, files to download, what crossed the channel, errors of candidates."""

import csv
import io
import math
import threading
import time
import zipfile
from dataclasses import replace

import numpy as np
import pyarrow
import pytest
import torch
from PIL import Image

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
import demo_pages
from demo_pages import captions, open_page, stage
from semcom_demo import (
    calls,
    content,
    downloads,
    generation,
    memory,
    parts,
    photos,
    prefetch,
    shots,
    signals,
    state,
    story,
    words,
)
from semcom_demo.parts import Inputs
from semcom_demo.stage import Panel

from semcom.images.animation import difference_map
from semcom.images.files import to_bytes
from semcom.metrics.budget import channel_uses_by_part
from semcom.sweep.single import link_for

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _small_images(monkeypatch):
    demo_pages.use_small_images(monkeypatch)


@pytest.fixture
def inputs():
    image = photos.photographs(64 * 64)["astronaut.png"]
    return Inputs(photos.Photo(image, "astronaut small"), "awgn", 1 / 16, 0)


def opened(content):
    return Image.open(io.BytesIO(content))


# --- the story -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, len(story.STEPS) + 1))
def test_each_step_of_the_story_has_its_images_and_texts_to_go_on_with(number):
    step = story.STEPS[number - 1]
    if not calls.available_systems(step.systems[-1:]):
        pytest.skip(f"the weights of {step.systems[-1]} are missing")
    app = open_page("story", state.query(step=number, **step.inputs))
    assert not app.error
    assert [caption.split(":")[0] for caption in captions(app)] == ["Image sent", *map(words.title, step.systems)]
    for path in (step.notebook, step.document):
        text = story.text_of(path)
        assert len(text) > 500, path
        assert "![" not in text


def test_the_first_page_starts_at_the_cliff():
    app = demo_pages.start_demo()
    assert app.query_params["step"] in ("1", ["1"])
    assert stage(app)["values"] == {"snr": 12, "designed": 10, "together": False}
    app.radio(key="story_step").set_value(4).run()
    assert stage(app)["values"] == {"snr": 6, "designed": 10, "together": False}
    assert app.query_params["channel"] in ("rayleigh", ["rayleigh"])


def test_the_story_shows_what_it_says():
    """Steps 4 and 5 at the size of the page; the cliff of step 1 is a test of the browser."""
    photo = photos.Photo(photos.photographs(256 * 192)["astronaut.png"], "astronaut")
    fading = story.STEPS[3].inputs
    results = {
        name: [
            shots.transmit(
                photo,
                calls.make_point(
                    name, "rayleigh", fading["snr"], seed=fading["seed"] + press, designed_snr_db=fading["designed"]
                ),
            )
            for press in range(3)
        ]
        for name in ("digital", "deepjscc")
    }
    first, second, third = results["digital"]
    assert not first.outage
    assert first.values["psnr"] == second.values["psnr"]
    assert third.outage, "the second press finds a deep fade"
    by_gain = sorted(results["deepjscc"], key=lambda shot: shot.gain_db)
    assert [shot.values["psnr"] for shot in by_gain] == sorted(shot.values["psnr"] for shot in by_gain)
    step = story.STEPS[4]
    if calls.available_systems(step.systems[1:]):
        digital, generated = (
            shots.transmit(photo, calls.make_point(name, "awgn", step.inputs["snr"], medium_cbr=step.inputs["cbr"]))
            for name in step.systems
        )
        assert generated.values["ms_ssim"] > digital.values["ms_ssim"] + 0.05
        assert generated.values["psnr"] < digital.values["psnr"]


# --- downloads -------------------------------------------------------------------------------------------------------


def test_the_files_to_download_are_those_of_the_transmission(inputs):
    points = [calls.make_point(name, "awgn", 8.0) for name in ("analog", "deepjscc")]
    results = [shots.transmit(inputs.photo, point) for point in points]
    delivery = calls.send_photo(inputs.photo.image, points[0])
    assert np.array_equal(opened(results[0].png), to_bytes(delivery.reception.images[0]))
    expected = difference_map(
        inputs.photo.image.pixels, torch.from_numpy(np.array(opened(results[0].png))).permute(2, 0, 1) / 255
    )
    assert np.array_equal(opened(downloads.difference(inputs, results[0])), to_bytes(expected))
    table = [downloads.line("astronaut.png", *each) for each in zip(points, results, strict=True)]
    lines = list(csv.DictReader(io.StringIO(downloads.as_csv(table))))
    assert [line["system"] for line in lines] == ["analog", "deepjscc"]
    assert float(lines[0]["psnr"]) == calls.metric_value("psnr", delivery)
    assert int(lines[0]["uses"]) == int(delivery.uses[0])
    assert lines[1]["designed_snr_db"] == "8.0"
    page = opened(downloads.side_by_side(inputs, points, results))
    assert page.width > 3 * 224
    assert page.height > 224, "captions are below the images"


def test_all_images_of_a_page_are_in_one_archive(inputs):
    panels = [Panel("Image sent", "", b"one"), Panel("WebP, equal channel uses", "", b"two")]
    with zipfile.ZipFile(io.BytesIO(downloads.archive(panels))) as file:
        assert {name: file.read(name) for name in file.namelist()} == {
            "1_image_sent.png": b"one",
            "2_webp_equal_channel_uses.png": b"two",
        }


@pytest.mark.parametrize(
    ("page", "inputs"), [("hide_a_file", {"snr": 15}), ("many_users", {"system": "analog", "users": 6})]
)
def test_the_files_of_a_page_with_other_panels_are_those_that_it_shows(page, inputs, monkeypatch):
    offered = []
    monkeypatch.setattr(downloads, "show_panels", lambda *given: offered.append(given))
    shown = captions(open_page(page, inputs))
    ((panels, lines, _),) = offered
    assert [f"{panel.name}: {panel.caption}" for panel in panels] == shown
    table = list(csv.DictReader(io.StringIO(downloads.as_csv(lines))))
    for line, caption in zip(reversed(table), reversed(shown), strict=False):
        assert f"PSNR {float(line['psnr']):.1f} dB" in caption
    together, first = opened(downloads.captioned(panels)), opened(panels[0].png)
    assert together.width > min(5, len(panels)) * first.width
    assert together.height > math.ceil(len(panels) / 5) * first.height, "with captions"


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_the_animation_has_the_frames_of_the_transmissions(inputs, kind):
    levels, sent = range(6, 3, -1), parts.sent_panel(inputs.photo)
    results = {level: shots.transmit(inputs.photo, calls.make_point("analog", "awgn", level)) for level in levels}
    frames = [(level, [parts.panel("analog", shot)]) for level, shot in results.items()]
    movie = opened(downloads.moving([sent], frames, kind))
    assert (movie.n_frames, movie.format) == (3, kind)
    for number, level in enumerate(levels):
        movie.seek(number)
        frame = np.asarray(movie.convert("RGB")).astype(int)[8 : 8 + 256, 8 + 256 + 16 : 8 + 256 + 16 + 256]
        assert movie.info["duration"] == 200
        differences = {
            other: np.abs(frame - np.asarray(opened(shot.png)).astype(int).repeat(4, 0).repeat(4, 1)).mean()
            for other, shot in results.items()
        }
        assert min(differences, key=differences.get) == level
        assert differences[level] <= (0 if kind == "WEBP" else 5), "lossless, or 256 colors"


def test_frames_whose_captions_have_more_lines_make_one_animation():
    png = photos.to_png(torch.zeros(3, 64, 64))
    frames = [(level, [Panel("Image", "word " * (1 + 30 * (level < 2)), png)]) for level in range(3)]
    assert opened(downloads.moving([], frames, "GIF")).n_frames == 3


@pytest.mark.parametrize(
    ("page", "inputs"),
    [
        ("send_a_photo", {"system": "analog"}),
        ("compare", {"systems": "analog"}),
        ("hide_a_file", {}),
        ("many_users", {"system": "analog", "users": 2}),
    ],
)
def test_each_page_with_frames_offers_their_animation(page, inputs, monkeypatch):
    offered = []
    monkeypatch.setattr(downloads, "_offer_animation", lambda *given: offered.append(given))
    monkeypatch.setattr(shots, "FRAME_SNRS_DB", (10,))
    app = open_page(page, inputs)
    still, ((snr_db, panels),) = offered[-1]  # the first page is the story
    assert snr_db == 10, "that of the slider, so that the only frame is known"
    shown = [f"{panel.name}: {panel.caption}" for panel in panels]
    assert shown == captions(app)[len(captions(app)) - len(panels) :]
    assert len(still) == len(captions(app)) - len(panels)


# --- what crossed the channel ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["awgn", "rayleigh", "tdl"])
def test_what_crossed_the_channel_is_that_of_the_transmission(inputs, channel):
    point = calls.make_point("digital", channel, 12.0)
    delivery, built = calls.send_photo(inputs.photo.image, point), calls.build_channel(point.channel)
    parts = channel_uses_by_part(delivery, built)
    assert sum(parts.values()) == pytest.approx(int(delivery.medium_uses[0]))
    rows = signals.constellation(delivery)
    received, sent = ([row for row in rows if row["kind"] == kind] for kind in ("received", "sent"))
    assert len(received) == min(signals.POINTS, int(delivery.uses[0]))
    symbols = {(value.real, value.imag) for value in delivery.signals.sent[0, : int(delivery.uses[0])].tolist()}
    assert {(row["real"], row["imaginary"]) for row in sent} == symbols, "each constellation point once"
    assert len(sent) == len(symbols)
    assert rows[0]["real"] == delivery.signals.received.symbols[0, 0].real
    app = open_page("send_a_photo", {"channel": channel, "snr": 12}, signals_shown=True)
    text = " ".join(caption.value for caption in app.caption)
    assert "Modulation and code rate, chosen for the designed SNR" in text
    assert f"Budget of {sum(parts.values()):,.0f} channel uses" in text
    assert ("pilots" in text) == (channel == "tdl")


def test_the_gain_shown_explains_the_realized_snr(inputs):
    delivery = calls.send_photo(inputs.photo.image, calls.make_point("analog", "rayleigh", 12.0))
    gain_db = float(signals.gains_db(delivery)[0])
    assert float(delivery.snr_realized_db[0]) == pytest.approx(12 + gain_db, abs=0.5)
    assert shots.shot_of(delivery).gain_db == pytest.approx(gain_db, abs=1e-3)
    app = open_page("send_a_photo", {"system": "analog", "channel": "rayleigh", "snr": 12})
    assert f"|h|² is {gain_db:+.1f} dB" in " ".join(caption.value for caption in app.caption)


# --- candidates ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not calls.available_systems(["multimodal_generation"]), reason="weights are missing")
def test_the_errors_of_the_candidates_are_drawn(monkeypatch):
    monkeypatch.setattr(generation, "BASELINES", dict(list(generation.BASELINES.items())[:2]))
    app = open_page("candidates", {"cbr": "1/8", "caption": "an astronaut"}, candidates_baselines=True)
    shown = captions(app)
    assert [caption.split(":")[0] for caption in shown[-2:]] == ["AVIF file", "Caption only"]
    chart, _ = app.get("vega_lite_chart")  # the second one only loads the library
    rows = pyarrow.ipc.open_stream(chart.proto.data.data).read_all().to_pylist()
    (selected,) = [row for row in rows if row["kind"] == "selected"]
    assert selected["score"] == min(row["score"] for row in rows)
    assert f"Candidate {selected['number']}, selected" in " ".join(shown)
    monkeypatch.setattr(calls, "send_photo", lambda *arguments: pytest.fail("generates the candidates again"))
    app.session_state["candidates_baselines"] = False
    app.toggle(key="signals_shown").set_value(True).run()
    assert not app.exception
    assert any("image features are received" in caption.value for caption in app.caption)


# --- what the symbols convey -----------------------------------------------------------------------------------------


def receiver_of(image, point):
    return link_for(point, calls.build_channel(point.channel), image).system.receiver


def test_the_patches_shown_are_those_that_the_message_selects(inputs):
    image, point = inputs.photo.image, calls.make_point("carrier_image", "awgn", 15.0, medium_cbr=1 / 8)
    delivery = calls.send_photo(image, point)
    agreement = receiver_of(image, point).agreement
    shown = content.transmitted_patches(image, agreement, delivery.truth["message"][0])
    side = agreement.tile // round(agreement.patches**0.5)
    (mask,) = agreement.code.embed(delivery.truth["message"][0].numpy()[None])  # 64 x 64 pixels: part of one tile
    grid = mask.reshape(agreement.tile // side, -1)
    for row in range(64 // side):
        for column in range(64 // side):
            part = (slice(None), slice(side * row, side * (row + 1)), slice(side * column, side * (column + 1)))
            expected = torch.full_like(shown[part], 0.5) if grid[row, column] else image.pixels[part]
            assert torch.equal(shown[part], expected)


@pytest.mark.parametrize(("snr", "text"), [(15, "Mask received"), (-10, "outage, no mask and no message")])
def test_a_carrier_image_shows_its_mask_and_its_message(snr, text):
    app = open_page("send_a_photo", {"system": "carrier_image", "cbr": "1/8", "snr": snr}, signals_shown=True)
    shown = [caption.value for caption in app.caption] + [image.proto.imgs[0].caption for image in app.get("image")]
    assert any(text in line for line in shown)
    assert any(set(line.value) <= set("01-\n") and "\n" in line.value for line in app.code)


@pytest.mark.skipif(not calls.available_systems(["multimodal_generation"]), reason="weights are missing")
def test_repeated_features_have_the_snr_of_the_channel_and_that_of_the_repetitions(inputs):
    """Two features share a complex symbol; k repetitions divide the noise variance by k."""
    image = inputs.photo.image
    settings = ["multimodal_generation.candidates=1", "multimodal_generation.steps=1"]
    for snr_db in (4.0, 10.0):
        point = calls.make_point("multimodal_generation", "awgn", snr_db, medium_cbr=1 / 8, settings=settings)
        delivery = calls.send_photo(image, point)
        found = content.feature_snrs_db(receiver_of(image, point), delivery)
        uses = channel_uses_by_part(delivery, calls.build_channel(point.channel))
        for name, snrs_db in found.items():
            repetitions = uses[f"{name} stream"] / (len(snrs_db) / 2)
            assert snrs_db == pytest.approx([snr_db + 10 * math.log10(repetitions)] * len(snrs_db), abs=0.01)


# --- memory ----------------------------------------------------------------------------------------------------------


def test_the_memory_holds_the_results_used_last(inputs):
    results = memory.Memory("test", most=2, most_of_upload=1)
    points = [calls.make_point("analog", "awgn", snr_db) for snr_db in (1.0, 2.0, 3.0)]
    upload = replace(inputs.photo, memory={}, results={})
    for photo, in_memory in ((inputs.photo, [True, False, True]), (upload, [False, False, True])):
        for point in (points[0], points[1], points[0], points[2]):
            results.get(photo, point, lambda: 0)
        assert [results.has(photo, point) for point in points] == in_memory


# --- frames ahead of the slider --------------------------------------------------------------------------------------


def test_visitors_take_turns_with_their_frames_and_pages_come_first():
    done, all_done = [], threading.Event()

    def job(visitor, number):
        def transmit():
            done.append((visitor, number))
            if number == 3:
                all_done.set()

        return transmit

    worker = prefetch.Prefetch(lambda visitor: visitor != "gone")
    with worker.paused():
        worker.ask("gone", [job("gone", 1), job("gone", 2)])
        worker.ask("first", [job("old", 0)])
        worker.ask("first", [job("first", number) for number in (1, 2, 3)])
        worker.ask("second", [job("second", number) for number in (1, 2)])
        time.sleep(0.05)
        assert not done, "a page is running"
    assert all_done.wait(10)
    assert done == [("first", 1), ("second", 1), ("first", 2), ("second", 2), ("first", 3)]


def test_a_frame_that_fails_does_not_stop_the_frames_of_others(caplog):
    def fail():
        raise ImportError("a library that another thread is importing")

    worker, done = prefetch.Prefetch(lambda visitor: True), threading.Event()
    with worker.paused():
        worker.ask("first", [fail])
        worker.ask("second", [done.set])
    assert done.wait(10)
    assert "another thread is importing" in caplog.text


def test_the_first_frames_are_spread_over_all_snrs():
    order = prefetch.order(7, shots.FRAME_SNRS_DB)
    assert sorted(order) == sorted(shots.FRAME_SNRS_DB)
    assert order[0] == 8, "the nearest one of the coarse grid"
    assert all(min(abs(level - known) for known in order[:6]) <= 3 for level in shots.FRAME_SNRS_DB)
