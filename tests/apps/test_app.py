"""Every page of the demo in Streamlit's AppTest, compared with the command line and with a scenario run."""

import inspect
import io
import re
import shlex
import subprocess
import zipfile

import numpy as np
import pyarrow
import pytest
import torch
from PIL import Image

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
import demo_pages
from demo_pages import ALWAYS_LISTED, APPS, captions, code, numbers, open_page, stage
from semcom_demo import calls, photos, recognition, reproduce, scenarios, state, words
from semcom_demo import stage as stage_module

from semcom import sweep
from semcom.cli.main import main
from semcom.images.files import save_png
from semcom.images.sources import load
from semcom.scenario.load import load_scenario
from semcom.sweep.single import deliver_image, link_for

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _small_images(monkeypatch):
    demo_pages.use_small_images(monkeypatch)


def test_every_page_shows_its_source_and_explains_its_widgets():
    for page in ALWAYS_LISTED:
        app = open_page(page, {"systems": "analog"})
        assert not app.error, (page, app.error)
        functions = [
            (module, name)
            for module, name in (
                (calls, "send_photo"),
                (calls, "send_photos"),
                (calls, "hide_file"),
                (scenarios, "run_points"),
                (recognition, "posteriors"),
            )
            if f"def {name}(" in code(app)
        ]
        assert functions, f"{page} shows no source"
        for module, name in functions:
            assert inspect.getsource(getattr(module, name)) in code(app)
        assert "semcom send " in code(app) or "semcom run " in code(app)
        widgets = [*app.slider, *app.selectbox, *app.multiselect, *app.number_input, *app.metric]
        explained_by_text = ["SNR (dB)"] if page == "recognition" else []
        assert [widget.label for widget in widgets if not widget.proto.help] == explained_by_text, page


def sent_by(command, folder, monkeypatch, capsys):
    """Output of a `semcom send` command that a page shows, run in a folder with the image sent."""
    monkeypatch.chdir(folder)
    photo = photos.photographs(64 * 64)["astronaut.png"]
    save_png(photo.pixels, photo.name)
    assert main(shlex.split(command.removeprefix("semcom "))) == 0
    return capsys.readouterr().out


def shown_image(app, index):
    """Pixels of an image of a page."""
    address = stage(app)["panels"][index]["src"]
    content = media[address.rsplit("/", 1)[1].split(".")[0]]
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


media = {}


@pytest.fixture(autouse=True)
def _recorded_media(monkeypatch):
    """Keep the images that pages show."""
    add = stage_module._address

    def record(content, kind):
        address = add(content, kind)
        media[address.rsplit("/", 1)[1].split(".")[0]] = content
        return address

    monkeypatch.setattr(stage_module, "_address", record)


@pytest.mark.parametrize(
    "inputs",
    [
        {"system": "analog", "channel": "rayleigh", "snr": 7, "users": 2, "seed": 3},
        {"system": "digital", "snr": 12, "designed": 9},
        {"system": "digital", "snr": 6, "designed": 9},
    ],
)
def test_the_command_shown_gives_the_image_and_the_metrics_shown(inputs, tmp_path, monkeypatch, capsys):
    app = open_page("send_a_photo", inputs)
    command = re.search(r"^semcom send .*$", code(app), re.MULTILINE)[0]
    output = sent_by(command, tmp_path, monkeypatch, capsys)
    printed = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in output.splitlines())
    metrics = numbers(app)
    assert metrics["PSNR"] == f"{float(printed['PSNR'].split()[0]):.1f} dB"
    assert metrics["Realized SNR"] == f"{float(printed['realized SNR'].split()[0]):.1f} dB"
    assert float(metrics["MS-SSIM"]) == pytest.approx(float(printed["MS-SSIM"]), rel=2e-3)
    received = np.asarray(Image.open(tmp_path / "received.png").convert("RGB"))
    assert np.array_equal(shown_image(app, 1), received)


def test_the_command_of_several_systems_gives_the_images_shown(tmp_path, monkeypatch, capsys):
    app = open_page("compare", {"systems": "analog,deepjscc", "snr": 5})
    command = re.search(r"^semcom send .*$", code(app), re.MULTILINE)[0]
    sent_by(command, tmp_path, monkeypatch, capsys)
    for index, name in enumerate(("analog", "deepjscc"), 1):
        received = np.asarray(Image.open(tmp_path / "received" / f"1-astronaut-{name}.png").convert("RGB"))
        assert np.array_equal(shown_image(app, index), received)


