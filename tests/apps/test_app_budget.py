"""The pages on the energy budget and on the recognition of modulations."""

import pyarrow
import pytest

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
import demo_pages
from demo_pages import numbers, open_page
from semcom_demo import calls, energy, photos, recognition

from semcom.budget import load_hardware
from semcom.recognition.recording import CANDIDATES
from semcom.recognition.task import load_task

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _small_images(monkeypatch):
    demo_pages.use_small_images(monkeypatch)


def columns(app):
    """Columns of the table of the page, by their title."""
    (text,) = [block.value for block in app.markdown if block.value.startswith("|  |")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return {name: {row[0]: row[number] for row in rows} for number, name in enumerate(head) if name}


def test_the_quality_is_that_of_the_snr_and_the_radio_energy_that_of_the_power():
    inputs = {"systems": "analog,deepjscc", "size": "64", "distance": "500"}
    app = open_page("budget", inputs)
    assert numbers(app)["SNR of the link"] == "7 dB", "20 dBm - 40 dB - 81 dB + 108 dBm"
    delivery = calls.send_photo(photos.square_photographs(64)[0], calls.make_point("analog", "awgn", 7.0))
    found = columns(app)
    assert found["Analog DCT"]["PSNR"] == f"{calls.metric_value('psnr', delivery):.1f} dB"
    assert found["Analog DCT"]["Computation"] == "not counted", "not zero"
    assert float(found["DeepJSCC"]["Computation"].split()[0]) > 0
    radio_mj = 1e3 * int(delivery.uses[0]) * 0.1 / 0.3 / 1e6
    assert float(found["Analog DCT"]["Radio"].split()[0]) == pytest.approx(radio_mj, rel=0.01)
    louder = columns(open_page("budget", inputs | {"power": "1000"}))
    assert float(louder["Analog DCT"]["Radio"].split()[0]) == pytest.approx(10 * radio_mj, rel=0.01)
    assert louder["DeepJSCC"]["Computation"] == found["DeepJSCC"]["Computation"]


def test_uncounted_computation_and_the_radiated_power_are_in_words():
    app = open_page("budget", {"systems": "analog,deepjscc", "size": "64", "power": "1000"})
    energies, delays = (
        {row["system"] for row in pyarrow.ipc.open_stream(chart.proto.data.data).read_all().to_pylist()}
        for chart in app.get("vega_lite_chart")
    )
    assert energies == {"Analog DCT\ncomputation not counted", "DeepJSCC"}
    assert delays == {"Analog DCT", "DeepJSCC"}
    assert any("The computation is not zero" in caption.value for caption in app.caption)
    (hardware,) = [box for box in app.selectbox if box.label == "Hardware"]
    assert all(option.endswith("1000 mW radiated") for option in hardware.options)
    assert "* `radiated_w` = 1: slider of this page" in [block.value for block in app.markdown]


def test_the_delay_is_that_of_both_ends_and_of_the_channel_uses():
    photo = photos.Photo(photos.square_photographs(64)[0], "square 64")
    point = calls.make_point("deepjscc", "awgn", 10.0)
    measured = energy.cost(photo, point)
    line = energy.line(measured, None, "deepjscc", load_hardware("arithmetic_45nm"))
    assert line.seconds == (measured.transmitter.cpu_s, 768 / 1e6, measured.receiver.cpu_s)


def test_the_recognizers_agree_on_a_clear_frame_and_none_beats_the_bound(monkeypatch):
    symbols = recognition.frames("8psk", 512, 18.0, [1], 0.7)
    found = recognition.posteriors(symbols, 18.0, 0.7)
    for values in found.values():
        assert CANDIDATES[int(values[0].argmax())] == "8psk"
        assert float(values.sum()) == pytest.approx(1)
    monkeypatch.setattr(recognition, "FRAMES", 8)
    bound, *others = recognition.accuracy.__wrapped__(64, 6.0, 0).values()
    assert all(one.mean <= bound.high for one in others)
    assert bound.mean > 1 / len(CANDIDATES)


def test_the_page_shows_the_decisions_for_the_modulation_of_the_address(tmp_path):
    app = open_page("recognition", {"modulation": "bpsk", "snr": "20", "frame": "64"})
    text = " ".join(caption.value for caption in app.caption)
    assert "Transmitted: BPSK." in text
    assert all(f"{name}: BPSK" in text for name in recognition.COLORS)
    (tmp_path / "scenario.yaml").write_text(app.code[0].value)
    task = load_task(tmp_path / "scenario.yaml")
    assert (task.modulations, task.uses, task.recognizers[0]) == (CANDIDATES, (64,), "all_known")
    assert 20 in task.snr_db
    variables = {}
    exec(next(block.value for block in app.code if block.value.startswith("from")), variables)
    assert {CANDIDATES[int(values[0].argmax())] for values in variables["result"].values()} == {"bpsk"}
