"""The demo: every page in Streamlit's own tester, beside what the command line and a scenario say."""

import inspect
import re
import subprocess

import pytest

pytest.importorskip("streamlit", reason="the demo is an extra: pip install 'semcom[app]'")
import visiting
from semcom_demo import calls, parts, words
from visiting import ALWAYS, APPS, captions, code, numbers, opened

from semcom import sweep
from semcom.__main__ import main
from semcom.images import load, save_png
from semcom.scenario import load_scenario

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    visiting.made_small(monkeypatch)


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