@pytest.mark.parametrize(
    ("page", "inputs", "state", "max_pixels"),
    [
        ("send_a_photo", {"system": "analog", "snr": 7, "users": 2}, {}, 64 * 64),
        ("send_a_photo", {"system": "digital", "snr": 9, "designed": 7}, {}, 64 * 64),
        ("compare", {"systems": "analog"}, {}, 64 * 64),
        ("hide_a_file", {}, {"hide_text": "wave"}, 384 * 384),
        ("many_users", {"system": "analog", "access": "uplink", "users": 2}, {}, None),
    ],
)
def test_the_script_shown_gives_the_image_shown(page, inputs, state, max_pixels, tmp_path, monkeypatch):
    app = open_page(page, inputs, **state)
    if max_pixels is not None:
        save_png(photos.photographs(max_pixels)["astronaut.png"].pixels, tmp_path / "astronaut.png")
    monkeypatch.chdir(tmp_path)
    variables = {}
    exec(app.code[-2].value, variables)
    result = variables.get("result") or variables["results"]["analog"]
    delivery = getattr(result, "delivery", result)
    assert f"PSNR {calls.metric_value('psnr', delivery):.1f} dB" in " ".join(captions(app))


@pytest.mark.parametrize(
    ("page", "inputs"),
    [
        ("send_a_photo", {"system": "analog", "channel": "rayleigh", "snr": 7, "seed": 3}),
        ("compare", {"systems": "analog,digital", "snr": 6, "designed": 9}),
    ],
)
def test_the_scenario_shown_gives_the_psnr_shown(page, inputs, tmp_path):
    app = open_page(page, inputs)
    (text,) = [block.value for block in app.code if block.value.startswith("title:")]
    archive = reproduce.archive(text, photos.Photo(photos.photographs(64 * 64)["astronaut.png"], "astronaut"))
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        file.extractall(tmp_path)
    scenario = load_scenario(tmp_path / "scenario.yaml")
    psnrs_db = [sweep.run_point(point).rows["psnr"][0].as_py() for point in scenario.points()]
    for psnr_db, caption in zip(psnrs_db, captions(app)[1:], strict=True):
        assert f"PSNR {psnr_db:.1f} dB" in caption or "Outage" in caption
    assert len(psnrs_db) == len(captions(app)) - 1


# --- state -----------------------------------------------------------------------------------------------------------


def test_the_address_restores_the_inputs_and_other_pages_share_them():
    app = open_page("send_a_photo", {"snr": "3", "system": "analog", "cbr": "1/24", "image": "coffee.png"})
    assert stage(app)["values"] == {"snr": 3, "designed": 3, "together": True}
    assert [box.value for box in app.selectbox][:2] == ["analog", "coffee.png"]
    app.selectbox(key="input_channel").set_value("rician").run()
    app.switch_page("pages_/compare.py").run()
    expected = {"snr": "3", "system": "analog", "cbr": "1/24", "image": "coffee.png", "channel": "rician"}
    assert {name: text for name, (text,) in parsed(app).items()} == expected
    assert app.selectbox(key="input_channel").value == "rician"
    assert stage(app)["values"]["snr"] == 3


def parsed(app):
    """The parts of the address."""
    return {name: value if isinstance(value, list) else [value] for name, value in app.query_params.items()}


def test_invalid_parts_of_the_address_are_named_and_ignored():
    app = open_page("send_a_photo", {"snr": "900", "system": "pigeon", "channel": "rayleigh", "wave": "1"})
    (warning,) = [element.value for element in app.warning]
    for part in ("snr=900", "system=pigeon", "wave=1"):
        assert part in warning
    assert app.selectbox(key="input_channel").value == "rayleigh"
    assert stage(app)["values"]["snr"] == 10


