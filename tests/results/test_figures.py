"""Figures for papers: fonts, labels as written, sizes, colors, differences, published curves and image strips."""

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from semcom import UsageError
from semcom.results import compare, difference, means, panels, plot, published, strip, style, summary, table_formats

SNRS_DB = (0.0, 5.0, 10.0)
NINE = [float(snr_db) for snr_db in range(9)]
ODD = [r"$\frac$", "_mine", "from $5 to $6", "=1+1 \x1b[31mred"]
PRINTED = [r"$\frac$", "_mine", "from $5 to $6", r"=1+1 \x1b[31mred"]


def rows_of(systems=("a", "b"), channels=("awgn",), images=4, snrs_db=SNRS_DB, **columns):
    """Rows in which the PSNR of each system but the last crosses that of the last one at 5 dB."""
    rows = [
        {
            "system": system,
            "channel": channel,
            "medium_cbr_budget": 0.0625,
            "users": 1,
            "snr_db": snr_db,
            "repetition": 0,
            "image": f"image {image}",
            "user": 0,
            "bound": False,
            "weights": "",
            "point": f"{system}-{channel}-{snr_db}",
            "image_file": "",
            "psnr": 20.0 + image + snr_db + (snr_db - 5 + 0.1 * image) * (len(systems) - 1 - number),
        }
        | columns
        for number, system in enumerate(systems)
        for channel in channels
        for snr_db in snrs_db
        for image in range(images)
    ]
    plain = pa.Table.from_pylist(rows)
    about = {"unit": "dB", "higher_is_better": "True"}
    return plain.cast(pa.schema(f.with_metadata(about) if f.name == "psnr" else f for f in plain.schema))


@pytest.fixture
def captured(monkeypatch):
    """The figures, which are not written to files."""
    found = []
    monkeypatch.setattr(panels, "save", lambda drawing, path, look: (found.append(drawing), path)[1])
    return found


@pytest.fixture
def saved(tmp_path):
    """A table with an image file in each row of two images and two users, and the folder of the files."""
    rows, folder = [], tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for channel in ("awgn", "rayleigh"):
        for user in (0, 1):
            part = rows_of(channels=[channel], images=2, snrs_db=NINE, user=user).to_pylist()
            for row in part:
                row["image_file"] = f"{len(rows)}.png"
                Image.fromarray(random.integers(0, 255, (24, 32, 3), np.uint8)).save(folder / row["image_file"])
                rows.append(row)
    Image.fromarray(random.integers(0, 255, (24, 32, 3), np.uint8)).save(folder / "sent.png")
    return pa.Table.from_pylist(rows).cast(rows_of(snrs_db=NINE).schema), tmp_path


def texts_of(path):
    return [
        " ".join("".join(element.itertext()).split())
        for element in ElementTree.parse(path).iter()
        if element.tag.endswith("}text")
    ]


# --- fonts, labels, sizes --------------------------------------------------------------------------------------------


def test_pdf_files_embed_truetype_fonts(saved):
    rows, out = saved
    look = style.Format("pdf")
    for path in (
        plot.figure(rows, out, look=look),
        difference.figure(rows, out, "b", look=look),
        strip.figure(rows, out, look=look),
    ):
        content = path.read_bytes()
        assert b"/FontFile2" in content
        assert b"/Type3" not in content


def test_labels_are_shown_as_written(tmp_path):
    (tmp_path / "scenario.yaml").write_text('title: "50 % $x_1$ \\e[31m"\n')
    rows = rows_of(ODD, channels=("$_$", "_awgn"))
    texts = texts_of(plot.figure(rows, tmp_path, look=style.Format("svg")))
    assert set(PRINTED) | {"$_$", "_awgn", r"50 % $x_1$ \x1b[31m"} <= set(texts)
    rows = rows_of(("net", "b")).append_column("net.rate", pa.array(["$a$", "_b"] * 12))
    assert {"$a$", "_b"} <= set(texts_of(plot.figure(rows, tmp_path, "net.rate", look=style.Format("svg"))))


def test_terminals_and_spreadsheets_get_text(capsys):
    from semcom.cli.common import complain

    rows = rows_of(ODD)
    printed = summary.text(rows, summary.Selection(against="_mine"))
    assert "\x1b" not in printed
    assert r"\x1b[31mred" in printed
    lines = table_formats.as_csv(rows).splitlines()
    assert {line.split(",")[2] for line in lines[1:]} == {*PRINTED[:3], f"'{PRINTED[3]}"}
    assert complain("no file \x1b[2J\udcff", 2) == 2
    assert capsys.readouterr().err == "semcom: no file \\x1b[2J\\udcff\n"


