"""The demo: every page in Streamlit's own tester, and uploads that are no photographs."""

import inspect
import io
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
APPS = Path(__file__).parents[1] / "apps"
sys.path.insert(0, str(APPS))  # as Streamlit does

from semcom_demo import calls, parts, uploads, words  # noqa: E402
from streamlit.testing.v1 import AppTest  # noqa: E402

from channels import UsageError  # noqa: E402
from semcom import cache, sweep, table  # noqa: E402
from semcom.__main__ import main  # noqa: E402
from semcom.images import load, save_png  # noqa: E402
from semcom.scenario import load_scenario  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
PAGES = sorted(path.stem for path in (APPS / "pages_").glob("*.py"))
ALWAYS = [page for page in PAGES if page not in ("street_scene", "candidates")]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Pictures of a size that matters to nobody, so that a page takes a second."""
    monkeypatch.setattr(parts.photo, "__defaults__", (64 * 64,))
    parts.photographs.clear()


def opened(page, **state):
    """A page after its first run, with some of its widgets set."""
    app = AppTest.from_file(str(APPS / "demo.py"), default_timeout=240).run()
    for key, value in state.items():
        app.session_state[key] = value
    app.switch_page(f"pages_/{page}.py").run()
    assert not app.exception, app.exception[0].stack_trace
    return app


def numbers(app):
    return {metric.label: metric.value for metric in app.metric}


def captions(app):
    """Of the pictures, in their order."""
    return [caption for picture in app.get("image") for caption in picture.captions]


def code(app):
    return "\n".join(block.value for block in app.code)


# --- pages -----------------------------------------------------------------------------------------------------------


def test_every_page_says_what_it_calls_and_explains_its_words():
    for page in ALWAYS:
        app = opened(page, compare_systems=["analog"])
        assert not app.error, (page, app.error)
        named = [
            name for name in ("send_photo", "send_photos", "hide_file", "run_points") if f"def {name}(" in code(app)
        ]
        assert named, f"{page} shows no source"
        for name in named:
            assert inspect.getsource(getattr(calls, name)) in code(app), "the very source"
        assert "semcom send " in code(app) or "semcom run " in code(app)
        widgets = [*app.slider, *app.selectbox, *app.multiselect, *app.number_input, *app.metric]
        unexplained = [widget.label for widget in widgets if not widget.proto.help]
        assert set(unexplained) <= {"Photograph"}, page


def test_the_picture_is_that_of_the_command_line(tmp_path, monkeypatch, capsys):
    """The command below a picture prints the numbers above it."""
    app = opened("send_a_photo", send_system="analog", send_channel="rayleigh", send_snr=7, send_users=2, send_seed=3)
    command = re.search(r"^semcom (send .*)$", code(app), re.MULTILINE)[1]
    photo = parts.photographs(64 * 64)["astronaut.png"]
    monkeypatch.chdir(tmp_path)
    save_png(photo.pixels, photo.name)
    assert main(command.split()) == 0
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    shown = numbers(app)
    assert shown["PSNR"] == f"{float(printed['psnr'].split()[0]):.1f} dB"
    assert shown["SNR met"] == f"{float(printed['snr_realised_db'].split()[0]):.1f} dB"
    assert float(shown["MS-SSIM"]) == pytest.approx(float(printed["ms_ssim"]), rel=2e-3)
    assert "--users 2 --seed 3" in command


def test_the_slider_changes_the_picture():
    app = opened("send_a_photo", send_system="analog", send_snr=0)
    low = numbers(app)["PSNR"]
    app.slider(key="send_snr").set_value(20).run()
    assert float(numbers(app)["PSNR"].split()[0]) > float(low.split()[0]) + 3


def test_many_users_are_the_first_rows_of_the_scenario_that_is_shown(tmp_path):
    app = opened("many_users", users_system="analog", users_access="uplink", users_count=3)
    (tmp_path / "users.yaml").write_text(re.search(r"<<END\n(.*)END\n", code(app), re.DOTALL)[1])
    overrides = re.findall(r"--set (\S+)", code(app))
    assert overrides == ["uplink.antennas=8"]
    (point,) = load_scenario(tmp_path / "users.yaml", overrides).points()
    expected = sweep.run_point(point).rows["psnr"].to_pylist()[:3]
    shown = [float(re.search(r"([\d.]+) dB", caption)[1]) for caption in captions(app)]
    assert shown == pytest.approx(expected, abs=0.06)


def test_more_users_leave_each_fewer_uses():
    uses = [numbers(opened("many_users", users_system="analog", users_count=count))["Uses of each"] for count in (1, 4)]
    one, four = (int(text.replace(",", "")) for text in uses)
    assert one == pytest.approx(4 * four, rel=0.01)


def test_a_broadcast_sends_one_picture_to_all():
    app = opened("many_users", users_system="analog", users_access="broadcast", users_count=2)
    assert len(captions(app)) == 2


def test_a_file_arrives_or_nothing_does():
    app = opened("hide_a_file", hide_text="wave", hide_snr=15)
    assert [message.value for message in app.success] == ["message.txt arrived: 4 bytes, checksum holds."]
    assert "\nwave\n" in f"\n{code(app)}\n"
    app.slider(key="hide_snr").set_value(-4).run()
    app.selectbox(key="hide_channel").set_value("rayleigh").run()
    lost = [message.value for message in app.error]
    if lost:
        assert "did not arrive" in lost[0]
        assert not app.success
    room = int(numbers(app)["This photograph carries at most"].split()[0])
    app.text_area(key="hide_text").set_value("x" * (room + 1)).run()
    assert f"the file has {room + 1} bytes" in app.error[0].value
    assert not app.success


def test_a_damaged_message_gives_nothing():
    """At a signal-to-noise ratio at which no message survives."""
    photo = load("photos", 1, 128)[0]
    hidden = calls.hide_file(photo, b"wave", calls.point_of("carrier_image", "awgn", -15, medium_cbr=1 / 8))
    assert hidden.payload is None


def test_compare_traces_each_system_once_and_remembers(monkeypatch):
    app = opened("compare", compare_systems=["analog", "capacity"], compare_snr=4)
    assert [caption.split(":")[0] for caption in captions(app)] == ["sent", "analog", "capacity"]
    known = app.session_state["compare_known"]
    assert len(known) == 2 * len(range(-4, 25, 4))
    curve = [scores["psnr"] for (_, _), scores in known.items()]
    assert max(curve) > min(curve) + 5
    before = dict(known)
    app.slider(key="compare_snr").set_value(8).run()
    assert app.session_state["compare_known"] == before, "the curve does not depend on the slider"


SCENARIO = """\
title: two
systems: [analog]
channel: awgn
medium_cbr: 0.0625
sweep: {snr_db: [0, 10]}
images: {source: photos, count: 2, size: 32}
metrics: [psnr]
"""


def test_a_scenario_runs_and_is_that_of_the_command(tmp_path):
    app = opened("run_a_scenario", scenario_text=SCENARIO)
    app.button(key="scenario_run").click().run()
    assert not app.exception
    written, rows, figure = app.session_state["scenario_result"]
    assert figure.startswith(b"\x89PNG")
    (tmp_path / "two.yaml").write_text(written)
    other = table.read(sweep.run(load_scenario(tmp_path / "two.yaml"), tmp_path / "run"))
    assert rows["psnr"].to_pylist() == other["psnr"].to_pylist()
    assert table.as_text(rows, "psnr") in code(app)


@pytest.mark.parametrize(
    ("before", "after", "message", "line"),
    [
        ("metrics: [psnr]", "metrics: [psnrr]", "scenario.yaml:7: no metric 'psnrr'; did you mean 'psnr'?", ">   7"),
        ("channel: awgn", "channel: [awgn", "broken YAML", ">   "),
        ("[analog]", "[{name: ./mine.py}]", "mine.py", None),
        ("source: photos", "source: 'folder:/'", "built in", None),
        ("[0, 10]", str(list(range(-100, 101)) * 1), "", None),
        ("count: 2, size: 32", "count: 2, size: 4096", "size may be 512 here", None),
        ("count: 2, ", "", "say a count of pictures", None),
    ],
)
def test_a_wrong_scenario_is_refused_at_its_line(before, after, message, line):
    assert before in SCENARIO
    app = opened("run_a_scenario", scenario_text=SCENARIO.replace(before, after))
    if not message:
        assert not app.error, "201 points are allowed"
        return
    assert message in app.error[0].value
    assert tempfile.gettempdir() not in app.error[0].value.replace(str(Path.cwd()), ".")
    assert not app.button
    if line:
        assert line in code(app)


def test_a_scenario_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(UsageError, match="402 points"):
        calls.read_scenario(SCENARIO.replace("[0, 10]", str(list(range(-100, 101)))) + "repetitions: 2\n", tmp_path)


# --- pages of systems that may not be there --------------------------------------------------------------------------


def registered(app):
    return set(re.findall(r"pages_/(\w+)\.py", " ".join(str(page) for page in app._registered_pages.values())))


def test_pages_of_systems_that_are_not_there_do_not_appear(monkeypatch):
    monkeypatch.setattr(calls, "_bundled", lambda name: False)
    there = registered(AppTest.from_file(str(APPS / "demo.py"), default_timeout=240).run())
    assert set(ALWAYS) <= there
    assert "street_scene" not in there
    assert ("candidates" in there) == bool(calls.systems(["multimodal_generation"]))
    monkeypatch.setattr(calls, "_bundled", lambda name: name == "scene_segmenter")
    assert "street_scene" in registered(AppTest.from_file(str(APPS / "demo.py"), default_timeout=240).run())


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
    assert shown[1:] == ["candidate 1: score 0.5", "candidate 2: score 2", "CHOSEN, candidate 3: score 0.25"]
    assert numbers(app)["Chosen"] == "number 3"


# --- uploads ---------------------------------------------------------------------------------------------------------


def saved(image, suffix, **options):
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


def noise(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def huge_png():
    """200 megapixels in the header, and hardly a pixel: whoever decodes it finds it damaged."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))