def test_a_run_with_the_address_before_the_last_change_keeps_the_change(monkeypatch):
    app = open_page("send_a_photo", {"system": "analog", "snr": "9"})
    app.selectbox(key="input_channel").set_value("rician").run()
    del app.query_params["channel"]  # the browser asked for this run before it had the new address
    app.run()
    assert app.selectbox(key="input_channel").value == "rician"
    assert parsed(app)["channel"] == ["rician"]
    monkeypatch.setattr(state, "_LATE_S", 0.0)
    del app.query_params["channel"]
    app.run()
    assert app.selectbox(key="input_channel").value == "awgn", "an address that a visitor opens is restored"


def test_a_partial_run_does_not_bring_old_inputs_back(monkeypatch):
    """A fragment that runs by itself may send the widgets as they were before the last button."""
    app = open_page("send_a_photo", {"system": "analog", "seed": "3"})
    monkeypatch.setattr(state, "is_partial_run", lambda: True)
    app.number_input(key="input_seed").set_value(2).run()
    assert parsed(app)["seed"] == ["3"]
    assert app.number_input(key="input_seed").value == 3
    app = open_page("story", state.query(step=3, snr=12, designed=10))
    app.radio(key="story_step").set_value(2).run()
    assert parsed(app)["step"] == ["3"]


def test_digital_fails_and_analog_does_not_where_the_channel_is_worse_than_designed():
    sentences = captions(open_page("compare", {"systems": "digital,analog", "snr": 7, "designed": 10}))
    assert "Outage: the file could not be decoded" in sentences[1]
    assert "PSNR" in sentences[2]
    better = captions(open_page("compare", {"systems": "digital,analog", "snr": 13, "designed": 10}))
    same = captions(open_page("compare", {"systems": "digital,analog", "snr": 10}))
    assert better[1] == same[1], "a better channel does not change the file"
    assert better[2] != same[2]


def test_a_higher_snr_raises_the_psnr():
    low, high = (
        numbers(open_page("send_a_photo", {"system": "analog", "snr": snr_db}))["PSNR"].split()[0] for snr_db in (0, 20)
    )
    assert float(high) > float(low) + 3


def test_another_realization_changes_the_fade_and_the_command():
    app = open_page("send_a_photo", {"system": "analog", "channel": "rayleigh"})
    first = numbers(app)["Realized SNR"]
    (button,) = [button for button in app.button if button.label == "Another realization"]
    button.click().run()
    assert numbers(app)["Realized SNR"] != first
    assert "--seed 1" in code(app)
    assert parsed(app)["seed"] == ["1"]


def test_systems_have_the_same_color_whichever_are_shown():
    colors = [
        {panel["name"]: panel["color"] for panel in stage(open_page("compare", {"systems": systems}))["panels"]}
        for systems in ("analog,deepjscc", "deepjscc")
    ]
    assert colors[0]["DeepJSCC"] == colors[1]["DeepJSCC"] == words.SYSTEM_COLORS["deepjscc"]
    assert colors[0]["Analog DCT"] != colors[0]["DeepJSCC"]


def test_many_users_are_the_first_rows_of_the_scenario_shown(tmp_path):
    app = open_page("many_users", {"system": "analog", "access": "uplink", "users": 3})
    (text,) = [block.value for block in app.code if block.value.startswith("title:")]
    (tmp_path / "users.yaml").write_text(text)
    assert "antennas: 8" in text
    (point,) = load_scenario(tmp_path / "users.yaml").points()
    expected = sweep.run_point(point).rows["psnr"].to_pylist()[:3]
    psnrs_db = [float(re.search(r"([\d.]+) dB", caption)[1]) for caption in captions(app)]
    assert psnrs_db == pytest.approx(expected, abs=0.06)


def test_channel_uses_per_user_fall_with_the_number_of_users():
    pages = [open_page("many_users", {"system": "analog", "users": count}) for count in (1, 4)]
    one, four = (int(numbers(page)["Channel uses per user"].replace(",", "")) for page in pages)
    assert one == pytest.approx(4 * four, rel=0.01)


def test_a_broadcast_sends_one_image_to_all_users():
    app = open_page("many_users", {"system": "analog", "access": "broadcast", "users": 2})
    assert [caption.split(":")[0] for caption in captions(app)] == ["User 1, astronaut", "User 2, astronaut"]
    assert "One transmission of one image" in " ".join(caption.value for caption in app.caption)