@pytest.mark.parametrize("count", [1, 5, 12])
def test_a_table_is_at_most_100_columns_wide(count):
    rows = rows_of([f"system {i} with a rather long label, for example {'x' * 5 * i}" for i in range(count)])
    text = table_formats.as_text(rows, "psnr")
    assert max(map(len, text.splitlines())) <= 100
    for line in means.summarize(rows, "psnr"):
        assert str(line.estimate) in text


@pytest.mark.parametrize(("size", "inches"), [("single", 3.5), ("double", 7.16), ("5,4", 5.0)])
def test_figures_have_the_size_of_a_journal(saved, size, inches):
    rows, out = saved
    look = style.format_of(size)
    for path in (plot.figure(rows, out, look=look), strip.figure(rows, out, look=look)):
        with Image.open(path) as image:
            assert image.width == int(inches * 300)
            assert size != "5,4" or image.height == 4 * 300


@pytest.mark.parametrize("size", ["", "wide", "3", "0,4", "nan,4", "3,4,5", "1e9,4"])
def test_a_wrong_size_is_refused(size):
    with pytest.raises(UsageError, match="--size must be single, double, or WIDTH,HEIGHT"):
        style.format_of(size)


def test_text_of_slides_is_larger(tmp_path, captured):
    for name in ("paper", "slides"):
        plot.figure(rows_of(), tmp_path, look=style.Format(style=name))
    paper, slides = ([text.get_fontsize() for text in drawing.legends[0].get_texts()] for drawing in captured)
    assert min(slides) > 1.5 * max(paper)


@pytest.mark.parametrize("size", [None, "single", "4,6"])
def test_the_legend_of_long_labels_fits(tmp_path, captured, size):
    labels = [f"{'an extraordinarily long label ' * 4}{i}" for i in range(8)]
    plot.figure(rows_of(labels), tmp_path, look=style.format_of(size))
    captured[0].canvas.draw()
    legend = captured[0].legends[0].get_window_extent()
    assert 0 <= legend.x0 < legend.x1 <= captured[0].bbox.x1
    assert [" ".join(text.get_text().split()) for text in captured[0].legends[0].get_texts()] == labels


def test_budgets_on_the_axis_are_fractions(tmp_path, captured):
    """As in the titles of panels, not 0.166667."""
    budgets = [rows_of(snrs_db=(10.0,), medium_cbr_budget=budget) for budget in (1 / 16, 1 / 6, 1 / 3)]
    plot.figure(pa.concat_tables(budgets), tmp_path)
    assert [text.get_text() for text in captured[0].axes[0].get_xticklabels()] == ["1/16", "1/6", "1/3"]


@pytest.mark.parametrize(
    ("budgets", "x", "title", "panel"),
    [
        ((0.0625,), None, "CBR 1/16 = channel uses / (3 x height x width)", "AWGN"),
        ((0.0625, 0.125), None, "CBR = channel uses / (3 x height x width)", "AWGN, CBR 1/16"),
        ((0.0625, 0.125), "medium_cbr_budget", "CBR = channel uses / (3 x height x width)", "AWGN, SNR 0 dB"),
    ],
)
def test_a_figure_defines_the_cbr_once(tmp_path, captured, budgets, x, title, panel):
    channels = ("awgn", "rayleigh")
    rows = pa.concat_tables([rows_of(channels=channels, medium_cbr_budget=budget) for budget in budgets])
    plot.figure(rows, tmp_path, x)
    found = captured[0].get_suptitle().splitlines()
    assert [line for line in found if "CBR" in line] == [title]
    assert captured[0].axes[0].get_title() == panel


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (3, 3), (4, 2), (5, 3), (7, 3), (8, 2), (9, 3)])
def test_at_most_three_panels_in_a_row(tmp_path, captured, count, columns):
    plot.figure(rows_of(channels=[f"channel {i}" for i in range(count)]), tmp_path)
    assert len(captured[0].axes) == count
    assert {panel.get_gridspec().ncols for panel in captured[0].axes} == {columns}


