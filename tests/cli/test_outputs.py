"""No output replaces an input or a file of the user."""

import argparse
import shutil

import numpy as np
import pytest
from PIL import Image

from channels.errors import UsageError
from semcom.cli.main import build_parser, main
from semcom.cli.outputs import guard_file, guard_folder
from semcom.sweep import memory

LONG = "é" * 120 + ".png"  # 244 bytes


@pytest.fixture
def photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("me.png")
    return tmp_path / "me.png"


def send(*more):
    return main(["send", *more, "--system", "analog", "--snr", "10"])


def test_an_output_in_the_input_is_refused_from_inside_as_well(photo, capsys):
    for more in ([".", "--out", "received"], [str(photo.parent), "--out", str(photo.parent / "received")]):
        assert send(*more) == 2
        assert "which this command reads" in capsys.readouterr().err
        assert sorted(path.name for path in photo.parent.iterdir()) == ["me.png"]
    scenario = photo.parent.parent / f"{photo.parent.name}.yaml"
    scenario.write_text(
        "systems: [analog]\nchannel: awgn\nmedium_cbr: 0.125\nsweep: {snr_db: [10]}\n"
        "images: {source: 'folder:.', size: 32}\nmetrics: [psnr]\n"
    )
    command = ["run", str(scenario), "--set", f"images.source=folder:{photo.parent}", "--quiet", "--no-report"]
    assert main([*command, "--out", "here"]) == 2
    assert "which this command reads" in capsys.readouterr().err
    assert main(command) == 0  # the default, runs/NAME


@pytest.mark.parametrize("out", ["me.png", "./me.png", "link.png", "hard.png"])
def test_an_image_is_not_replaced_by_its_reception(photo, capsys, out):
    (photo.parent / "link.png").symlink_to("me.png")
    (photo.parent / "hard.png").hardlink_to(photo)
    before = photo.read_bytes()
    assert send("me.png", "--out", out, "--force") == 2
    assert "is a file that this command reads" in capsys.readouterr().err
    assert photo.read_bytes() == before


def test_files_of_the_user_are_replaced_with_force_only(photo, capsys):
    assert send("me.png", "--out", "received.png") == 0
    assert send("me.png", "--out", "received.png") == 0  # written by semcom
    photo.with_name("mine.png").write_bytes(photo.read_bytes())
    assert send("me.png", "--out", "mine.png") == 2
    assert "add --force" in capsys.readouterr().err
    assert send("me.png", "--out", "mine.png", "--force") == 0


def test_folders_of_inputs_and_of_the_user_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    for out in (tmp_path / "in", tmp_path / "in" / "new"):
        with pytest.raises(UsageError, match="which this command reads"):
            guard_folder("--out", out, [tmp_path / "in"], True, ["rows"])
    with pytest.raises(UsageError, match="add --force"):
        guard_folder("--out", tmp_path / "in", [], False, ["rows"])
    (tmp_path / "in" / "rows").mkdir()
    guard_folder("--out", tmp_path / "in", [], False, ["rows"])
    guard_folder("--out", tmp_path / "none", [], False, ["rows"])


