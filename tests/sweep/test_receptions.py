"""Received images that a run did not save, and the options of `semcom plot` that show them."""

import shutil

import pytest
from PIL import Image
from refusals import refused

from semcom import UsageError, sweep
from semcom.cli.main import main
from semcom.results import strip, table
from semcom.scenario.load import scenario_from
from semcom.sweep.receptions import with_images


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    data = {
        "title": "two users",
        "systems": ["analog"],
        "channel": ["awgn", "rayleigh"],
        "medium_cbr": 0.125,
        "sweep": {"snr_db": [0, 10], "users": [2]},
        "images": {"source": "photos", "count": 3, "size": 32},
        "metrics": ["psnr"],
    }
    return sweep.run(scenario_from(data), tmp_path_factory.mktemp("run") / "out")


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def test_an_image_that_is_transmitted_again_is_the_same(run):
    rows = table.read(run)
    place = rows.column_names.index("image_file")
    again = with_images(rows.set_column(place, "image_file", [[""] * len(rows)]), run, strip.Choice())
    pairs = [(a, b) for a, b in zip(*(t["image_file"].to_pylist() for t in (rows, again)), strict=True) if a and b]
    assert len(pairs) == 2  # the default channel at two SNRs
    for before, after in pairs:
        assert before != after
        assert (run / "images" / before).read_bytes() == (run / "images" / after).read_bytes()


def test_plot_shows_another_image_and_user(run, capsys):
    names = table.read(run)["image"].unique().to_pylist()
    options = ["--image", names[1], "--user", "1", "--channel", "rayleigh", "--crop", "4,4,8,8", "--size", "double"]
    assert main(["plot", str(run), *options]) == 0
    printed = capsys.readouterr().out
    assert printed.rstrip().endswith(str(run / "strip.png"))
    with Image.open(run / "strip.png") as image:
        assert image.width == int(7.16 * 300)
    row = next(
        row
        for row in table.read(run).to_pylist()
        if (row["image"], row["user"], row["channel"]) == (names[1], 1, "rayleigh")
    )
    assert (run / "images" / strip.received_file(row)).is_file()
    assert (run / "images" / strip.sent_file(names[1], row.get("source"))).is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--image", "nothing"], "no image 'nothing' in this run"),
        (["--user", "2"], "no user 2 in this run; there are 0, 1"),
        (["--crop", "30,0,8,8"], "is not within the image of 32 x 32 pixels"),
        (["--x", "user"], "'user' was not swept"),
        (["--size", "big"], "--size must be single, double, or WIDTH,HEIGHT"),
        (["--against", "analogue"], "did you mean 'analog'?"),
        (["--against", "analog"], "analog is the only system in this run"),
        (["--published", "nowhere.csv"], "nowhere.csv cannot be read"),
    ],
)
def test_wrong_options_of_plot_are_one_line(run, capsys, options, words):
    capsys.readouterr()
    assert words in refused(capsys, "plot", run, *options)


def test_a_run_of_another_version_cannot_be_transmitted_again(run):
    rows = table.read(run)
    place = rows.column_names.index("point")
    rows = rows.set_column(place, "point", [["0" * 16] * len(rows)])
    with pytest.raises(UsageError, match="was written by another version"):
        with_images(rows, run, strip.Choice(user=1))