# --- colors and intervals --------------------------------------------------------------------------------------------


def colors_of(drawing):
    return {
        line.get_label(): to_hex(line.get_color()) for line in drawing.axes[0].get_lines() if line.get_label() in "abc"
    }


def test_a_system_has_one_color_in_all_figures_of_a_run(tmp_path, captured):
    systems = "".join(f"- {{name: analog, label: {name}}}\n" for name in "abc")
    (tmp_path / "scenario.yaml").write_text(f"title: t\nsystems:\n{systems}")
    plot.figure(rows_of("abc"), tmp_path)
    plot.figure(rows_of("bc"), tmp_path)
    difference.figure(rows_of("abc"), tmp_path, "a")
    every, without, differences = map(colors_of, captured)
    assert len(set(every.values())) == 3
    assert without == differences == {name: every[name] for name in "bc"}


@pytest.mark.parametrize(
    ("images", "note"),
    [
        (1, "n = 1 image, no interval"),
        (4, "n = 4 images (few, therefore wide); dotted: fewer than 5 images"),
        (6, "n = 6 images (few, therefore wide)"),
        (12, "n = 12 images"),
    ],
)
def test_the_number_of_images_is_shown(tmp_path, captured, images, note):
    plot.figure(rows_of(images=images), tmp_path)
    assert " ".join(captured[0].get_suptitle().split()).endswith(note)
    dotted = [band.get_linestyle()[0][1] is not None for band in captured[0].axes[0].collections]
    assert dotted == [images < 5] * 2


# --- differences -----------------------------------------------------------------------------------------------------


def test_differences_match_the_comparison(tmp_path, captured):
    rows = rows_of("ab", images=6)
    difference.figure(rows, tmp_path, "b")
    panel = captured[0].axes[0]
    assert panel.get_ylabel() == "Difference: PSNR (dB)"
    (line,) = [line for line in panel.get_lines() if line.get_label() == "a"]
    found = compare.compare(rows, "psnr", "b")
    assert list(line.get_ydata()) == pytest.approx([each.difference.mean for each in found])
    corners = {tuple(corner) for corner in panel.collections[0].get_paths()[0].vertices.tolist()}
    assert corners >= {
        (each.conditions["snr_db"], end) for each in found for end in (each.difference.low, each.difference.high)
    }
    (crossing,) = compare.crossings(rows, "psnr", "b")
    assert [line.get_xdata() for line in panel.get_lines() if line.get_marker() == "d"] == [[crossing.snr_db]]
    assert any(list(line.get_ydata()) == [0, 0] for line in panel.get_lines())


# --- published curves ------------------------------------------------------------------------------------------------

HEAD = ",".join(published.COLUMNS)
LINES = [
    f"WITT,Kodak,AWGN,{cbr},{metric},{snr_db},{30 + snr_db},a figure"
    for cbr, metric, snr_db in [(0.0625, "psnr", 1), (0.0625, "psnr", 4)]
]


def points_of(tmp_path, *lines, head=HEAD):
    path = tmp_path / "published.csv"
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return published.read(path)


def test_published_curves_are_dotted_and_named(tmp_path, captured):
    plot.figure(rows_of(channels=("awgn", "rayleigh")), tmp_path, published=points_of(tmp_path, *LINES))
    awgn, rayleigh = captured[0].axes
    (line,) = [line for line in awgn.get_lines() if line.get_linestyle() == ":"]
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 4], [31, 34])
    assert not [line for line in rayleigh.get_lines() if line.get_linestyle() == ":"]
    assert "WITT, Kodak (published)" in [text.get_text() for text in captured[0].legends[0].get_texts()]


@pytest.mark.parametrize(
    ("line", "x", "words"),
    [
        ("W,K,awgn,0.0625,ms_ssim,1,0.9,s", None, "fits no panel of this figure"),
        ("W,K,awgn,0.5,psnr,1,30,s", None, "fits no panel of this figure"),
        ("W,K,tdl,0.0625,psnr,1,30,s", None, "fits no panel of this figure"),
        ("W,K,awgn,0.0625,psnr,1,30,s", "users", "published curves are over snr_db or medium_cbr_budget, not users"),
    ],
)
def test_published_curves_that_do_not_fit_are_refused(tmp_path, line, x, words):
    with pytest.raises(UsageError, match=words):
        plot.figure(rows_of(), tmp_path, x, published=points_of(tmp_path, line))