def test_a_run_replaces_neither_its_scenario_nor_files_beside_it(tmp_path, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    text = "# a comment\nsystems: [analog]\nchannel: awgn\nmedium_cbr: 0.125\nsweep: {snr_db: [10]}\n"
    text += "images: {source: photos, count: 1, size: 32}\nmetrics: [psnr]\n"
    (folder / "scenario.yaml").write_text(text)
    command = ["run", str(folder / "scenario.yaml"), "--out", str(folder), "--quiet", "--no-report"]
    assert main([*command, "--force"]) == 2
    assert "holds the scenario file" in capsys.readouterr().err
    (folder / "rows").mkdir()
    (folder / "rows" / "notes.txt").write_text("mine")
    assert main(command) == 2
    assert "files that semcom did not write" in capsys.readouterr().err
    assert (folder / "scenario.yaml").read_text() == text
    out = str(tmp_path / "out")
    assert main([*command[:2], "--out", out, *command[4:]]) == 0
    assert main(["run", f"{out}/scenario.yaml", "--out", out, *command[4:]]) == 0  # resumes a run from its record


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    text = "systems: [analog, deepjscc]\nchannel: awgn\nmedium_cbr: 0.125\nsweep: {snr_db: [0, 10]}\n"
    text += "images: {source: photos, count: 1, size: 32}\nmetrics: [psnr]\n"
    (folder / "s.yaml").write_text(text)
    assert main(["run", str(folder / "s.yaml"), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def test_plot_compares_with_a_system_by_label_or_title(finished, tmp_path, capsys):
    run = shutil.copytree(finished, tmp_path / "run")
    found = []
    for name in ("deepjscc", "DeepJSCC"):
        assert main(["plot", str(run), "--format", "svg", "--against", name]) == 0
        found.append((capsys.readouterr().out.lower(), (run / "difference.svg").read_text().partition("<defs>")[2]))
    assert found[0] == found[1]
    assert main(["plot", str(run), "--against", "DeepJSC"]) == 2
    assert "no system 'DeepJSC' in this run; did you mean 'DeepJSCC'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (["run", "s.yaml", "--quiet", "--out"], ("summary.csv", "figure.png", "strip.png", "report.html")),
        (["plot"], ("summary.csv", "figure.png", "strip.png")),
        (
            ["plot", "--format", "pdf", "--against", "analog"],
            ("summary.csv", "figure.pdf", "difference.pdf", "strip.pdf"),
        ),
        (["plot", "--format", "svg", "--x", "medium_cbr_budget"], ("figure-medium_cbr_budget.svg",)),
        (["report"], ("report.html",)),
        (["plot", "--hardware", "arithmetic_45nm"], ("energy-arithmetic_45nm.png",)),
    ],
    ids=lambda value: " ".join(value[:3]),
)
def test_no_file_of_the_user_in_the_folder_of_a_run_is_replaced(
    finished, tmp_path, monkeypatch, capsys, command, names
):
    shutil.copytree(finished.parent, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    assert main([*command, "run"]) == 0
    assert main([*command, "run"]) == 0  # what semcom wrote may be replaced
    sizes = {}
    for name in names:
        written = (tmp_path / "run" / name).read_bytes()
        (tmp_path / "run" / name).write_bytes(b"mine")
        assert main([*command, "run"]) == 2
        assert f"{name} exists and was not written by semcom" in capsys.readouterr().err
        assert (tmp_path / "run" / name).read_bytes() == b"mine"
        (tmp_path / "run" / name).write_bytes(written)
        sizes[name] = len(written)
    for name in names:
        (tmp_path / "run" / name).write_bytes(b"mine")
    assert main([*command, "run", "--force"]) == 0
    for name, size in sizes.items():
        assert len((tmp_path / "run" / name).read_bytes()) == pytest.approx(size, rel=0.5)


WRITE_NOTHING = {"app", "budget", "check", "compare", "data list", "list", "recognize", "show", "table"}
WRITE_ONLY_THE_PUBLISHED = {"data get"}  # a file of another content is refused, tests/images/test_download.py


def commands(of, name=""):
    """All commands with their parsers."""
    groups = [action for action in of._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield name.strip(), of
    for group in groups:
        for word, inner in group.choices.items():
            yield from commands(inner, f"{name} {word}")


def test_every_command_that_writes_files_has_force():
    found = dict(commands(build_parser()))
    assert len(found) > 10
    for name, inner in found.items():
        forced = any("--force" in action.option_strings for action in inner._actions)
        assert forced != (name in WRITE_NOTHING | WRITE_ONLY_THE_PUBLISHED), name
        if name in WRITE_NOTHING:
            texts = " ".join(action.help or "" for action in inner._actions)
            assert "to write" not in texts, name


def test_received_images_do_not_go_among_the_inputs_or_beside_files_of_the_user(tmp_path, capsys):
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    for name in "ab":
        Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(images / f"{name}.png")
    command = ["send", str(images), "--system", "analog", "--snr", "10", "--cbr", "1/2", "--out"]
    assert main([*command, str(images / "received")]) == 2
    assert "which this command reads" in capsys.readouterr().err
    assert main([*command, str(out)]) == 0
    assert main([*command, str(out)]) == 0  # what semcom wrote may be replaced
    (out / "notes.txt").write_text("mine")
    assert main([*command, str(out)]) == 2
    assert "files that semcom did not write" in capsys.readouterr().err
    assert main([*command, str(out), "--force"]) == 0
    assert (out / "notes.txt").read_text() == "mine"


def test_devices_and_expected_contents_are_not_refused(tmp_path):
    guard_file("--out", "/dev/null", [], False)
    (tmp_path / "file").write_bytes(b"message")
    guard_file("--payload-out", tmp_path / "file", [], False, expected=b"message")
    with pytest.raises(UsageError, match="was not written by semcom"):
        guard_file("--payload-out", tmp_path / "file", [], False, expected=b"another")


def test_any_name_of_an_image_is_sent(photo, capsys):
    folder = photo.parent / "in"
    folder.mkdir()
    for name in (LONG.encode(), b"\xff.png"):
        with open(bytes(folder) + b"/" + name, "wb") as file:
            file.write(photo.read_bytes())
    (folder / "empty.png").touch()
    assert send("in", "--out", "out") == 2
    assert "--skip-unreadable" in capsys.readouterr().err
    assert send("in", "--out", "out", "--skip-unreadable") == 0
    assert len(list((photo.parent / "out").glob("[12]-*.png"))) == 2
    assert send("in", "--out", "in", "--skip-unreadable") == 2
    assert send("n" * 300 + ".png") == 2
    assert send("me.png", "--out", "n" * 300 + ".png") == 2


def test_an_image_that_exceeds_the_memory_is_refused_before_it_is_sent(photo, capsys, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 32 * 32 * memory.BYTES_PER_PIXEL - 1)
    assert send("me.png") == 2
    assert "me.png, 32x32 pixels, needs at least" in capsys.readouterr().err
    monkeypatch.setattr(memory, "available", lambda: None)
    assert send("me.png") == 0