def test_a_file_is_written_completely_or_not_at_all():
    app = open_page("hide_a_file", {"snr": 15}, hide_text="wave")
    assert [message.value for message in app.success] == ["message.txt received: 4 bytes, checksum correct."]
    assert "\nwave\n" in f"\n{code(app)}\n"
    app.query_params["snr"] = "-4"
    app.query_params["channel"] = "rayleigh"
    app.run()
    errors = [message.value for message in app.error]
    assert bool(errors) != bool(app.success)
    assert not errors or "message.txt could not be decoded" in errors[0]
    capacity = int(numbers(app)["Largest file that fits"].split()[0])
    app.text_area(key="hide_text").set_value("x" * (capacity + 1)).run()
    assert f"message.txt has {capacity + 1} bytes" in app.error[0].value
    assert not app.success


def test_a_message_with_bit_errors_is_not_delivered():
    """At -15 dB no message can be decoded."""
    photo = load("photos", 1, 128)[0]
    hidden = calls.hide_file(photo, b"wave", calls.make_point("carrier_image", "awgn", -15, medium_cbr=1 / 8))
    assert hidden.payload is None


def test_the_curves_rise_and_are_computed_once(monkeypatch):
    app = open_page("compare", {"systems": "analog"}, curves_shown=True)
    (chart,) = app.get("vega_lite_chart")
    rows = chart_rows(chart)
    assert [row["system"] for row in rows] == ["Analog DCT"] * len(rows)
    assert rows[-1]["value"] > rows[0]["value"] + 5
    sent = []
    monkeypatch.setattr(calls, "send_photo", lambda *arguments: sent.append(arguments))
    app.run()
    assert not sent, "all transmissions are in memory"


def test_the_band_over_fading_is_that_of_50_transmissions(monkeypatch):
    monkeypatch.setattr("semcom_demo.curves._snrs_db", lambda averaged: range(4, 9, 4))
    app = open_page("compare", {"systems": "analog", "channel": "rayleigh"}, curves_shown=True)
    rows = {(row["system"], row["snr_db"]): row for row in chart_rows(app.get("vega_lite_chart")[0])}
    image = photos.photographs(64 * 64)["astronaut.png"]
    point = calls.make_point("analog", "rayleigh", 8.0)
    link = link_for(point, calls.build_channel(point.channel), image)
    deliveries = [deliver_image(link, point, image, index, message=None) for index in range(50)]
    psnrs_db = torch.tensor([calls.metric_value("psnr", delivery) for delivery in deliveries])
    row = rows["Analog DCT", 8]
    assert row["value"] == pytest.approx(psnrs_db.mean().item(), abs=1e-3)
    low, high = psnrs_db.quantile(torch.tensor([0.1, 0.9])).tolist()
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=1e-3)
    outages = {(row["system"], row["snr_db"]): row["value"] for row in chart_rows(app.get("vega_lite_chart")[1])}
    assert outages["Analog DCT", 8] == torch.stack([d.reception.outage[0] for d in deliveries]).float().mean()
    assert outages["Outage capacity", 8] == pytest.approx(0.1, abs=0.15), "50 draws of an outage probability of 0.1"


def chart_rows(chart):
    """The data of a chart."""
    return pyarrow.ipc.open_stream(chart.proto.data.data).read_all().to_pylist()


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_starts_the_demo_of_this_checkout(monkeypatch):
    commands, environments = [], []

    def run(command, env):
        commands.extend(command)
        environments.append(env)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert main(["app", "--port", "8600", "--no-browser", "--device", "cpu"]) == 0
    assert environments[0]["SEMCOM_DEVICE"] == "cpu"
    assert str(APPS / "demo.py") in commands
    assert {"--server.port=8600", "--server.address=localhost", "--browser.gatherUsageStats=false"} <= set(commands)


def test_without_streamlit_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["app"]) == 2
    assert capsys.readouterr().err == "semcom: streamlit is not installed: pip install 'semcom[app]'\n"


def test_every_tooltip_is_written():
    used = set()
    for path in APPS.rglob("*.py"):
        used |= set(re.findall(r'TOOLTIPS\["(\w+)"\]', path.read_text()))
    assert used <= words.TOOLTIPS.keys()