@pytest.mark.parametrize(
    ("lines", "head", "words"),
    [
        ([], HEAD, "has no values"),
        (LINES, HEAD.replace("metric", "metrik"), "published.csv:1: no column 'metric'"),
        (["W,K,awgn,0.0625,psnr,high,30,s"], HEAD, "published.csv:2: snr_db must be a number, not 'high'"),
        (["W,K,awgn,1/16,psnr,1_0,30,s"], HEAD, "published.csv:2: snr_db must be a number, not '1_0'"),
        (["W,K,awgn,0.0625,psnr"], HEAD, "published.csv:2: snr_db must be a number, not None"),
    ],
)
def test_a_wrong_file_of_published_values_is_refused(tmp_path, lines, head, words):
    with pytest.raises(UsageError, match=re.escape(words)):
        points_of(tmp_path, *lines, head=head)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        published.read(tmp_path / "nowhere.csv")


def test_the_published_values_of_the_repository_are_readable(request):
    paths = sorted((request.config.rootpath / "results" / "published").glob("*.csv"))
    points = [point for path in paths for point in published.read(path)]
    assert len(points) > 100
    assert all(point.source and 10 < point.value < 50 and 0 < point.medium_cbr <= 1 for point in points)


# --- strips ----------------------------------------------------------------------------------------------------------


def images_of(drawing):
    return [[np.asarray(image.get_array()) for image in panel.get_images()] for panel in drawing.axes]


def test_a_strip_shows_the_chosen_image_channel_and_user(saved, captured):
    rows, out = saved
    strip.figure(rows, out, strip.Choice("image 1", "rayleigh", 1))
    wanted = [
        row["image_file"]
        for row in rows.to_pylist()
        if (row["image"], row["channel"], row["user"], row["system"], row["snr_db"])
        == ("image 1", "rayleigh", 1, "a", 0)
    ]
    assert np.array_equal(images_of(captured[0])[1][0], np.asarray(Image.open(out / "images" / wanted[0])))
    title = " ".join(captured[0].get_suptitle().split())
    for words in ("image image 1", "user 1", "Rayleigh fading (1 more channel not shown)", "7 of 9 values of SNR"):
        assert words in title


def test_a_strip_shows_enlarged_parts(saved, captured):
    rows, out = saved
    strip.figure(rows, out, strip.Choice(crop=(4, 6, 10, 8)))
    sent = np.asarray(Image.open(out / "images" / "sent.png"))
    (whole,), (part,), (received,), *_ = images_of(captured[0])
    assert np.array_equal(whole, sent)
    assert np.array_equal(part, sent[6:14, 4:14])
    assert received.shape == (8, 10, 3)
    with pytest.raises(UsageError, match="is not within the image of 32 x 24 pixels"):
        strip.figure(rows, out, strip.Choice(crop=(30, 6, 10, 8)))


@pytest.mark.parametrize("size", ["single", "double", None])
@pytest.mark.parametrize("look", ["paper", "slides"])
def test_texts_of_a_strip_do_not_overlap(saved, captured, size, look):
    strip.figure(*saved, strip.Choice(crop=(4, 6, 10, 8)), style.format_of(size, style=look))
    drawing = captured[0]
    drawing.canvas.draw()
    texts = [text for panel in drawing.axes for text in (panel.title, panel.xaxis.label) if text.get_text()]
    boxes = [text.get_window_extent() for text in texts]
    assert len(boxes) > 4
    assert not [(a, b) for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]
    assert all(box.x0 >= -1 and box.x1 <= drawing.bbox.x1 + 1 for box in boxes)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (strip.Choice(image="image 7"), "no image 'image 7' in this run; did you mean"),
        (strip.Choice(channel="raylei"), "did you mean 'rayleigh'"),
        (strip.Choice(user=5), "no user 5 in this run; there are 0, 1"),
    ],
)
def test_a_wrong_choice_is_refused(saved, choice, words):
    with pytest.raises(UsageError, match=words):
        strip.figure(*saved, choice)


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "-1,0,4,4", "0,0,0,4", "0,0,1_0,4", "0,0,4.5,4", ""])
def test_a_wrong_crop_is_refused(text):
    with pytest.raises(UsageError, match="--crop must be X,Y,WIDTH,HEIGHT"):
        strip.crop_of(text)