BROKEN = {
    "notes.png": (lambda: b"Dear diary,\n" * 50, "is not a picture"),
    "huge.png": (huge_png, "more than 16 megapixels"),
    "cut.jpg": (lambda: saved(noise(200, 200), "JPEG")[:9000], "damaged or cut short"),
    "large.bmp": (lambda: b"BM" + bytes(40_000_000), "has 40 MB, a picture may have 10"),
    "moving.gif": (
        lambda: saved(noise(32, 32), "GIF", save_all=True, append_images=[Image.new("RGB", (32, 32))]),
        "is an animation",
    ),
    "drawing.svg": (lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "is a drawing (SVG)"),
    "drawing.png": (lambda: b'\xef\xbb\xbf <svg width="1" height="1"/>', "is a drawing (SVG)"),
    "empty.png": (lambda: b"", "is empty"),
    "thin.png": (lambda: saved(noise(400, 3), "PNG"), "each side needs 16"),
    "half.png": (lambda: saved(noise(64, 64), "PNG")[:3000], "damaged or cut short"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_uploads_are_refused_in_one_line(name):
    make, message = BROKEN[name]
    with pytest.raises(UsageError) as refusal:
        uploads.picture(name, make(), 4096)
    assert message in str(refusal.value)
    assert str(refusal.value).startswith(name)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 120


@pytest.mark.parametrize("image", [noise(640, 480), noise(640, 480).convert("L"), noise(480, 640).convert("RGBA")])
@pytest.mark.parametrize("suffix", ["PNG", "WEBP", "AVIF", "GIF"])
def test_photographs_of_any_kind_are_taken_and_shrunk(image, suffix):
    picture = uploads.picture("../../holiday photo.webp", saved(image, suffix), 4096)
    assert picture.name == "holiday photo.png", "a name, not a path"
    height, width = picture.pixels.shape[1:]
    assert height * width <= 4096
    assert (width > height) == (image.width > image.height)
    assert 0 <= picture.pixels.min() <= picture.pixels.max() <= 1


def test_an_upright_photograph_stays_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: shown turned by 90 degrees
    picture = uploads.picture("phone.jpg", saved(noise(640, 320), "JPEG", exif=exif), 4096)
    height, width = picture.pixels.shape[1:]
    assert height > width


def test_a_broken_upload_is_refused_on_the_page_and_a_good_one_is_sent_without_a_trace(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))
    app = opened("send_a_photo", send_system="analog")
    files = sorted(tmp_path.rglob("*"))  # of the photograph that the page opens with
    app.file_uploader(key="send_upload").set_value(("notes.png", b"Dear diary", "image/png")).run()
    assert [error.value for error in app.error] == [
        "notes.png is not a picture: PNG, JPEG, WebP, AVIF, GIF and BMP files can be read"
    ]
    assert not captions(app)
    app.file_uploader(key="send_upload").set_value(("mine.png", saved(noise(48, 40), "PNG"), "image/png")).run()
    app.selectbox(key="send_system").set_value("digital").run()
    assert not app.error
    assert captions(app)[0] == "sent, 48 x 40 pixels"
    assert app.session_state["upload_results"], "what was fitted is remembered with the visitor"
    assert sorted(tmp_path.rglob("*")) == files, "and nowhere else"


def test_results_kept_in_memory_do_not_touch_the_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CACHE", str(tmp_path / "cache"))
    results, asked = {}, []

    def compute():
        asked.append(1)
        return b"144"

    with cache.kept_in(results):
        assert [cache.remember("square", "1", [b"12"], compute) for _ in range(2)] == [b"144"] * 2
    assert len(asked) == len(results) == 1
    assert not (tmp_path / "cache").exists()
    assert cache.remember("square", "1", [b"12"], compute) == b"144"
    assert len(asked) == 2, "outside nothing of it is known"
    assert (tmp_path / "cache").exists()


def test_no_upload_that_is_allowed_is_spooled_to_disk():
    from starlette.formparsers import MultiPartParser

    opened("send_a_photo")
    assert MultiPartParser.spool_max_size > uploads.MOST_MEGABYTES * 2**20 + 2**20


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_starts_the_demo_of_this_checkout(monkeypatch):
    started = []

    def run(command):
        started.extend(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert main(["app", "--port", "8600", "--no-browser"]) == 0
    assert str(APPS / "demo.py") in started
    assert {"--server.port=8600", "--server.address=localhost", "--browser.gatherUsageStats=false"} <= set(started)


def test_without_streamlit_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["app"]) == 2
    assert capsys.readouterr().err == "semcom: the demo needs Streamlit: pip install 'semcom[app]'\n"


def test_every_word_has_a_meaning():
    used = set()
    for path in APPS.rglob("*.py"):
        used |= set(re.findall(r'MEANINGS\["(\w+)"\]', path.read_text()))
    assert used <= words.MEANINGS.keys()
